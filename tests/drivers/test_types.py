"""Every column type keeps every value: as a literal, a bound parameter, ingested, and as a key."""

import datetime
import json
import os
import struct
import subprocess
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from adbc_driver_manager import AdbcStatusCode, Error

from server import ROOT_PASSWORD
from type_cases import ALIASES, CASES, FOREIGN, TypeCase

each_type = pytest.mark.parametrize("case", CASES, ids=lambda case: case.sql)
each_key_type = pytest.mark.parametrize(
    "case", [case for case in CASES if case.is_key], ids=lambda case: case.sql
)


def exact(array: pa.Array | pa.ChunkedArray) -> list:
    """Values for comparison: floats as their bits, so that -0.0 and NaN count."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_floating(array.type):
        return [None if v is None else struct.pack("<d", v) for v in array.to_pylist()]
    if pa.types.is_timestamp(array.type):
        return array.cast(pa.int64()).to_pylist()
    return array.to_pylist()


def plain(arrow: pa.DataType) -> pa.DataType:
    """The type under an extension type."""
    return arrow.storage_type if isinstance(arrow, pa.BaseExtensionType) else arrow


@pytest.fixture
def table(cursor, namespace, case: TypeCase):
    """A table with a column of the case's type."""
    cursor.execute(f"CREATE TABLE {namespace}.t (k INT PRIMARY KEY, v {case.sql})")
    return f"{namespace}.t"


def assert_holds(cursor, table: str, case: TypeCase, expected: pa.Array) -> None:
    """The column has the case's Arrow type and exactly these values."""
    cursor.execute(f"SELECT v FROM {table} ORDER BY k")
    got = cursor.fetch_arrow_table()
    assert got.schema.field("v").type == case.arrow, got.schema
    assert exact(got["v"]) == exact(expected)


@each_type
def test_sql_literals(cursor, table, case):
    for k, (literal, _) in enumerate(case.values):
        cursor.execute(f"INSERT INTO {table} VALUES ({k}, {literal})")
        assert cursor.rowcount == 1
    cursor.execute(f"INSERT INTO {table} VALUES ({len(case.values)}, NULL)")
    assert_holds(cursor, table, case, case.array())
    cursor.execute(f"SELECT k FROM {table} WHERE v IS NULL")
    assert cursor.fetchall() == [(len(case.values),)]


@each_type
def test_one_values_list_of_all_literals(cursor, table, case):
    rows = [f"({k}, {literal})" for k, (literal, _) in enumerate(case.values)]
    cursor.execute(f"INSERT INTO {table} VALUES {', '.join(rows)}, ({len(rows)}, NULL)")
    assert_holds(cursor, table, case, case.array())


@each_type
def test_bound_parameters(cursor, table, case):
    values = case.array()
    keys = pa.array(range(len(values)), pa.int32())
    parameters = cursor.adbc_prepare(f"INSERT INTO {table} VALUES (?, ?)")
    assert plain(parameters.field(1).type) == plain(case.arrow), parameters
    bound = pa.RecordBatch.from_arrays([keys, values], names=["1", "2"])
    cursor.executemany(f"INSERT INTO {table} VALUES (?, ?)", bound)
    assert cursor.rowcount == len(values)
    assert_holds(cursor, table, case, values)
    cursor.executemany(f"UPDATE {table} SET v = ? WHERE k = ?", bound.select(["2", "1"]))
    assert cursor.rowcount == len(values)
    assert_holds(cursor, table, case, values)


@each_type
def test_ingest_into_the_declared_column(connection, namespace, table, case):
    values = case.array()
    rows = pa.table({"k": pa.array(range(len(values)), pa.int32()), "v": values})
    with connection.cursor() as cursor:
        cursor.adbc_ingest("t", rows, "append", db_schema_name=namespace)
        assert_holds(cursor, table, case, values)


@each_type
def test_ingest_creates_a_column_of_the_type(cursor, namespace, case):
    values = case.array()
    rows = pa.table({"k": pa.array(range(len(values)), pa.int32()), "v": values})
    cursor.adbc_ingest("made", rows, "create", db_schema_name=namespace)
    assert_holds(cursor, f"{namespace}.made", case, values)
    cursor.execute(
        "SELECT data_type FROM information_schema.columns"
        f" WHERE table_schema = '{namespace}' AND table_name = 'made' AND column_name = 'v'"
    )
    (name,) = cursor.fetchone()
    assert name.replace('"', "") == case.sql


