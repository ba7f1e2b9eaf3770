"""Durable writes: bulk ingest, one row at a time, many clients at once."""

import itertools
import statistics
import tempfile
import time
from pathlib import Path

import duckdb
import pyarrow as pa

from bench.measure import FsyncFloor, latencies_ms, percentile
from bench.report import Report, Row
from bench.setting import Setting
from bench.tables import MESSAGES_SQL, messages
from flight_sql import RawClient

INGEST_ROUNDS = 3
SINGLE_ROUNDS = 300
MANY_OVER_ONE_MIN = 10
INGEST_ROWS_A_SECOND_MIN = 1e6
INGEST_BATCH_ROWS = 65_536


def run(setting: Setting, report: Report) -> None:
    """Ingest beside DuckDB on a file; single rows beside one fsync."""
    report.section("Durable writes")
    _ingest(setting, report)
    fsync = _single_rows(setting, report)
    _many_clients(setting, report, fsync)


def _ingest(setting: Setting, report: Report) -> None:
    numbers = itertools.count()
    with setting.server.adbc() as connection, connection.cursor() as cursor:
        for rows in (100_000, setting.rows):
            data = messages(rows)
            for key, declared in (("no key", None), ("key id", MESSAGES_SQL)):
                taken = []
                for _ in range(INGEST_ROUNDS):
                    name = f"ingest{next(numbers)}"
                    if declared:
                        cursor.execute(f"CREATE TABLE bench.{name} ({declared})")
                    batches = data.to_reader(max_chunksize=INGEST_BATCH_ROWS)
                    mode = "append" if declared else "create"
                    begin = time.perf_counter()
                    cursor.adbc_ingest(name, batches, mode, db_schema_name="bench")
                    taken.append(time.perf_counter() - begin)
                    cursor.execute(f"DROP TABLE bench.{name}")
                seconds = statistics.median(taken)
                report.add(
                    Row(
                        f"ADBC ingest of {rows:,} x 10, {key}",
                        rows / seconds,
                        "rows/s",
                        against={"DuckDB file": rows / _duckdb_seconds(data)},
                        target=INGEST_ROWS_A_SECOND_MIN,
                        at_least=True,
                        note=f"{seconds:.3f} s",
                    )
                )


def _duckdb_seconds(data: pa.Table) -> float:
    """The same rows into a DuckDB file, keyed, checkpointed at the end."""
    with tempfile.TemporaryDirectory() as directory:
        peer = duckdb.connect(Path(directory) / "peer.duckdb")
        peer.execute(f"CREATE TABLE messages ({MESSAGES_SQL})")
        peer.register("incoming", data)
        begin = time.perf_counter()
        peer.execute("INSERT INTO messages SELECT * FROM incoming")
        peer.execute("CHECKPOINT")
        seconds = time.perf_counter() - begin
        peer.close()
    return seconds


def _single_rows(setting: Setting, report: Report) -> float:
    """Single-row statements in turn with SELECT 1 and a bare fsync; returns the fsync's cost."""
    numbers = itertools.count(1)
    floor = FsyncFloor(setting.directory)
    with setting.server.adbc() as connection, RawClient(setting.server) as raw:
        with connection.cursor() as adbc, connection.cursor() as bound:
            adbc.execute("CREATE TABLE bench.single (id BIGINT PRIMARY KEY, v TEXT)")
            prepared = "INSERT INTO bench.single VALUES (?, ?)"
            calls = {
                "fdatasync in place (floor)": floor.overwrite,
                "fdatasync of a growing file": floor.append,
                "SELECT 1, raw": lambda i: raw.query(f"SELECT 1 AS one, {i} AS i"),
                "INSERT of one row, raw": lambda i: raw.update(
                    f"INSERT INTO bench.single VALUES ({next(numbers)}, 'x')"
                ),
                "SELECT 1, ADBC": lambda i: adbc.execute(f"SELECT 1 AS one, {i} AS i").fetchall(),
                "INSERT of one row, ADBC": lambda i: adbc.execute(
                    f"INSERT INTO bench.single VALUES ({next(numbers)}, 'x')"
                ),
                "INSERT by parameters, ADBC": lambda i: bound.executemany(
                    prepared, [(next(numbers), "x")]
                ),
            }
            taken = latencies_ms(calls, SINGLE_ROUNDS)
    floor.close()
    fsync = statistics.median(taken["fdatasync in place (floor)"])
    for name, values in taken.items():
        note = f"p99 {percentile(values, 0.99):.3g} ms"
        median = statistics.median(values)
        if "INSERT" not in name:
            report.add(Row(f"{name}, p50", median, "ms", note=note))
            continue
        bound = statistics.median(taken[f"SELECT 1, {name.rsplit(', ', 1)[1]}"]) + 2 * fsync
        report.add(
            Row(
                f"{name}, p50",
                median,
                "ms",
                against={"SELECT 1 + 2 fsync": bound},
                target=bound,
                note=note,
            )
        )
    return fsync


def _many_clients(setting: Setting, report: Report, fsync: float) -> None:
    """One client and many, in Rust: clients in Python would take most of the cores."""
    figures = setting.rust
    if not figures:
        return
    floor = {"SELECT 1": figures["select_1_ms"]}
    bound = figures["select_1_ms"] + 2 * fsync
    report.add(
        Row("INSERT of one row, Rust client, p50", figures["insert_ms"], "ms", floor, bound)
    )
    per_fsync, one = 1e3 / fsync, figures["inserts_a_second_1"]
    report.add(Row("1 client, single rows", one, "rows/s", {"1 / fsync": per_fsync}))
    report.add(
        Row(
            "16 clients, single rows",
            figures["inserts_a_second_16"],
            "rows/s",
            {"1 client": one, "1 / fsync": per_fsync},
            target=MANY_OVER_ONE_MIN * per_fsync,
            at_least=True,
        )
    )
