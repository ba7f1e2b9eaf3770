"""Reads of whole tables: all columns, one of twenty, aggregates."""

from bench.measure import median_seconds
from bench.report import Report, Row
from bench.setting import Setting
from flight_sql import RawClient, statement

ROUNDS = 5
SCAN_ROWS_A_SECOND_MIN = 10e6
FLOOR_ROWS = 1_000_000
COLUMN_SPEEDUP_MIN = 3.0
GROUP_BY = (
    "SELECT kind, count(*) AS n, avg(score) AS mean, max(size) AS largest FROM {t} GROUP BY kind"
)


def _drain(raw: RawClient, sql: str) -> int:
    """Reads a result batch by batch, as a streaming client does; returns its bytes."""
    return sum(chunk.data.nbytes for chunk in raw.reader(raw.info(statement(sql))))


def run(setting: Setting, report: Report) -> None:
    """Scans through the raw client and ADBC, beside in-process peers and given floors."""
    report.section(f"Scans of {setting.rows:,} hot rows")
    with RawClient(setting.server) as raw, setting.server.adbc() as connection:
        with connection.cursor() as cursor:
            _all_columns(setting, report, raw, cursor)
            _aggregates(setting, report, raw)
        _one_of_twenty(setting, report, raw)


def _all_columns(setting: Setting, report: Report, raw: RawClient, cursor) -> None:
    sql = "SELECT * FROM bench.messages"
    seconds = median_seconds(
        {
            "raw": lambda: _drain(raw, sql),
            "ADBC": lambda: cursor.execute(sql).fetch_arrow_table(),
            "DuckDB": lambda: setting.duck.sql("SELECT * FROM messages").to_arrow_table(),
            "SQLite": lambda: setting.lite.execute("SELECT * FROM messages").fetchall(),
        },
        ROUNDS,
    )
    size = _drain(raw, sql)
    floors = _floors(setting)
    peers = {f"{peer} in process": setting.rows / seconds[peer] for peer in ("DuckDB", "SQLite")}
    for door in ("raw", "ADBC"):
        against = dict(peers)
        if door in floors:
            against["engine-less server"] = FLOOR_ROWS / floors[door]
        report.add(
            Row(
                f"scan of 10 columns, {door}",
                setting.rows / seconds[door],
                "rows/s",
                against=against,
                target=SCAN_ROWS_A_SECOND_MIN,
                at_least=True,
                note=f"{seconds[door] * 1e3:.0f} ms, {size / seconds[door] / 1e6:.0f} MB/s",
            )
        )


def _floors(setting: Setting) -> dict[str, float]:
    """Seconds an engine-less server takes to hand out rows that were made before."""
    if not setting.floor:
        return {}
    server, sql = setting.floor.server, f"SELECT floor_rows_{FLOOR_ROWS}"
    with RawClient(server) as raw, server.adbc() as connection, connection.cursor() as cursor:
        return median_seconds(
            {
                "raw": lambda: _drain(raw, sql),
                "ADBC": lambda: cursor.execute(sql).fetch_arrow_table(),
            },
            ROUNDS,
        )


def _aggregates(setting: Setting, report: Report, raw: RawClient) -> None:
    for name, sql in {
        "count(*)": "SELECT count(*) AS n FROM {t}",
        "GROUP BY kind, 3 aggregates": GROUP_BY,
        "filter one room of 500, 2 columns": "SELECT id, body FROM {t} WHERE room = 17",
        "top 10 by score": "SELECT id, score FROM {t} ORDER BY score DESC LIMIT 10",
    }.items():
        ours, theirs = sql.format(t="bench.messages"), sql.format(t="messages")
        seconds = median_seconds(
            {
                "raw": lambda ours=ours: _drain(raw, ours),
                "DuckDB": lambda theirs=theirs: setting.duck.sql(theirs).to_arrow_table(),
                "SQLite": lambda theirs=theirs: setting.lite.execute(theirs).fetchall(),
            },
            ROUNDS,
        )
        peers = {f"{peer} in process": seconds[peer] * 1e3 for peer in ("DuckDB", "SQLite")}
        report.add(Row(f"{name}, raw", seconds["raw"] * 1e3, "ms", against=peers))


def _one_of_twenty(setting: Setting, report: Report, raw: RawClient) -> None:
    seconds = median_seconds(
        {
            "all": lambda: _drain(raw, "SELECT * FROM bench.wide"),
            "one": lambda: _drain(raw, "SELECT c7 FROM bench.wide"),
        },
        ROUNDS,
    )
    report.add(
        Row(
            "1 column of 20 against all 20, raw",
            seconds["all"] / seconds["one"],
            "x",
            target=COLUMN_SPEEDUP_MIN,
            at_least=True,
            note=f"{seconds['one'] * 1e3:.0f} ms against {seconds['all'] * 1e3:.0f} ms"
            f" of {setting.wide_rows:,} rows",
        )
    )
