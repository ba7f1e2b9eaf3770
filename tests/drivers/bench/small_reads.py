"""Reads of a few rows: point lookups, LIMIT 10, the newest rows of one user."""

import statistics
from contextlib import ExitStack

from bench.measure import latencies_ms, percentile
from bench.report import Report, Row
from bench.setting import BENCH_PASSWORD, BENCH_USER, Setting
from flight_sql import RawClient, statement

ROUNDS = 400
RAW_MS_MAX = 0.6
ADBC_MS_MAX = 1.8
RUST_MS_MAX = 0.4
FLOOR_RATIO_MAX = 1.3
EMPTY = "engine-less server"
FLOORS = (EMPTY, "SELECT 1", "SELECT ?")


def _sql(rows: int) -> dict[str, object]:
    """SQL text by name; a text that changes with the round cannot be answered from a cache of
    texts, as it would not be in an application that writes values into its SQL."""
    return {
        "SELECT 1": lambda i: f"SELECT 1 AS one, {i} AS i",
        "PK lookup": lambda i: f"SELECT * FROM bench.messages WHERE id = {i * 7919 % rows}",
        "LIMIT 10": lambda i: "SELECT * FROM bench.messages LIMIT 10",
    }


def _report(
    report: Report,
    door: str,
    taken: dict[str, list[float]],
    target: float,
    **peers: dict[str, float],
) -> None:
    """Adds a row for each call. The target is a bound in milliseconds, or, where the engine-less
    server was measured with the same client, a multiple of that."""
    floors = {name: statistics.median(taken[name]) for name in FLOORS if name in taken}
    if EMPTY in floors:
        target = FLOOR_RATIO_MAX * floors[EMPTY]
    for name, values in taken.items():
        is_floor = name in FLOORS
        report.add(
            Row(
                f"{name}, {door}, p50",
                statistics.median(values),
                "ms",
                against={} if is_floor else {**floors, **peers.get(name, {})},
                target=None if is_floor else target,
                note=f"p99 {percentile(values, 0.99):.3g} ms",
            )
        )


def run(setting: Setting, report: Report) -> None:
    """Each read through the raw client and ADBC, beside an engine-less server with the same
    client and SELECT 1 on the same server."""
    report.section("Small reads")
    texts = _sql(setting.rows)
    _raw(setting, report, {}, texts, **_peers(setting))
    _adbc(setting, report, {}, texts)
    with setting.server.adbc() as connection:
        _prepared(setting, report, connection)
    newest = {
        "SELECT 1": texts["SELECT 1"],
        "newest 50 of one user": lambda i: "SELECT * FROM bench.inbox ORDER BY id DESC LIMIT 50",
    }
    user = {"user": BENCH_USER, "password": BENCH_PASSWORD}
    _raw(setting, report, user, newest)
    _adbc(setting, report, user, newest)
    _rust(setting, report)


def _raw(setting: Setting, report: Report, user: dict, texts: dict, **peers) -> None:
    def reads(client: RawClient, text) -> object:
        return lambda i: client.reader(client.info(statement(text(i)))).read_all()

    with ExitStack() as clients:
        calls = {}
        if setting.floor:
            floor = clients.enter_context(RawClient(setting.floor.server))
            calls[EMPTY] = reads(floor, _floor_sql)
        raw = clients.enter_context(RawClient(setting.server, **user))
        calls |= {name: reads(raw, text) for name, text in texts.items()}
        _report(report, "raw", latencies_ms(calls, ROUNDS), RAW_MS_MAX, **peers)


def _adbc(setting: Setting, report: Report, user: dict, texts: dict) -> None:
    def reads(cursor, text) -> object:
        return lambda i: cursor.execute(text(i)).fetchall()

    with ExitStack() as clients:
        calls = {}
        if setting.floor:
            floor = clients.enter_context(setting.floor.server.adbc())
            calls[EMPTY] = reads(clients.enter_context(floor.cursor()), _floor_sql)
        connection = clients.enter_context(setting.server.adbc(**user))
        cursor = clients.enter_context(connection.cursor())
        calls |= {name: reads(cursor, text) for name, text in texts.items()}
        _report(report, "ADBC", latencies_ms(calls, ROUNDS), ADBC_MS_MAX)


def _floor_sql(i: int) -> str:
    return f"SELECT {i}"


def _rust(setting: Setting, report: Report) -> None:
    figures = setting.rust
    if not figures:
        return
    floor = {"SELECT 1": figures["select_1_ms"]}
    report.add(Row("SELECT 1, Rust client, p50", figures["select_1_ms"], "ms"))
    for name, key in (("PK lookup", "key_lookup_ms"), ("LIMIT 10", "limit_10_ms")):
        report.add(
            Row(f"{name}, Rust client, p50", figures[key], "ms", against=floor, target=RUST_MS_MAX)
        )


def _prepared(setting: Setting, report: Report, connection) -> None:
    with connection.cursor() as floor, connection.cursor() as cursor:
        lookup = "SELECT * FROM bench.messages WHERE id = ?"
        calls = {
            "SELECT ?": lambda i: floor.execute("SELECT CAST(? AS BIGINT) AS i", (i,)).fetchall(),
            "PK lookup by parameter": lambda i: cursor.execute(
                lookup, (i * 7919 % setting.rows,)
            ).fetchall(),
        }
        _report(report, "ADBC prepared", latencies_ms(calls, ROUNDS), ADBC_MS_MAX)


def _peers(setting: Setting) -> dict[str, dict[str, float]]:
    """The same reads in process: no wire, so a lower bound no server reaches."""

    def both(sql: str) -> dict[str, float]:
        def text(i: int) -> str:
            return sql.format(id=i * 7919 % setting.rows)

        taken = latencies_ms(
            {
                "DuckDB in process": lambda i: setting.duck.execute(text(i)).fetchall(),
                "SQLite in process": lambda i: setting.lite.execute(text(i)).fetchall(),
            },
            ROUNDS,
        )
        return {name: statistics.median(values) for name, values in taken.items()}

    return {
        "PK lookup": both("SELECT * FROM messages WHERE id = {id}"),
        "LIMIT 10": both("SELECT * FROM messages LIMIT 10"),
    }
