"""Clients that write at the same time: no update is lost, no key is taken twice, and nobody sees
half a statement."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from adbc_driver_manager import AdbcStatusCode, Error

CLIENTS = 8
ROUNDS = 25
KEYS = 40
ATTEMPTS_MAX = 50
INTERRUPTED_SECONDS_MAX = 30


def in_parallel(server, work) -> list:
    """Runs `work(client number, cursor)` on so many connections at once; returns what each did."""
    start = threading.Barrier(CLIENTS)

    def run(number: int):
        with server.adbc() as connection, connection.cursor() as cursor:
            start.wait()
            return work(number, cursor)

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(run, range(CLIENTS)))


def until_done(cursor, sql: str) -> None:
    """Runs a statement again while the server says that others were in the way."""
    for _ in range(ATTEMPTS_MAX):
        try:
            cursor.execute(sql)
            return
        except Error as error:
            if "Aborted" not in str(error):
                raise
    raise AssertionError(f"{sql} was aborted {ATTEMPTS_MAX} times")


@pytest.mark.parametrize("key", ["PRIMARY KEY (id)", "no key"])
def test_increments_are_not_lost(shared_server, cursor, namespace, key):
    clause = "" if key == "no key" else f", {key}"
    cursor.execute(f"CREATE TABLE {namespace}.counters (id INT, n BIGINT{clause})")
    cursor.execute(f"INSERT INTO {namespace}.counters VALUES (1, 0), (2, 0)")

    def increment(number: int, own) -> None:
        for i in range(ROUNDS):
            until_done(own, f"UPDATE {namespace}.counters SET n = n + 1 WHERE id = {1 + i % 2}")

    in_parallel(shared_server, increment)
    cursor.execute(f"SELECT sum(n) FROM {namespace}.counters")
    assert cursor.fetchone() == (CLIENTS * ROUNDS,)


def test_a_key_is_taken_once(shared_server, cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.claims (id INT PRIMARY KEY, who INT)")

    def claim(number: int, own) -> list[int]:
        won = []
        for key in range(KEYS):
            try:
                until_done(own, f"INSERT INTO {namespace}.claims VALUES ({key}, {number})")
                won.append(key)
            except Error as error:
                assert error.status_code == AdbcStatusCode.INVALID_ARGUMENT, error
        return won

    won = in_parallel(shared_server, claim)
    assert sorted(key for keys in won for key in keys) == list(range(KEYS))
    cursor.execute(f"SELECT id, who FROM {namespace}.claims ORDER BY id")
    assert cursor.fetchall() == [
        (key, next(n for n, keys in enumerate(won) if key in keys)) for key in range(KEYS)
    ]


def test_readers_see_whole_statements(shared_server, cursor, namespace):
    """Money moves between rows in single statements: every sum a reader sees is the same."""
    accounts = f"{namespace}.accounts"
    cursor.execute(f"CREATE TABLE {accounts} (id INT PRIMARY KEY, n BIGINT)")
    cursor.executemany(f"INSERT INTO {accounts} VALUES (?, ?)", [(i, 100) for i in range(500)])

    def work(number: int, own) -> set:
        seen = set()
        for i in range(ROUNDS):
            if number < CLIENTS // 2:
                move = f"CASE WHEN id % 2 = 0 THEN {number} ELSE -{number} END"
                until_done(own, f"UPDATE {accounts} SET n = n + {move} WHERE id < {100 + i * 10}")
            else:
                own.execute(f"SELECT sum(n), count(*) FROM {accounts}")
                seen.add(own.fetchone())
        return seen

    seen = set().union(*in_parallel(shared_server, work))
    assert seen == {(50_000, 500)}


def test_concurrent_ingests_into_one_table_all_arrive(shared_server, cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.t (id BIGINT PRIMARY KEY, who INT)")

    def ingest(number: int, own) -> int:
        ids = pa.array(range(number * 10_000, number * 10_000 + 5_000), pa.int64())
        rows = pa.table({"id": ids, "who": pa.array([number] * 5_000, pa.int32())})
        return own.adbc_ingest("t", rows, "append", db_schema_name=namespace)

    assert in_parallel(shared_server, ingest) == [5_000] * CLIENTS
    cursor.execute(f"SELECT who, count(*) FROM {namespace}.t GROUP BY who ORDER BY who")
    assert cursor.fetchall() == [(n, 5_000) for n in range(CLIENTS)]


INTERRUPTED = """
import sys, time
from pathlib import Path
import pyarrow as pa
from server import Server

def batches():
    for i in range(20):
        yield pa.record_batch({"id": list(range(i * 1000, i * 1000 + 1000))})
    print("sent", flush=True)
    time.sleep(600)

server = Server(Path("unused"))
server.address = sys.argv[1]
schema = pa.schema([("id", pa.int64())])
with server.adbc() as connection, connection.cursor() as cursor:
    reader = pa.RecordBatchReader.from_batches(schema, batches())
    cursor.adbc_ingest(sys.argv[3], reader, sys.argv[4], db_schema_name=sys.argv[2])
"""


@pytest.mark.parametrize("mode", ["append", "create"])
def test_an_ingest_whose_client_dies_leaves_nothing(shared_server, cursor, namespace, mode):
    if mode == "append":
        cursor.execute(f"CREATE TABLE {namespace}.t (id BIGINT PRIMARY KEY)")
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, shared_server.address, namespace, "t", mode],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        try:
            assert client.stdout.readline() == "sent\n"
        finally:
            client.kill()
    rows = pa.table({"id": pa.array(range(20_000), pa.int64())})
    deadline = time.monotonic() + INTERRUPTED_SECONDS_MAX
    while True:
        try:
            assert cursor.adbc_ingest("t", rows, mode, db_schema_name=namespace) == 20_000
            break
        except Error:
            # The server may not have seen the connection end yet.
            assert time.monotonic() < deadline, "the interrupted ingest is still in the way"
    cursor.execute(f"SELECT count(*), min(id), max(id) FROM {namespace}.t")
    assert cursor.fetchone() == (20_000, 0, 19_999)
