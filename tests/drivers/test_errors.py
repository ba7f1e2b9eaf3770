"""Every failure reaches the client in its own class, short, and says what to do."""

import re

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from adbc_driver_manager import AdbcStatusCode as Code
from adbc_driver_manager import Error, NotSupportedError, ProgrammingError

from flight_sql import RawClient, command, statement

MESSAGE_CHARACTERS_MAX = 1000


@pytest.fixture
def table(cursor, namespace):
    """A keyed table with one row."""
    cursor.execute(f"CREATE TABLE {namespace}.t (id INT PRIMARY KEY, label TEXT NOT NULL)")
    cursor.execute(f"INSERT INTO {namespace}.t VALUES (1, 'one')")
    return f"{namespace}.t"


CASES = [
    ("SELEC 1", Code.INVALID_ARGUMENT, "line 1, column 1"),
    ("SELECT id\n  FORM {t}", Code.INVALID_ARGUMENT, "line 2"),
    ("SELECT 'unclosed", Code.INVALID_ARGUMENT, ""),
    (" ", Code.INVALID_ARGUMENT, ""),
    ("-- nothing but a comment", Code.INVALID_ARGUMENT, ""),
    ("SELECT nosuch FROM {t}", Code.INVALID_ARGUMENT, "nosuch"),
    ("SELECT nosuch(id) FROM {t}", Code.INVALID_ARGUMENT, "nosuch"),
    ("SELECT lable FROM {t}", Code.INVALID_ARGUMENT, "label"),
    ("SELECT id FROM {t} GROUP BY label", Code.INVALID_ARGUMENT, "id"),
    ("SELECT id + label FROM {t} WHERE label > DATE '2024-01-01' + 1.5", Code.INVALID_ARGUMENT, ""),
    ("SELECT CAST('x' AS INT) AS n", Code.INVALID_ARGUMENT, "x"),
    ("SELECT 1 / (id - id) AS n FROM {t}", Code.INVALID_ARGUMENT, "(?i)divi"),
    ("SELECT * FROM nosuch", Code.NOT_FOUND, "nosuch"),
    ("SELECT * FROM nosuch.t", Code.NOT_FOUND, "nosuch"),
    ("SELECT * FROM other.default.t", Code.NOT_FOUND, "other"),
    ("INSERT INTO nosuch VALUES (1)", Code.NOT_FOUND, "nosuch"),
    ("UPDATE nosuch SET a = 1", Code.NOT_FOUND, "nosuch"),
    ("DELETE FROM nosuch", Code.NOT_FOUND, "nosuch"),
    ("DROP TABLE nosuch", Code.NOT_FOUND, "nosuch"),
    ("DROP NAMESPACE nosuch", Code.NOT_FOUND, "nosuch"),
    ("CREATE TABLE nosuch.t (id INT)", Code.NOT_FOUND, "nosuch"),
    ("DROP USER nosuch", Code.NOT_FOUND, "nosuch"),
    ("CREATE TABLE {t} (id INT)", Code.ALREADY_EXISTS, "{t}"),
    ("CREATE NAMESPACE default", Code.ALREADY_EXISTS, "default"),
    ("CREATE USER root WITH PASSWORD 'a long password' ROLE user", Code.ALREADY_EXISTS, "root"),
    ("INSERT INTO {t} VALUES (1, 'again')", Code.INVALID_ARGUMENT, "{t}"),
    ("INSERT INTO {t} VALUES (2, NULL)", Code.INVALID_ARGUMENT, "label"),
    ("INSERT INTO {t} VALUES (3000000000, 'x')", Code.INVALID_ARGUMENT, "3000000000"),
    ("INSERT INTO {t} VALUES (2)", Code.INVALID_ARGUMENT, ""),
    ("INSERT INTO {t} (id, nosuch) VALUES (2, 'x')", Code.INVALID_ARGUMENT, "nosuch"),
    ("UPDATE {t} SET nosuch = 1", Code.INVALID_ARGUMENT, "nosuch"),
    ("UPDATE {t} SET id = 2", Code.INVALID_ARGUMENT, "primary key of {t}"),
    ("COPY {t} TO '/tmp/x.parquet'", Code.NOT_IMPLEMENTED, "(?i)copy"),
    (
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        Code.NOT_IMPLEMENTED,
        "(?i)external",
    ),
    ("CREATE MATERIALIZED VIEW v AS SELECT 1", Code.NOT_IMPLEMENTED, "(?i)view"),
    ("BEGIN", Code.NOT_IMPLEMENTED, ""),
    ("SELECT * FROM '/etc/passwd'", None, ""),
    ("SELECT * FROM read_csv('/etc/passwd')", Code.INVALID_ARGUMENT, "read_csv"),
]


