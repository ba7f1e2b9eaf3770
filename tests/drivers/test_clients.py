"""Each stock client writes a table and reads it back: ADBC, raw pyarrow Flight, polars, pandas."""

import warnings

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from adbc_driver_manager import AdbcStatusCode, ProgrammingError
from polars.testing import assert_frame_equal

from flight_sql import RawClient
from sample_rows import DECLARED, SCHEMA, sample
from server import ROOT_PASSWORD


def read_back(cursor, table: str, order: str = "id") -> pa.Table:
    """The whole table, ordered, with the schema's optional parts dropped."""
    cursor.execute(f"SELECT * FROM {table} ORDER BY {order}")
    return cursor.fetch_arrow_table()


# ---- raw pyarrow.flight


def test_pyarrow_flight_writes_and_reads(shared_server, namespace):
    with RawClient(shared_server) as raw:
        raw.update(f"CREATE TABLE {namespace}.t (id INT PRIMARY KEY, name TEXT)")
        assert (
            raw.update(f"INSERT INTO {namespace}.t VALUES (1, 'one'), (2, NULL), (3, 'three')") == 3
        )
        got = raw.query(f"SELECT id, name FROM {namespace}.t ORDER BY id")
    assert got.to_pydict() == {"id": [1, 2, 3], "name": ["one", None, "three"]}


def test_pyarrow_flight_takes_sql_text_as_the_command(shared_server):
    with RawClient(shared_server) as raw:
        info = raw.info(b"SELECT 41 + 1 AS answer")
        assert raw.reader(info).read_all().to_pydict() == {"answer": [42]}


def test_pyarrow_flight_streams_in_batches_of_its_own(shared_server, namespace):
    with shared_server.adbc() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("big", sample(50_000), "create", db_schema_name=namespace)
    with RawClient(shared_server) as raw:
        batches = [
            chunk.data for chunk in raw.reader(raw.info(f"SELECT * FROM {namespace}.big".encode()))
        ]
    assert sum(batch.num_rows for batch in batches) == 50_000
    assert len(batches) > 1, "one batch for everything would not stream"


# ---- ADBC


def test_adbc_reads_what_it_ingested(cursor, namespace):
    rows = sample()
    assert cursor.adbc_ingest("t", rows, "create", db_schema_name=namespace) == rows.num_rows
    got = read_back(cursor, f"{namespace}.t")
    assert got.cast(SCHEMA).equals(rows)
    assert got.schema.equals(SCHEMA, check_metadata=False), got.schema


