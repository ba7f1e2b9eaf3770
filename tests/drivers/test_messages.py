"""Messages stay below the 4 MiB a plain gRPC client takes, whatever the rows are like."""

import pyarrow as pa
import pytest
from adbc_driver_flightsql import DatabaseOptions
from adbc_driver_manager import Error

PLAIN_CLIENT_BYTES_MAX = 4 * 1024 * 1024


@pytest.fixture
def plain(shared_server):
    """A cursor of a client that refuses messages over gRPC's default limit."""
    limit = {DatabaseOptions.WITH_MAX_MSG_SIZE.value: str(PLAIN_CLIENT_BYTES_MAX)}
    with shared_server.adbc(**limit) as connection, connection.cursor() as opened:
        yield opened


SHAPES = {
    "rows_of_a_mebibyte": ["x" * 1_000_000] * 20,
    "a_few_large_among_small": ["y" * 700_000 if i % 500 == 0 else str(i) for i in range(9_000)],
    "many_of_a_kibibyte": [str(i % 10) * 1_000 for i in range(20_000)],
    "one_just_below_the_limit": ["z" * 3_400_000, "small"],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_plain_client_reads_large_rows(cursor, plain, namespace, shape):
    values = SHAPES[shape]
    rows = pa.table({"id": list(range(len(values))), "v": values})
    cursor.adbc_ingest("t", rows, "create", db_schema_name=namespace)
    plain.execute(f"SELECT v FROM {namespace}.t ORDER BY id")
    assert plain.fetch_arrow_table()["v"].to_pylist() == values


def test_a_row_no_message_holds_is_not_stored(cursor, namespace):
    rows = pa.table({"id": [1, 2], "the_column": ["small", "x" * 4_000_000]})
    with pytest.raises(Error, match=rf"row 2 for table {namespace}.t .*4000000 at most"):
        cursor.adbc_ingest("t", rows, "create", db_schema_name=namespace)
    cursor.execute(f"CREATE TABLE {namespace}.u (id INT PRIMARY KEY, v TEXT)")
    cursor.execute(f"INSERT INTO {namespace}.u VALUES (1, repeat('x', 3000000))")
    with pytest.raises(Error, match=rf"table {namespace}.u .*4000000 at most"):
        cursor.execute(f"UPDATE {namespace}.u SET v = v || v")


def test_a_computed_row_no_message_holds_is_an_error_that_names_the_column(plain):
    with pytest.raises(Error, match="the_column"):
        plain.execute("SELECT repeat('x', 9000000) AS the_column")
        plain.fetchall()