@each_type
def test_values_survive_update_delete_and_reinsertion(cursor, table, case):
    values = case.array()
    keys = pa.array(range(len(values)), pa.int32())
    bound = pa.RecordBatch.from_arrays([keys, values], names=["1", "2"])
    cursor.executemany(f"INSERT INTO {table} VALUES (?, ?)", bound)
    cursor.execute(f"UPDATE {table} SET v = NULL")
    assert_holds(cursor, table, case, case.array([None] * len(values)))
    cursor.execute(f"DELETE FROM {table}")
    cursor.executemany(f"INSERT INTO {table} VALUES (?, ?)", bound)
    assert_holds(cursor, table, case, values)
    cursor.execute(f"INSERT INTO {table} SELECT k + 1000, v FROM {table}")
    cursor.execute(f"DELETE FROM {table} WHERE k < 1000")
    assert_holds(cursor, table, case, values)


@each_type
def test_show_create_table_makes_the_same_table_again(cursor, namespace, table, case):
    cursor.execute(f"SHOW CREATE TABLE {table}")
    shown = cursor.fetchall()[0][-1]
    cursor.execute(f"DROP TABLE {table}")
    cursor.execute(shown)
    cursor.execute(f"SELECT v FROM {table}")
    assert cursor.fetch_arrow_table().schema.field("v").type == case.arrow
    cursor.execute(f"SHOW CREATE TABLE {table}")
    assert cursor.fetchall()[0][-1] == shown


@each_key_type
def test_keys_are_unique_ordered_and_found(cursor, namespace, case):
    """Rising literals come back in that order from storage, each found by equality and range."""
    values = [value for _, value in case.values]
    name = f"{namespace}.keyed"
    cursor.execute(f"CREATE TABLE {name} (v {case.sql} PRIMARY KEY, n INT)")
    shuffled = [values[i] for i in sorted(range(len(values)), key=lambda i: (i * 7) % 5)]
    rows = pa.table(
        {"v": case.array(shuffled), "n": pa.array([values.index(v) for v in shuffled], pa.int32())}
    )
    cursor.adbc_ingest("keyed", rows, "append", db_schema_name=namespace)
    for direction, expected in (
        ("", list(range(len(values)))),
        ("DESC", list(range(len(values)))[::-1]),
    ):
        cursor.execute(f"SELECT n FROM {name} ORDER BY v {direction}")
        assert [n for (n,) in cursor.fetchall()] == expected
    for n, (literal, value) in enumerate(case.values):
        cursor.execute(f"SELECT n FROM {name} WHERE v = {literal}")
        assert cursor.fetchall() == [(n,)], literal
        bound = pa.RecordBatch.from_arrays([case.array([value])], names=["1"])
        cursor.execute(f"SELECT n FROM {name} WHERE v = ?", bound)
        assert cursor.fetchall() == [(n,)], literal
        cursor.execute(f"SELECT n FROM {name} WHERE v >= {literal} ORDER BY n")
        assert cursor.fetchall() == [(m,) for m in range(n, len(values))], literal
        cursor.execute(f"SELECT n FROM {name} WHERE v < {literal} ORDER BY n")
        assert cursor.fetchall() == [(m,) for m in range(n)], literal
        with pytest.raises(Error):
            cursor.execute(f"INSERT INTO {name} VALUES ({literal}, -1)")
    with pytest.raises(Error, match="v"):
        cursor.execute(f"INSERT INTO {name} VALUES (NULL, -1)")
    cursor.execute(f"SELECT count(*) FROM {name}")
    assert cursor.fetchone() == (len(values),)


