"""Durable writes: bulk ingest, one row at a time, many clients at once."""

import itertools
import multiprocessing
import statistics
import tempfile
import threading
import time
from pathlib import Path

import duckdb
import pyarrow as pa

from bench.measure import FsyncFloor, latencies_ms, percentile
from bench.report import Report, Row
from bench.setting import Setting
from bench.tables import MESSAGES_SQL, messages
from flight_sql import RawClient
from server import Server

INGEST_ROUNDS = 3
SINGLE_ROUNDS = 300
CLIENTS = 16
CLIENT_PROCESSES = 4
CLIENT_SECONDS = 5.0
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


def _insert_for(address: str, first: int, clients: int, barrier, counts) -> None:
    """One process of the many: its clients insert until the time is up."""
    server = Server(Path("unused"))
    server.address = address
    done = [0] * clients
    raws = [RawClient(server) for _ in range(clients)]
    barrier.wait()
    deadline = time.monotonic() + CLIENT_SECONDS

    def work(client: int) -> None:
        number = (first + client) * 10_000_000
        while time.monotonic() < deadline:
            raws[client].update(f"INSERT INTO bench.single VALUES ({number}, 'x')")
            number += 1
            done[client] += 1

    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts.put(sum(done))


def _rate(setting: Setting, first: int, processes: int, clients_each: int) -> float:
    """Rows a second that so many clients insert together."""
    context = multiprocessing.get_context("spawn")
    barrier, counts = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(
            target=_insert_for,
            args=(setting.server.address, first + p * clients_each, clients_each, barrier, counts),
        )
        for p in range(processes)
    ]
    for worker in workers:
        worker.start()
    total = sum(counts.get() for _ in workers)
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0, worker.exitcode
    return total / CLIENT_SECONDS


def _many_clients(setting: Setting, report: Report, fsync: float) -> None:
    one = _rate(setting, 1, 1, 1)
    many = _rate(setting, 100, CLIENT_PROCESSES, CLIENTS // CLIENT_PROCESSES)
    per_fsync = 1e3 / fsync
    report.add(Row("1 client, single rows", one, "rows/s", against={"1 / fsync": per_fsync}))
    report.add(
        Row(
            f"{CLIENTS} clients, single rows",
            many,
            "rows/s",
            against={"1 client": one, "1 / fsync": per_fsync},
            note="the clients are Python and take most of the cores",
        )
    )
