"""A client that goes away stops the work it asked for.

Drivers cancel by dropping the stream, nothing more. Each test starts a join of a thousand million
rows, sees the server burn CPU, drops the client's end in one of the ways clients do, and waits
until the server's own CPU time stands still.
"""

import os
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pytest
from adbc_driver_manager import AdbcStatusCode, Error

from flight_sql import RawClient, statement
from server import ROOT_PASSWORD, Server

ROWS = 1_000
WINDOW_SECONDS = 0.5
BUSY_SHARE_MIN = 0.5
IDLE_SHARE_MAX = 0.1
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 10
CLOCK_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")

# Three times a thousand rows: 10^9 combinations. The first answers only at its end, the second
# streams rows from the start.
AGGREGATE = """
    SELECT count(*) AS n FROM {ns}.big a CROSS JOIN {ns}.big b CROSS JOIN {ns}.big c
    WHERE sin(CAST(a.id * b.id + c.id AS DOUBLE)) > 2.0
"""
STREAM = (
    "SELECT a.id, b.id AS b, c.id AS c FROM {ns}.big a CROSS JOIN {ns}.big b CROSS JOIN {ns}.big c"
)

# Compares 4 * 10^10 pairs of rows and finds two: it has nothing to hand on while it works.
JOIN = """
    SELECT count(*) AS n FROM generate_series(1, 200000) a JOIN generate_series(1, 200000) b
    ON a.a + b.b = 3
"""

INSERT = """
    INSERT INTO {ns}.big SELECT a.id FROM {ns}.big a CROSS JOIN {ns}.big b CROSS JOIN {ns}.big c
"""


def cpu_seconds(pid: int) -> float:
    """User and system time a process has used so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_A_SECOND


def wait_for_share(server: Server, wanted, seconds_max: float, what: str) -> float:
    """Waits until the CPU share of one window satisfies `wanted`; returns the seconds it took."""
    begin = time.monotonic()
    share = None
    while time.monotonic() - begin < seconds_max:
        before, start = cpu_seconds(server.pid), time.monotonic()
        time.sleep(WINDOW_SECONDS)
        share = (cpu_seconds(server.pid) - before) / (time.monotonic() - start)
        if wanted(share):
            return time.monotonic() - begin
    raise AssertionError(f"{what}: still {share:.0%} of a core after {seconds_max} s")


def wait_until_busy(server: Server) -> None:
    """The query runs."""
    wait_for_share(server, lambda s: s > BUSY_SHARE_MIN, START_SECONDS_MAX, "the query never ran")


def wait_until_idle(server: Server) -> None:
    """The query has stopped."""
    wait_for_share(server, lambda s: s < IDLE_SHARE_MAX, STOP_SECONDS_MAX, "work goes on")


@pytest.fixture
def big(own_server):
    """A server of the test's own (its CPU time is measured) with a table to multiply."""
    with own_server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE NAMESPACE ns")
        rows = pa.table({"id": pa.array(range(ROWS), pa.int64())})
        cursor.adbc_ingest("big", rows, "create", db_schema_name="ns")
    return own_server


@pytest.mark.parametrize("sql", [AGGREGATE, JOIN, STREAM], ids=["aggregate", "join", "stream"])
def test_a_cancelled_flight_stream_stops_the_plan(big, sql):
    with RawClient(big) as raw:
        reader = raw.reader(raw.info(statement(sql.format(ns="ns"))))
        if sql is STREAM:
            reader.read_chunk()
        else:
            wait_until_busy(big)
        reader.cancel()
        wait_until_idle(big)
        assert raw.query("SELECT count(*) AS n FROM ns.big")["n"].to_pylist() == [ROWS]


def test_a_closed_adbc_reader_stops_the_plan(big):
    with big.adbc() as connection:
        with connection.cursor() as cursor:
            cursor.execute(AGGREGATE.format(ns="ns"))
            wait_until_busy(big)
            cursor.adbc_cancel()
        wait_until_idle(big)


def test_a_stream_nobody_reads_costs_nothing_and_ends_when_closed(big):
    """Back-pressure: the server fills what is in flight and waits; nothing piles up."""
    with RawClient(big) as raw:
        reader = raw.reader(raw.info(statement(STREAM.format(ns="ns"))))
        reader.read_chunk()
        wait_until_idle(big)
        reader.cancel()
        wait_until_idle(big)


def test_a_statement_that_takes_too_long_is_stopped(big):
    with big.adbc() as connection, connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '500ms'")
        for sql in (AGGREGATE, JOIN, INSERT):
            with pytest.raises(Error) as raised:
                cursor.execute(sql.format(ns="ns"))
                cursor.fetch_arrow_table()
            assert raised.value.status_code == AdbcStatusCode.TIMEOUT, raised.value
            wait_until_idle(big)
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SELECT count(*) FROM ns.big")
        assert cursor.fetchone() == (ROWS,)


def test_a_killed_client_stops_the_plan(big, tmp_path):
    script = (
        "import sys; from pathlib import Path; from flight_sql import RawClient, statement;"
        "from server import Server; s = Server(Path(sys.argv[1])); s.address = sys.argv[2];"
        "c = RawClient(s); c.reader(c.info(statement(sys.argv[3]))).read_all()"
    )
    client = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "x"), big.address, AGGREGATE.format(ns="ns")],
        cwd=os.path.dirname(__file__),
    )
    try:
        wait_until_busy(big)
    finally:
        client.send_signal(signal.SIGKILL)
        client.wait()
    wait_until_idle(big)
    with big.adbc(password=ROOT_PASSWORD) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ns.big")
        assert cursor.fetchone() == (ROWS,)
