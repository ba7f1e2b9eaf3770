"""The rows the benchmarks run on, and the peers that hold the same rows in process."""

import functools
import sqlite3
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

SEED = 20130101
WIDE_COLUMNS = 20
FIRST_INSTANT_US = 1_700_000_000_000_000

MESSAGES_SQL = """
    id BIGINT PRIMARY KEY, room BIGINT, kind INT, size INT, flag TEXT, author TEXT, body TEXT,
    score DOUBLE, sent_at TIMESTAMP, seen BOOLEAN
"""


def _texts(random: np.random.Generator, rows: int, length: int, distinct: int) -> pa.Array:
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz012345", dtype=np.uint8)
    pool = letters[random.integers(0, 32, (distinct, length))].tobytes()
    words = pa.array([pool[i : i + length].decode() for i in range(0, len(pool), length)])
    return words.take(pa.array(random.integers(0, distinct, rows)))


@functools.cache
def messages(rows: int) -> pa.Table:
    """`rows` x 10: two int64, two int32, texts of 4, 16 and 32 bytes, a float, a timestamp and a
    boolean; about 104 bytes a row."""
    random = np.random.default_rng(SEED)
    return pa.table(
        {
            "id": pa.array(np.arange(rows, dtype=np.int64)),
            "room": pa.array(random.integers(0, 500, rows)),
            "kind": pa.array(random.integers(0, 8, rows, dtype=np.int32)),
            "size": pa.array(random.integers(0, 100_000, rows, dtype=np.int32)),
            "flag": _texts(random, rows, 4, 64),
            "author": _texts(random, rows, 16, 10_000),
            "body": _texts(random, rows, 32, 100_000),
            "score": pa.array(random.random(rows)),
            "sent_at": pa.array(FIRST_INSTANT_US + np.arange(rows) * 1_000).cast(
                pa.timestamp("us")
            ),
            "seen": pa.array(random.integers(0, 2, rows).astype(bool)),
        }
    )


@functools.cache
def wide(rows: int) -> pa.Table:
    """`rows` x 20: a key, eleven numbers and eight texts."""
    random = np.random.default_rng(SEED)
    columns: dict[str, pa.Array] = {"id": pa.array(np.arange(rows, dtype=np.int64))}
    for i in range(1, WIDE_COLUMNS):
        if i % 5 < 3:
            columns[f"c{i}"] = pa.array(random.integers(0, 1 << 40, rows))
        else:
            columns[f"c{i}"] = _texts(random, rows, 16, 10_000)
    return pa.table(columns)


def wide_sql() -> str:
    """The wide table's columns as CREATE TABLE declares them."""
    types = {pa.int64(): "BIGINT", pa.string(): "TEXT"}
    columns = [f"{f.name} {types[f.type]}" for f in wide(1).schema]
    return f"{', '.join(columns)}, PRIMARY KEY (id)"


def duckdb_peer(rows: int) -> duckdb.DuckDBPyConnection:
    """DuckDB in this process, its table in memory, with the same key."""
    peer = duckdb.connect()
    peer.execute(f"CREATE TABLE messages ({MESSAGES_SQL})")
    table = messages(rows)
    peer.register("incoming", table)
    peer.execute("INSERT INTO messages SELECT * FROM incoming")
    peer.unregister("incoming")
    return peer


def sqlite_peer(directory: Path, rows: int) -> sqlite3.Connection:
    """SQLite in this process on a file, WAL mode, with the same key."""
    peer = sqlite3.connect(directory / "peer.sqlite")
    peer.execute("PRAGMA journal_mode = WAL")
    peer.execute("PRAGMA synchronous = FULL")
    names = messages(1).column_names
    peer.execute(f"CREATE TABLE messages (id INTEGER PRIMARY KEY, {', '.join(names[1:])})")
    plain = messages(rows).set_column(8, "sent_at", messages(rows)["sent_at"].cast(pa.int64()))
    marks = ", ".join("?" * len(names))
    for batch in plain.to_batches(max_chunksize=65_536):
        values = zip(*(column.to_pylist() for column in batch.columns))
        peer.executemany(f"INSERT INTO messages VALUES ({marks})", values)
    peer.commit()
    return peer
