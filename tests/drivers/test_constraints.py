"""CHECK and VARCHAR(n) hold on every way in: statements, executemany, bulk ingest."""

import datetime

import pyarrow as pa
import pytest
from adbc_driver_manager import AdbcStatusCode as Code
from adbc_driver_manager import Error


@pytest.fixture
def table(cursor, namespace):
    """A table with a check on two columns and a bounded text, and one row."""
    cursor.execute(
        f"CREATE TABLE {namespace}.t (id INT PRIMARY KEY, low DOUBLE, high DOUBLE, "
        "code VARCHAR(4), day DATE CHECK (day >= '2020-01-01'), "
        "CONSTRAINT ordered CHECK (low <= high))"
    )
    cursor.execute(f"INSERT INTO {namespace}.t VALUES (1, 1.0, 2.0, 'abcd', '2020-01-01')")
    return f"{namespace}.t"


def rows(
    ids=(2, 3), low=(1.0, None), high=(1.0, -5.0), code=("äöüß", None), day=(None, None)
) -> pa.Table:
    """Two rows that meet everything, but for what is given."""
    return pa.table(
        {
            "id": pa.array(ids, pa.int32()),
            "low": pa.array(low, pa.float64()),
            "high": pa.array(high, pa.float64()),
            "code": pa.array(code, pa.string()),
            "day": pa.array(day, pa.date32()),
        }
    )


BROKEN = [
    ({"low": (1.0, 3.0), "high": (1.0, 2.0)}, "ordered", "23514", "low = 3.0, high = 2.0"),
    ({"code": ("ok", "äöüßx")}, "VARCHAR(4)", "22001", "5 characters"),
    ({"day": (None, datetime.date(2019, 12, 31))}, "t_day_check", "23514", "day = 2019-12-31"),
]
IDS = ["check_of_two_columns", "length", "check_of_one_column"]


def assert_refused(raised, named, sqlstate, shown):
    error = raised.value
    assert error.status_code == Code.INVALID_ARGUMENT, error
    for part in (named, "row 2", shown):
        assert part in str(error), error
    assert sqlstate in (error.sqlstate or "") or sqlstate in str(error.details), error


@pytest.mark.parametrize(("columns", "named", "sqlstate", "shown"), BROKEN, ids=IDS)
def test_ingest_is_refused_whole(
    cursor, namespace, table, columns, named, sqlstate, shown
):
    with pytest.raises(Error) as raised:
        cursor.adbc_ingest("t", rows(**columns), "append", db_schema_name=namespace)
    assert_refused(raised, named, sqlstate, shown)
    cursor.execute(f"SELECT id FROM {table}")
    assert cursor.fetchall() == [(1,)]


@pytest.mark.parametrize(("columns", "named", "sqlstate", "shown"), BROKEN, ids=IDS)
def test_executemany_is_refused_whole(cursor, table, columns, named, sqlstate, shown):
    values = [tuple(row.values()) for row in rows(**columns).to_pylist()]
    with pytest.raises(Error) as raised:
        cursor.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", values)
    assert_refused(raised, named, sqlstate, shown)
    cursor.execute(f"SELECT id FROM {table}")
    assert cursor.fetchall() == [(1,)]


def test_what_meets_them_is_written(cursor, namespace, table):
    assert cursor.adbc_ingest("t", rows(), "append", db_schema_name=namespace) == 2
    values = [tuple(row.values()) for row in rows(ids=(4, 5)).to_pylist()]
    cursor.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", values)
    cursor.execute(f"SELECT id, code FROM {table} ORDER BY id")
    expected = [(1, "abcd"), (2, "äöüß"), (3, None), (4, "äöüß"), (5, None)]
    assert cursor.fetchall() == expected


def test_remarks_reach_the_driver(connection, cursor, table, namespace):
    cursor.execute(f"COMMENT ON COLUMN {table}.code IS 'four letters'")
    found = connection.adbc_get_table_schema("t", db_schema_filter=namespace)
    assert found.field("code").metadata[b"ARROW:FLIGHT:SQL:REMARKS"] == b"four letters"