@pytest.mark.parametrize(("sql", "code", "pattern"), CASES, ids=[case[0] for case in CASES])
def test_a_wrong_statement_is_told_so(cursor, table, sql, code, pattern):
    with pytest.raises(Error) as raised:
        cursor.execute(sql.format(t=table))
        cursor.fetchall()
    error = raised.value
    if code is not None:
        assert error.status_code == code, f"{error.status_code!r}: {error}"
    text = str(error)
    assert re.search(pattern.format(t=re.escape(table)) if "{t}" in pattern else pattern, text), (
        text
    )
    assert len(text) < MESSAGE_CHARACTERS_MAX, text
    for leak in ("ParserError(", "SchemaError(", "Plan(", "DataFusionError", "Execution(", "/src/"):
        assert leak not in text, text
    cursor.execute(f"SELECT id, label FROM {table}")
    assert cursor.fetchall() == [(1, "one")], "a refused statement changes nothing"


def test_python_sees_the_right_exception_class(cursor, table):
    with pytest.raises(ProgrammingError):
        cursor.execute("SELEC 1")
    with pytest.raises(ProgrammingError):
        cursor.execute("SELECT * FROM nosuch")
    with pytest.raises(NotSupportedError):
        cursor.execute(f"COPY {table} TO 'x'")


def test_errors_are_the_same_through_prepare_info_schema_and_update(shared_server, table):
    with RawClient(shared_server) as raw:
        for call in (
            lambda: raw.info(statement("SELECT * FROM nosuch")),
            lambda: raw.schema(statement("SELECT * FROM nosuch")),
            lambda: raw.prepare("SELECT * FROM nosuch"),
            lambda: raw.update("DELETE FROM nosuch"),
        ):
            with pytest.raises(pa.ArrowKeyError, match="nosuch"):
                call()


def test_a_script_that_fails_keeps_what_ran_and_says_what_failed(cursor, namespace):
    with pytest.raises(ProgrammingError, match="nosuch"):
        cursor.executescript(
            f"CREATE TABLE {namespace}.ran (id INT); INSERT INTO nosuch VALUES (1);"
            f" CREATE TABLE {namespace}.never (id INT)"
        )
    cursor.execute(f"SELECT count(*) FROM {namespace}.ran")
    assert cursor.fetchone() == (0,)
    with pytest.raises(ProgrammingError):
        cursor.execute(f"SELECT count(*) FROM {namespace}.never")


# ---- requests that are no Flight SQL


@pytest.mark.parametrize(
    "cmd",
    [
        b"",
        b"\xff\xfe\xfd",
        b"\x00" * 64,
        command("CommandNoSuchThing", (1, "x")),
        command("CommandStatementQuery", (1, b"\xff\xfe")),
        command("CommandPreparedStatementQuery", (1, b"never given out")),
        command("CommandStatementIngest", (2, "t")),
        command("CommandStatementSubstraitPlan", (1, b"plan")),
    ],
    ids=["empty", "not_utf8", "zeros", "unknown", "sql_not_utf8", "handle", "ingest", "substrait"],
)
def test_malformed_commands_are_refused_and_the_server_lives(shared_server, cmd):
    with RawClient(shared_server) as raw:
        with pytest.raises((pa.ArrowException, flight.FlightError)) as raised:
            raw.info(cmd)
        assert not isinstance(raised.value, flight.FlightInternalError), raised.value
        with pytest.raises((pa.ArrowException, flight.FlightError)):
            raw.client.do_get(flight.Ticket(cmd), options=raw.options).read_all()
        assert raw.query("SELECT 1 AS one").to_pydict() == {"one": [1]}


def test_ingest_without_table_options_is_refused(shared_server, namespace):
    rows = pa.record_batch({"id": [1]})
    with RawClient(shared_server) as raw:
        for options in (None, b"", b"\x08\x01", b"\x10\x01"):
            cmd = command("CommandStatementIngest", (1, options), (2, "t"), (3, namespace))
            with pytest.raises(pa.ArrowInvalid):
                raw.put(cmd, rows.schema, [rows])


def test_huge_and_deep_sql_is_refused(shared_server):
    with RawClient(shared_server) as raw:
        for sql in (
            "SELECT " + "(" * 20_000 + "1" + ")" * 20_000,
            "SELECT " + "NOT " * 50_000 + "true",
            "SELECT " + " + ".join(["1"] * 100_000),
            "SELECT '" + "x" * 2_000_000 + "'",
        ):
            with pytest.raises((pa.ArrowException, flight.FlightError)):
                raw.query(sql)
            assert raw.query("SELECT 1 AS one").to_pydict() == {"one": [1]}
