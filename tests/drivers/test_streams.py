"""STREAM tables: appended by every way there is, bounded, gone by themselves, never changed."""

import time

import pyarrow as pa
import pytest
from adbc_driver_manager import AdbcStatusCode, Error

from sample_rows import sample

# Seconds to wait for something that happens after one or two.
PATIENCE = 30.0


@pytest.fixture
def stream(cursor, namespace):
    """A stream of the newest thousand rows."""
    name = f"{namespace}.events"
    cursor.execute(
        f"CREATE STREAM TABLE {name} (n BIGINT, what TEXT DEFAULT 'none') "
        "WITH (TTL_SECONDS = 86400, MAX_ROWS = 1000)"
    )
    return name


def rows_of(cursor, stream: str) -> list[tuple]:
    """The rows in the order of arrival."""
    cursor.execute(f"SELECT _row_id, n, what FROM {stream} ORDER BY _row_id")
    return cursor.fetchall()


def test_rows_come_in_by_every_way_in_the_order_of_arrival(cursor, namespace, stream):
    cursor.execute(f"INSERT INTO {stream} VALUES (1, 'values')")
    assert cursor.rowcount == 1
    cursor.executemany(f"INSERT INTO {stream} VALUES (?, ?)", [(2, "many"), (3, None)])
    assert cursor.rowcount == 2
    batch = pa.table({"n": pa.array([4, 5, 6], pa.int64())})
    assert cursor.adbc_ingest("events", batch, "append", db_schema_name=namespace) == 3
    cursor.execute(f"INSERT INTO {stream} SELECT n + 6, what FROM {stream} WHERE n = 1")
    assert rows_of(cursor, stream) == [
        (1, 1, "values"),
        (2, 2, "many"),
        (3, 3, None),
        (4, 4, "none"),
        (5, 5, "none"),
        (6, 6, "none"),
        (7, 7, "values"),
    ]


def test_a_large_upload_leaves_the_newest_rows(cursor, namespace, stream):
    for start in (0, 200_000):
        numbers = pa.array(range(start, start + 200_000), pa.int64())
        batches = pa.table({"n": numbers}).to_batches(max_chunksize=30_000)
        reader = pa.RecordBatchReader.from_batches(batches[0].schema, batches)
        count = cursor.adbc_ingest("events", reader, "append", db_schema_name=namespace)
        assert count == 200_000
    cursor.execute(f"SELECT count(*), min(n), max(n), min(_row_id) FROM {stream}")
    assert cursor.fetchall() == [(1000, 399_000, 399_999, 399_001)]
    cursor.execute(f"SELECT n FROM {stream} ORDER BY _row_id DESC LIMIT 2")
    assert cursor.fetchall() == [(399_999,), (399_998,)]
    cursor.execute(f"SELECT n FROM {stream} WHERE _row_id > ?", (399_998,))
    assert cursor.fetchall() == [(399_998,), (399_999,)]


def test_a_stream_holds_what_other_tables_hold(cursor, namespace):
    rows = sample(40_000)
    cursor.adbc_ingest("plain", rows, "create", db_schema_name=namespace)
    cursor.execute(f"SHOW CREATE TABLE {namespace}.plain")
    definition = cursor.fetchall()[0][1]
    columns = definition[definition.index("(") : definition.rindex(" WITH (")]
    cursor.execute(f"CREATE STREAM TABLE {namespace}.s {columns} WITH (TTL_SECONDS = 86400)")
    cursor.adbc_ingest("s", rows, "append", db_schema_name=namespace)
    cursor.execute(f"SELECT * FROM {namespace}.s ORDER BY _row_id")
    streamed = cursor.fetch_arrow_table()
    cursor.execute(f"SELECT * FROM {namespace}.plain ORDER BY _row_id")
    assert streamed.equals(cursor.fetch_arrow_table())


def test_rows_go_by_themselves(cursor, namespace):
    name = f"{namespace}.brief"
    cursor.execute(f"CREATE STREAM TABLE {name} (n INT) WITH (TTL_SECONDS = 1)")
    cursor.execute(f"INSERT INTO {name} VALUES (1), (2)")
    deadline = time.monotonic() + PATIENCE
    while True:
        cursor.execute(f"SELECT count(*), count(_updated) FROM {name}")
        count, again = cursor.fetchall()[0]
        assert count == again and count in (0, 2), "one statement's rows go together"
        if count == 0:
            break
        assert time.monotonic() < deadline, "the rows are still there"
        time.sleep(0.05)
    cursor.execute(f"INSERT INTO {name} VALUES (3)")
    cursor.execute(f"SELECT _row_id FROM {name}")
    assert cursor.fetchall() in ([(3,)], [])


def test_rows_are_never_changed(cursor, stream):
    cursor.execute(f"INSERT INTO {stream} VALUES (1, 'a')")
    for change in (f"UPDATE {stream} SET n = 2", f"DELETE FROM {stream} WHERE n = 1"):
        with pytest.raises(Error, match="STREAM table .*only appended") as refused:
            cursor.execute(change)
        assert refused.value.status_code == AdbcStatusCode.NOT_IMPLEMENTED
    assert rows_of(cursor, stream) == [(1, 1, "a")]