def test_minus_zero_and_zero_are_one_key_and_two_values(cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.z (k DOUBLE PRIMARY KEY, v DOUBLE)")
    bound = pa.record_batch({"1": [0.0], "2": [-0.0]})
    cursor.executemany(f"INSERT INTO {namespace}.z VALUES (?, ?)", bound)
    with pytest.raises(Error):
        cursor.executemany(
            f"INSERT INTO {namespace}.z VALUES (?, ?)", pa.record_batch({"1": [-0.0], "2": [1.0]})
        )
    cursor.execute(f"SELECT v FROM {namespace}.z WHERE k = 0")
    assert exact(cursor.fetch_arrow_table()["v"]) == [struct.pack("<d", -0.0)]


def test_text_may_hold_any_character(cursor, namespace):
    values = ["\x00", "a\x00b", "\n\t\"'\\", "\U0010ffff", "e\u0301"]
    cursor.execute(f"CREATE TABLE {namespace}.t (k TEXT PRIMARY KEY, v TEXT)")
    cursor.executemany(f"INSERT INTO {namespace}.t VALUES (?, ?)", [(v, v) for v in values])
    cursor.execute(f"SELECT k, v FROM {namespace}.t ORDER BY k")
    assert cursor.fetchall() == [(v, v) for v in sorted(values, key=str.encode)]


@pytest.mark.parametrize("alias", ALIASES)
def test_other_names_of_a_type(cursor, namespace, alias):
    expected = next(case.arrow for case in CASES if case.sql == ALIASES[alias])
    cursor.execute(f"CREATE TABLE {namespace}.t (v {alias})")
    cursor.execute(f"SELECT v FROM {namespace}.t")
    assert cursor.fetch_arrow_table().schema.field("v").type == expected


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_arrow_types_become_the_nearest_column(cursor, namespace, name):
    sent, expected = FOREIGN[name]
    rows = pa.table({"k": pa.array(range(len(sent))), "v": sent})
    cursor.adbc_ingest("t", rows, "create", db_schema_name=namespace)
    cursor.execute(f"SELECT v FROM {namespace}.t ORDER BY k")
    got = cursor.fetch_arrow_table()["v"]
    assert got.type == expected.type
    assert exact(got) == exact(expected)


def test_a_type_without_a_column_is_refused(cursor, namespace):
    rows = pa.table({"m": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))})
    with pytest.raises(Error, match=r"(?i)map") as raised:
        cursor.adbc_ingest("t", rows, "create", db_schema_name=namespace)
    assert raised.value.status_code in (
        AdbcStatusCode.INVALID_ARGUMENT,
        AdbcStatusCode.NOT_IMPLEMENTED,
    )