def test_adbc_ingests_into_a_declared_table(cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.t ({DECLARED}, PRIMARY KEY (id))")
    rows = sample()
    assert cursor.adbc_ingest("t", rows, "append", db_schema_name=namespace) == rows.num_rows
    assert read_back(cursor, f"{namespace}.t").cast(SCHEMA).equals(rows)


def test_adbc_appends_by_column_name(cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.t (a INT, b TEXT, c DOUBLE)")
    cursor.adbc_ingest("t", pa.table({"b": ["x"], "a": [1]}), "append", db_schema_name=namespace)
    cursor.execute(f"SELECT a, b, c FROM {namespace}.t")
    assert cursor.fetchall() == [(1, "x", None)]
    with pytest.raises(ProgrammingError, match="nosuch"):
        cursor.adbc_ingest("t", pa.table({"nosuch": [1]}), "append", db_schema_name=namespace)


def test_adbc_ingest_modes(cursor, namespace):
    first, second = sample(10), sample(25).slice(10)

    def ingest(mode: str, rows: pa.Table = first) -> int:
        return cursor.adbc_ingest("t", rows, mode, db_schema_name=namespace)

    def ids() -> list[int]:
        return read_back(cursor, f"{namespace}.t")["id"].to_pylist()

    with pytest.raises(ProgrammingError) as missing:
        ingest("append")
    assert missing.value.status_code == AdbcStatusCode.NOT_FOUND
    assert ingest("create") == 10
    with pytest.raises(ProgrammingError) as existing:
        ingest("create")
    assert existing.value.status_code == AdbcStatusCode.ALREADY_EXISTS
    assert ids() == list(range(10))
    assert ingest("append", second) == 15
    assert ids() == list(range(25))
    assert ingest("create_append", first.slice(0, 1)) == 1
    assert len(ids()) == 26
    assert ingest("replace", second) == 15
    assert ids() == list(range(10, 25))
    other = pa.table({"id": [7], "quite": ["different"]})
    assert ingest("replace", other) == 1
    assert read_back(cursor, f"{namespace}.t").to_pydict() == {"id": [7], "quite": ["different"]}
    assert cursor.adbc_ingest("u", first, "create_append", db_schema_name=namespace) == 10


def test_adbc_ingest_of_no_rows_creates_the_table(cursor, namespace):
    empty = pa.RecordBatch.from_pylist([], schema=SCHEMA)
    assert cursor.adbc_ingest("t", empty, "create", db_schema_name=namespace) == 0
    got = read_back(cursor, f"{namespace}.t")
    assert got.num_rows == 0
    assert got.schema.equals(SCHEMA, check_metadata=False)


def test_adbc_ingest_of_one_batch_above_grpcs_default_limit(cursor, namespace):
    rows = pa.table({"id": list(range(24)), "text": ["x" * 1_000_000] * 24})
    assert len(rows.to_batches()) == 1
    assert cursor.adbc_ingest("t", rows, "create", db_schema_name=namespace) == 24
    cursor.execute(f"SELECT sum(length(text)) AS n FROM {namespace}.t")
    assert cursor.fetchone() == (24_000_000,)


def test_adbc_ingest_is_atomic(cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.t (id BIGINT PRIMARY KEY, v TEXT)")
    rows = pa.table({"id": [*range(5000), 17], "v": ["x"] * 5001})
    with pytest.raises(cursor.connection.Error, match="17"):
        cursor.adbc_ingest(
            "t", rows.to_reader(max_chunksize=500), "append", db_schema_name=namespace
        )
    cursor.execute(f"SELECT count(*) FROM {namespace}.t")
    assert cursor.fetchone() == (0,)


def test_adbc_binds_parameters(cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.t ({DECLARED}, PRIMARY KEY (id))")
    cursor.adbc_ingest("t", sample(100), "append", db_schema_name=namespace)
    for mark in ("?", "$1"):
        cursor.execute(f"SELECT name FROM {namespace}.t WHERE id = {mark}", (17,))
        assert cursor.fetchall() == [("name 17 – ñ 漢",)]
    cursor.execute(
        f"SELECT id FROM {namespace}.t WHERE name LIKE ? AND score > ? ORDER BY id LIMIT ?",
        ("name 8%", -16.0, 3),
    )
    assert cursor.fetchall() == [(80,), (81,), (84,)]
    cursor.execute(f"SELECT count(*) FROM {namespace}.t WHERE id = ?", (None,))
    assert cursor.fetchall() == [(0,)]


def test_adbc_runs_a_query_once_for_each_bound_row(cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.t (id INT PRIMARY KEY, v TEXT)")
    cursor.execute(f"INSERT INTO {namespace}.t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    bound = pa.record_batch({"1": pa.array([3, 1, 9, 3])})
    cursor.execute(f"SELECT id, v FROM {namespace}.t WHERE id = ?", bound)
    assert cursor.fetchall() == [(3, "c"), (1, "a"), (3, "c")]


def test_adbc_executemany(cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.t (id INT PRIMARY KEY, v TEXT)")
    cursor.executemany(
        f"INSERT INTO {namespace}.t VALUES (?, ?)", [(i, f"v{i}") for i in range(500)]
    )
    assert cursor.rowcount == 500
    cursor.executemany(
        f"UPDATE {namespace}.t SET v = ? WHERE id = ?", [("x", 7), ("y", 8), ("z", 999)]
    )
    assert cursor.rowcount == 2
    cursor.executemany(f"DELETE FROM {namespace}.t WHERE id = ?", [(i,) for i in range(10, 500)])
    assert cursor.rowcount == 490
    cursor.executemany(f"INSERT INTO {namespace}.t VALUES (?, ?)", [])
    cursor.execute(f"SELECT * FROM {namespace}.t WHERE id >= 6 ORDER BY id")
    assert cursor.fetchall() == [(6, "v6"), (7, "x"), (8, "y"), (9, "v9")]


def test_adbc_executemany_of_an_insert_is_one_statement(cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.t (id INT PRIMARY KEY)")
    with pytest.raises(cursor.connection.Error):
        cursor.executemany(f"INSERT INTO {namespace}.t VALUES (?)", [(1,), (2,), (1,)])
    cursor.execute(f"SELECT count(*) FROM {namespace}.t")
    assert cursor.fetchone() == (0,)


def test_adbc_rowcount_description_and_fetching(cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.t (id INT, v TEXT)")
    cursor.execute(f"INSERT INTO {namespace}.t VALUES (1, 'a'), (2, 'b'), (3, NULL)")
    assert cursor.rowcount == 3
    cursor.execute(f"UPDATE {namespace}.t SET v = 'c' WHERE id < 3")
    assert cursor.rowcount == 2
    cursor.execute(f"DELETE FROM {namespace}.t WHERE id = 4")
    assert cursor.rowcount == 0
    cursor.execute(f"SELECT id, v FROM {namespace}.t ORDER BY id")
    assert [column[0] for column in cursor.description] == ["id", "v"]
    assert cursor.rowcount in (-1, 3)
    assert cursor.fetchone() == (1, "c")
    assert cursor.fetchmany(1) == [(2, "c")]
    assert cursor.fetchall() == [(3, None)]
    assert cursor.fetchone() is None


def test_adbc_get_objects(connection, namespace):
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {namespace}.first (id INT PRIMARY KEY, v TEXT NOT NULL, w DOUBLE)"
        )
        cursor.execute(f"CREATE TABLE {namespace}.second (x TEXT)")
    objects = (
        connection.adbc_get_objects(depth="all", db_schema_filter=namespace).read_all().to_pylist()
    )
    (catalog,) = [c for c in objects if c["catalog_name"] == "kalam"]
    (schema,) = catalog["catalog_db_schemas"]
    assert schema["db_schema_name"] == namespace
    tables = {t["table_name"]: t for t in schema["db_schema_tables"]}
    assert sorted(tables) == ["first", "second"]
    assert {t["table_type"] for t in tables.values()} == {"TABLE"}
    columns = tables["first"]["table_columns"]
    assert [(c["column_name"], c["ordinal_position"]) for c in columns] == [
        ("id", 1),
        ("v", 2),
        ("w", 3),
    ]
    assert [c["xdbc_type_name"] for c in columns] == ["INT", "TEXT", "DOUBLE"]
    for depth in ("catalogs", "db_schemas", "tables"):
        shallow = connection.adbc_get_objects(depth=depth).read_all().to_pylist()
        assert [c["catalog_name"] for c in shallow] == ["kalam"]


def test_adbc_get_table_schema(connection, namespace):
    """The driver sends the name as a LIKE pattern: one with `_` matches its neighbours too."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {namespace}.a_b (wanted INT NOT NULL, also TEXT)")
        cursor.execute(f'CREATE TABLE {namespace}."aAb" (other DOUBLE)')
        cursor.execute(f"CREATE TABLE {namespace}.axb (other DOUBLE)")
    schema = connection.adbc_get_table_schema("a_b", db_schema_filter=namespace)
    expected = pa.schema([pa.field("wanted", pa.int32(), nullable=False), ("also", pa.string())])
    assert schema.equals(expected, check_metadata=False), schema
    with pytest.raises(ProgrammingError) as missing:
        connection.adbc_get_table_schema("nosuch", db_schema_filter=namespace)
    assert missing.value.status_code == AdbcStatusCode.NOT_FOUND


def test_adbc_get_info_and_table_types(connection):
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "KalamDB"
    assert info["vendor_version"]
    assert info["vendor_arrow_version"]
    assert {"TABLE", "SYSTEM TABLE"} <= set(connection.adbc_get_table_types())


def test_adbc_prepare_and_execute_schema_do_not_execute(cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.t (id INT PRIMARY KEY, v TEXT)")
    parameters = cursor.adbc_prepare(f"INSERT INTO {namespace}.t VALUES (?, ?)")
    assert parameters.types == [pa.int32(), pa.string()]
    cursor.adbc_prepare(f"CREATE TABLE {namespace}.never (id INT)")
    schema = cursor.adbc_execute_schema(f"SELECT v, count(*) AS n FROM {namespace}.t GROUP BY v")
    assert schema.names == ["v", "n"]
    cursor.execute(f"SELECT count(*) FROM {namespace}.t")
    assert cursor.fetchone() == (0,)
    with pytest.raises(ProgrammingError):
        cursor.execute(f"SELECT * FROM {namespace}.never")


def test_adbc_partitions_can_be_read_elsewhere(shared_server, cursor, namespace):
    cursor.adbc_ingest("t", sample(100), "create", db_schema_name=namespace)
    partitions, schema = cursor.adbc_execute_partitions(f"SELECT id FROM {namespace}.t")
    assert schema.names == ["id"]
    ids = []
    with shared_server.adbc() as other, other.cursor() as reader:
        for partition in partitions:
            reader.adbc_read_partition(partition)
            ids += reader.fetch_arrow_table()["id"].to_pylist()
    assert sorted(ids) == list(range(100))


def test_adbc_connects_without_asking_for_autocommit(shared_server):
    """dbapi's default wants transactions; a server without them says so, and work goes on."""
    import adbc_driver_flightsql.dbapi as dbapi

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"username": "root", "password": ROOT_PASSWORD}
        with (
            dbapi.connect(shared_server.uri, db_kwargs=options) as opened,
            opened.cursor() as cursor,
        ):
            cursor.execute("SELECT 1 AS one")
            assert cursor.fetchall() == [(1,)]


# ---- polars


def test_polars_writes_and_reads(connection, namespace):
    frame = pl.from_arrow(sample())
    name = f"{namespace}.t"
    assert frame.write_database(name, connection, engine="adbc") == 1000
    assert_frame_equal(pl.read_database(f"SELECT * FROM {name} ORDER BY id", connection), frame)
    with pytest.raises(ProgrammingError):
        frame.write_database(name, connection, engine="adbc", if_table_exists="fail")
    frame.write_database(name, connection, engine="adbc", if_table_exists="append")
    count = pl.read_database(f"SELECT count(*) AS n FROM {name}", connection)
    assert count["n"].to_list() == [2000]
    frame.head(3).write_database(name, connection, engine="adbc", if_table_exists="replace")
    assert_frame_equal(
        pl.read_database(f"SELECT * FROM {name} ORDER BY id", connection), frame.head(3)
    )


def test_polars_carries_its_own_types(connection, namespace):
    frame = pl.DataFrame(
        {
            "small": pl.Series([1, None, 255], dtype=pl.UInt8),
            "word": pl.Series(["a", None, "b"], dtype=pl.Categorical),
            "list": pl.Series([[1, 2], None, []], dtype=pl.List(pl.Int32)),
            "struct": [{"x": 1, "y": "p"}, {"x": None, "y": "q"}, {"x": 3, "y": None}],
        }
    )
    frame.write_database(f"{namespace}.t", connection, engine="adbc")
    got = pl.read_database(f"SELECT * FROM {namespace}.t", connection)
    assert_frame_equal(got, frame.with_columns(pl.col("word").cast(pl.String)))


def test_polars_binds_parameters(connection, namespace):
    pl.from_arrow(sample(100)).write_database(f"{namespace}.t", connection, engine="adbc")
    got = pl.read_database(
        f"SELECT id FROM {namespace}.t WHERE name = ? OR id = ? ORDER BY id",
        connection,
        execute_options={"parameters": ["name 5 – ñ 漢", 60]},
    )
    assert got["id"].to_list() == [5, 60]


# ---- pandas


def test_pandas_writes_and_reads(connection, namespace):
    rows = sample().drop_columns(["price"])
    frame = rows.to_pandas(types_mapper=pd.ArrowDtype)
    assert frame.to_sql("t", connection, schema=namespace, index=False) == 1000
    query = f"SELECT * FROM {namespace}.t ORDER BY id"
    got = pd.read_sql(query, connection, dtype_backend="pyarrow")
    pd.testing.assert_frame_equal(got, frame)
    with pytest.raises(ValueError, match="already exists"):
        frame.to_sql("t", connection, schema=namespace, index=False)
    frame.to_sql("t", connection, schema=namespace, index=False, if_exists="append")
    assert len(pd.read_sql(query, connection)) == 2000
    frame.head(5).to_sql("t", connection, schema=namespace, index=False, if_exists="replace")
    assert pd.read_sql(query, connection)["id"].to_list() == [0, 1, 2, 3, 4]
    frame.head(2).to_sql("t", connection, schema=namespace, index=False, if_exists="delete_rows")
    assert pd.read_sql(query, connection)["id"].to_list() == [0, 1]


def test_pandas_keeps_plain_numpy_frames(connection, namespace):
    frame = pd.DataFrame({"n": [1, 2, 3], "x": [0.5, -1.25, 1e300], "s": ["a", "b", "c"]})
    frame.index.name = "nth"
    frame.to_sql("plain", connection, schema=namespace)
    got = pd.read_sql(f"SELECT * FROM {namespace}.plain ORDER BY nth", connection, index_col="nth")
    assert got.to_dict("list") == frame.to_dict("list")
