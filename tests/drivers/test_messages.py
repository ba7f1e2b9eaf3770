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


def test_a_row_no_message_holds_is_an_error_that_names_the_column(cursor, plain, namespace):
    rows = pa.table({"id": [1, 2], "the_column": ["x" * 9_000_000, "small"]})
    cursor.adbc_ingest("t", rows, "create", db_schema_name=namespace)
    with pytest.raises(Error, match="the_column"):
        plain.execute(f"SELECT the_column FROM {namespace}.t")
        plain.fetchall()
    plain.execute(f"SELECT length(the_column) AS n FROM {namespace}.t ORDER BY id")
    assert plain.fetchall() == [(9_000_000,), (5,)]