@pytest.mark.parametrize(
    ("sql_type", "literal"),
    [
        ("TINYINT", "128"),
        ("INT", "-2147483649"),
        ("BIGINT", "9223372036854775808"),
        ("INT UNSIGNED", "-1"),
        ("BIGINT UNSIGNED", "18446744073709551616"),
        ("DECIMAL(5, 2)", "1000.00"),
        ("INT", "'twelve'"),
        ("BOOLEAN", "'perhaps'"),
        ("DATE", "'2023-02-29'"),
        ("TIMESTAMP", "'yesterday'"),
        ("UUID", "'550e8400'"),
        ("JSON", "'{not json'"),
        ("EMBEDDING(3)", "[1.0, 2.0]"),
        ("EMBEDDING(3)", "[1.0, 2.0, NULL]"),
        ("BYTES", "42"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_table_column_and_row(
    cursor, namespace, sql_type, literal
):
    cursor.execute(f"CREATE TABLE {namespace}.t (k INT PRIMARY KEY, the_column {sql_type})")
    with pytest.raises(Error) as raised:
        cursor.execute(f"INSERT INTO {namespace}.t VALUES (1, NULL), (2, {literal})")
    assert raised.value.status_code == AdbcStatusCode.INVALID_ARGUMENT, raised.value
    assert "the_column" in str(raised.value)
    cursor.execute(f"SELECT count(*) FROM {namespace}.t")
    assert cursor.fetchone() == (0,), "nothing was written"


@pytest.mark.parametrize(
    "sql_type", ["DECIMAL(39, 0)", "DECIMAL(5, 6)", "EMBEDDING(0)", "NOSUCHTYPE"]
)
def test_a_type_out_of_range_is_refused(cursor, namespace, sql_type):
    with pytest.raises(Error) as raised:
        cursor.execute(f"CREATE TABLE {namespace}.t (v {sql_type})")
    assert raised.value.status_code in (
        AdbcStatusCode.INVALID_ARGUMENT,
        AdbcStatusCode.NOT_IMPLEMENTED,
    )


def test_timestamp_literals_reach_the_ends_of_the_calendar(cursor, namespace):
    """Sentinels such as 9999-12-31 are usual, and do not fit nanoseconds."""
    cursor.execute(f"CREATE TABLE {namespace}.t (v TIMESTAMP)")
    for year in ("0001-01-01", "9999-12-31"):
        cursor.execute(f"INSERT INTO {namespace}.t VALUES (TIMESTAMP '{year} 00:00:00')")
    cursor.execute(f"SELECT count(*) FROM {namespace}.t WHERE v <= TIMESTAMP '9999-12-31 00:00:00'")
    assert cursor.fetchone() == (2,)


@pytest.fixture
def numbers(cursor, namespace):
    name = f"{namespace}.numbers"
    cursor.execute(
        f"CREATE TABLE {name} (id INT PRIMARY KEY, dt DATE, d DECIMAL(38, 10), p DECIMAL(10, 2))"
    )
    cursor.execute(
        f"INSERT INTO {name} VALUES (1, '2020-01-01', 0.1234567890, 1.00),"
        " (2, '2020-01-02', 5, 2.50), (3, NULL, NULL, NULL)"
    )
    return name


@pytest.mark.parametrize(
    ("where", "bound", "expected"),
    [
        ("id = ?", [2.7], []),
        ("id = ?", [2.0], [2]),
        ("id < ?", [2.7], [1, 2]),
        ("id >= ?", [1.5], [2, 3]),
        ("id IN (?, ?)", [2.2, 3], [3]),
        ("id BETWEEN ? AND ?", [1.5, 2.5], [2]),
        ("dt = ?", [datetime.datetime(2020, 1, 1, 1, 2, 3)], []),
        ("dt = ?", [datetime.datetime(2020, 1, 1)], [1]),
        ("dt < ?", [datetime.datetime(2020, 1, 1, 1, 2, 3)], [1]),
        ("d = ?", [Decimal("0.1234567890")], [1]),
        ("d = ?", [Decimal("0.12345678904")], []),
        ("d < ?", [Decimal("0.12345678904")], [1]),
        ("p = ?", [Decimal("2.501")], []),
        ("p <= ?", [Decimal("2.501")], [1, 2]),
    ],
)
def test_a_bound_value_compares_as_it_would_if_it_were_written(
    cursor, numbers, where, bound, expected
):
    cursor.execute(f"SELECT id FROM {numbers} WHERE {where} ORDER BY id", bound)
    assert [row[0] for row in cursor.fetchall()] == expected
    cursor.execute(f"DELETE FROM {numbers} WHERE {where}", bound)
    cursor.execute(f"SELECT id FROM {numbers} ORDER BY id")
    assert [row[0] for row in cursor.fetchall()] == sorted({1, 2, 3} - set(expected))


def test_a_bound_value_is_stored_as_a_written_one_is(cursor, numbers):
    cursor.execute(f"INSERT INTO {numbers} (id) VALUES (?)", [30.7])
    cursor.execute(f"INSERT INTO {numbers} (id, p) VALUES (?, ?)", [40.2, Decimal("1.005")])
    cursor.execute(f"UPDATE {numbers} SET p = ? WHERE id = ?", [Decimal("7.125"), 2.0])
    cursor.execute(f"UPDATE {numbers} SET p = ? WHERE id = ?", [Decimal("9.99"), 2.7])
    cursor.execute(f"SELECT id, p FROM {numbers} WHERE id > 1 AND id <> 3 ORDER BY id")
    assert cursor.fetchall() == [
        (2, Decimal("7.13")),
        (31, None),
        (40, Decimal("1.01")),
    ]


def test_a_bound_value_that_cannot_be_stored_names_table_column_and_row(cursor, numbers):
    with pytest.raises(Error) as raised:
        cursor.executemany(
            f"INSERT INTO {numbers} (id) VALUES (?)",
            pa.record_batch({"1": pa.array([50, 2**40], pa.int64())}),
        )
    assert raised.value.status_code == AdbcStatusCode.INVALID_ARGUMENT
    for part in [numbers, "column id", "row 2", str(2**40)]:
        assert part in str(raised.value)


def test_a_bound_value_that_cannot_be_compared_names_itself_and_the_column(cursor, numbers):
    with pytest.raises(Error) as raised:
        cursor.execute(f"SELECT id FROM {numbers} WHERE p = 1 AND id = ?", [2**40])
        cursor.fetchall()
    for part in ["parameter $1", "row 1", str(2**40), "column id"]:
        assert part in str(raised.value)


@pytest.mark.parametrize(
    "expression",
    [
        "d + 0.1",
        "d - 12345678901234567890.1234567890",
        "d * 2",
        "i + 1",
        "i - 0.5",
        "p * 0.1",
        "d = 12345678901234567890.1234567890",
        "d < 12345678901234567890.1234567891",
        "i = 12345678901234567890123456789012345",
        "p = 1.01",
        "p > 1.005",
    ],
)
def test_decimals_meet_numbers_as_in_duckdb(cursor, namespace, expression):
    columns = "(id INT PRIMARY KEY, d DECIMAL(38, 10), i DECIMAL(38, 0), p DECIMAL(10, 2))"
    rows = [
        "(1, 12345678901234567890.1234567890, 12345678901234567890123456789012345, 1.01)",
        "(2, -0.1, -7, 2.5)",
        "(3, NULL, NULL, NULL)",
    ]
    cursor.execute(f"CREATE TABLE {namespace}.m {columns}")
    cursor.execute(f"INSERT INTO {namespace}.m VALUES {', '.join(rows)}")
    judge = duckdb.connect()
    judge.execute(f"CREATE TABLE m {columns}")
    judge.execute(f"INSERT INTO m VALUES {', '.join(rows)}")
    cursor.execute(f"SELECT {expression} FROM {namespace}.m ORDER BY id")
    judged = judge.execute(f"SELECT {expression} FROM m ORDER BY id").fetchall()
    assert cursor.fetchall() == judged


def shown_by_the_shell(server, sql: str, layout: str) -> str:
    """What `kalamdb sql` prints."""
    arguments = ["sql", "--uri", server.uri, "--no-timing", "--format", layout, "-c", sql]
    environment = {**os.environ, "KALAMDB_PASSWORD": ROOT_PASSWORD}
    done = subprocess.run(
        [server.binary, *arguments], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_json(value):
    """A nested value as JSON has it."""
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, datetime.datetime):
        return value.isoformat().replace("+00:00", "Z")
    return float(value) if isinstance(value, Decimal) else value


@each_type
def test_what_the_shell_shows_reads_back(shared_server, cursor, namespace, table, case):
    values = case.array()
    rows = pa.table({"k": pa.array(range(len(values)), pa.int32()), "v": values})
    cursor.adbc_ingest("t", rows, "append", db_schema_name=namespace)
    if pa.types.is_nested(case.arrow):
        shown = json.loads(
            shown_by_the_shell(shared_server, f"SELECT v FROM {table} ORDER BY k", "json")
        )
        assert [row["v"] for row in shown] == [as_json(value) for value in values.to_pylist()]
        return
    shown = shown_by_the_shell(shared_server, f"SELECT k, v FROM {table} ORDER BY k", "csv")
    header, *lines = shown.rstrip("\n").split("\n")
    assert header == "k,v"
    for line in lines:
        k, _, cell = line.partition(",")
        if cell.startswith('"'):
            cell = cell[1:-1].replace('""', '"')
        elif cell == "":
            cursor.execute(f"INSERT INTO {table} VALUES ({k} + 1000, NULL)")
            continue
        literal = "'" + cell.replace("'", "''") + "'"
        literal = f"X{literal}" if case.sql == "BYTES" else literal
        cursor.execute(f"INSERT INTO {table} VALUES ({k} + 1000, {literal})")
    cursor.execute(f"DELETE FROM {table} WHERE k < 1000")
    assert_holds(cursor, table, case, values)


def test_what_is_sent_becomes_what_the_column_holds(cursor, namespace):
    cursor.execute(
        f"CREATE TABLE {namespace}.t"
        " (k INT PRIMARY KEY, s STRUCT(a INT, b TEXT), j JSON[], u UUID[])"
    )
    uuid = "67e55044-10b1-426f-9247-bb680e5fe0c8"
    sent = pa.table(
        {
            "k": [1],
            "s": pa.array([{"b": "x", "a": 7}], pa.struct([("b", pa.string()), ("a", pa.int64())])),
            "j": pa.array([['{"n": 1}', None]]),
            "u": pa.array([[uuid, None]]),
        }
    )
    cursor.adbc_ingest("t", sent, "append", db_schema_name=namespace)
    cursor.execute(f"SELECT s['a'], s['b'], j[1], encode(u[1], 'hex') FROM {namespace}.t")
    assert cursor.fetchall() == [(7, "x", '{"n": 1}', uuid.replace("-", ""))]
    unknown = pa.table({"k": [2], "s": pa.array([{"a": 1, "y": "x"}])})
    with pytest.raises(Error, match="a struct with the field y cannot become"):
        cursor.adbc_ingest("t", unknown, "append", db_schema_name=namespace)


def test_bound_text_spells_bytes(cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.t (k INT PRIMARY KEY, b BYTES)")
    for k, text in enumerate(["\\x00ff", "\\x", "x00"]):
        cursor.execute(f"INSERT INTO {namespace}.t VALUES (?, ?)", (k, text))
    cursor.execute(f"SELECT b FROM {namespace}.t ORDER BY k")
    assert cursor.fetchall() == [(b"\x00\xff",), (b"",), (b"x00",)]
    with pytest.raises(Error, match="two hexadecimal digits"):
        cursor.execute(f"INSERT INTO {namespace}.t VALUES (?, ?)", (9, "\\x0"))
