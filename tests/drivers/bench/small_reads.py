"""Reads of a few rows: point lookups, LIMIT 10, the newest rows of one user."""

import statistics

from bench.measure import latencies_ms, percentile
from bench.report import Report, Row
from bench.setting import BENCH_PASSWORD, BENCH_USER, Setting
from flight_sql import RawClient, statement

ROUNDS = 400
RAW_MS_MAX = 0.6
ADBC_MS_MAX = 1.8
FLOOR_RATIO_MAX = 1.3


def _sql(rows: int) -> dict[str, object]:
    """SQL text by name; a text that changes with the round cannot be answered from a cache of
    texts, as it would not be in an application that writes values into its SQL."""
    return {
        "SELECT 1": lambda i: f"SELECT 1 AS one, {i} AS i",
        "PK lookup": lambda i: f"SELECT * FROM bench.messages WHERE id = {i * 7919 % rows}",
        "LIMIT 10": lambda i: "SELECT * FROM bench.messages LIMIT 10",
    }


def _report(
    setting: Setting,
    report: Report,
    door: str,
    taken: dict[str, list[float]],
    floor: str,
    target: float,
    **peers: dict[str, float],
) -> None:
    """Adds a row for each call. The target is a bound in milliseconds, or, when the floor of an
    engine-less server was given, a multiple of that."""
    beside = {floor: statistics.median(taken[floor])}
    if empty := setting.floors.get(f"engine_less_{door.split()[0].lower()}_ms"):
        beside["engine-less server"] = empty
        target = FLOOR_RATIO_MAX * empty
    for name, values in taken.items():
        is_floor = name == floor
        report.add(
            Row(
                f"{name}, {door}, p50",
                statistics.median(values),
                "ms",
                against={} if is_floor else {**beside, **peers.get(name, {})},
                target=None if is_floor else target,
                note=f"p99 {percentile(values, 0.99):.3g} ms",
            )
        )


def run(setting: Setting, report: Report) -> None:
    """Each read through the raw client and ADBC, beside SELECT 1 on the same server."""
    report.section("Small reads (floor: SELECT 1 on the same server with the same client)")
    texts = _sql(setting.rows)
    peers = _peers(setting)
    with RawClient(setting.server) as raw:
        calls = {
            name: lambda i, text=text: raw.reader(raw.info(statement(text(i)))).read_all()
            for name, text in texts.items()
        }
        taken = latencies_ms(calls, ROUNDS)
        _report(setting, report, "raw", taken, "SELECT 1", RAW_MS_MAX, **peers)
    with setting.server.adbc() as connection, connection.cursor() as cursor:
        calls = {
            name: lambda i, text=text: cursor.execute(text(i)).fetchall()
            for name, text in texts.items()
        }
        taken = latencies_ms(calls, ROUNDS)
        _report(setting, report, "ADBC", taken, "SELECT 1", ADBC_MS_MAX, **peers)
        _prepared(setting, report, connection)
    _newest(setting, report)


def _prepared(setting: Setting, report: Report, connection) -> None:
    with connection.cursor() as floor, connection.cursor() as cursor:
        lookup = "SELECT * FROM bench.messages WHERE id = ?"
        calls = {
            "SELECT ?": lambda i: floor.execute("SELECT CAST(? AS BIGINT) AS i", (i,)).fetchall(),
            "PK lookup by parameter": lambda i: cursor.execute(
                lookup, (i * 7919 % setting.rows,)
            ).fetchall(),
        }
        _report(
            setting, report, "ADBC prepared", latencies_ms(calls, ROUNDS), "SELECT ?", ADBC_MS_MAX
        )


def _newest(setting: Setting, report: Report) -> None:
    texts = {
        "SELECT 1": lambda i: f"SELECT 1 AS one, {i} AS i",
        "newest 50 of one user": lambda i: "SELECT * FROM bench.inbox ORDER BY id DESC LIMIT 50",
    }
    with RawClient(setting.server, BENCH_USER, BENCH_PASSWORD) as raw:
        calls = {
            name: lambda i, text=text: raw.reader(raw.info(statement(text(i)))).read_all()
            for name, text in texts.items()
        }
        _report(setting, report, "raw", latencies_ms(calls, ROUNDS), "SELECT 1", RAW_MS_MAX)
    with setting.server.adbc(BENCH_USER, BENCH_PASSWORD) as connection:
        with connection.cursor() as cursor:
            calls = {
                name: lambda i, text=text: cursor.execute(text(i)).fetchall()
                for name, text in texts.items()
            }
            _report(setting, report, "ADBC", latencies_ms(calls, ROUNDS), "SELECT 1", ADBC_MS_MAX)


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
