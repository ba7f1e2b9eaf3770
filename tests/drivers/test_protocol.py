"""Flight SQL as it travels: schemas, statements that run exactly once, tickets, parameters.

Facts about what stock drivers rely on, checked on the messages themselves with a raw client.
"""

import uuid

import pyarrow as pa
import pyarrow.flight as flight
import pytest

from flight_sql import RawClient, command, read_schema, statement


@pytest.fixture
def raw(shared_server):
    """A raw client of root."""
    with RawClient(shared_server) as client:
        yield client


@pytest.fixture
def table(raw, namespace):
    """A table with a key, a NOT NULL column and a nullable one; ten rows."""
    name = f"{namespace}.t"
    raw.update(f"CREATE TABLE {name} (id INT PRIMARY KEY, label TEXT NOT NULL, score DOUBLE)")
    rows = ", ".join(
        f"({i}, 'label {i % 3}', {'NULL' if i % 4 == 0 else i / 2})" for i in range(10)
    )
    raw.update(f"INSERT INTO {name} VALUES {rows}")
    return name


def count(raw: RawClient, table: str) -> int:
    """The rows of a table."""
    return raw.query(f"SELECT count(*) AS n FROM {table}")["n"][0].as_py()


# ---- one schema everywhere: prepare, GetFlightInfo, GetSchema, DoGet

SAME_SCHEMA = [
    "SELECT * FROM {t}",
    "SELECT count(*) AS n, min(id) AS a, max(label) AS b, sum(score) AS c FROM {t}",
    "SELECT label, count(score) AS n, avg(id) AS a FROM {t} GROUP BY label",
    "SELECT count(*) FROM {t} WHERE id < 0",
    "SELECT min(id) AS a FROM {t} WHERE label = 'none'",
    "SELECT a.id, b.label FROM {t} a LEFT JOIN {t} b ON a.id = b.id + 5",
    "SELECT a.id, b.label FROM {t} a FULL JOIN {t} b ON a.id = b.id + 5",
    "SELECT id FROM {t} UNION ALL SELECT NULL",
    "SELECT label FROM {t} UNION SELECT 'x'",
    "SELECT CASE WHEN id > 3 THEN label END AS l, coalesce(score, 0.0) AS s FROM {t}",
    "SELECT id, row_number() OVER (ORDER BY id) AS r, lag(label) OVER (ORDER BY id) AS p FROM {t}",
    "SELECT (SELECT max(score) FROM {t}) AS m, 1 AS one, NULL AS nothing, 'x' AS text",
    "SELECT id, label FROM {t} ORDER BY score DESC LIMIT 3",
    "SELECT id FROM {t} WHERE id = 4",
    "SELECT label FROM {t} WHERE id = 4000",
    "SELECT * FROM {t} WHERE 1 = 0",
    "SELECT DISTINCT label, id % 2 AS odd FROM {t}",
    "SELECT arrow_cast(label, 'Utf8View') AS v, arrow_cast(id, 'Float16') AS h FROM {t}",
    "SELECT arrow_cast(label, 'Dictionary(Int32, Utf8)') AS d, [id, 1] AS l FROM {t}",
    "SELECT date_trunc('day', now()) AS today, current_date AS d FROM {t}",
    "WITH x AS (SELECT id FROM {t}) SELECT x.id, y.id AS other FROM x JOIN x y ON x.id = y.id",
    "VALUES (1, 'a'), (2, NULL)",
    "SELECT * FROM system.tables",
    "SELECT table_name, column_name FROM information_schema.columns",
    "SHOW TABLES",
    "SHOW NAMESPACES",
    "DESCRIBE {t}",
    "EXPLAIN SELECT * FROM {t} WHERE id = 1",
    "EXPLAIN ANALYZE SELECT count(*) FROM {t}",
]


@pytest.mark.parametrize("sql", SAME_SCHEMA)
def test_a_query_has_one_schema(raw, table, sql):
    sql = sql.format(t=table)
    prepared = raw.prepare(sql)
    assert prepared.is_update is not True
    assert prepared.dataset_schema, "an empty dataset schema makes JDBC run a query as an update"
    promised = read_schema(prepared.dataset_schema)
    by_handle = command("CommandPreparedStatementQuery", (1, prepared.handle))
    for cmd in (statement(sql), by_handle):
        info = raw.info(cmd)
        assert info.schema.equals(promised), f"{info.schema}\n{promised}"
        assert raw.schema(cmd).equals(promised)
        reader = raw.reader(info)
        assert reader.schema.equals(promised), f"{reader.schema}\n{promised}"
        rows = reader.read_all()
        rows.validate(full=True)
        assert info.total_records in (-1, rows.num_rows)
        assert info.total_bytes == -1 or info.total_bytes > 0
    raw.close_prepared(prepared.handle)


@pytest.mark.parametrize("sql", SAME_SCHEMA)
def test_adbc_accepts_every_schema(cursor, table, sql):
    cursor.execute(sql.format(t=table))
    cursor.fetch_arrow_table().validate(full=True)


def test_wire_types_are_those_every_driver_reads(raw, table):
    schema = raw.query(
        f"""
        SELECT arrow_cast(label, 'Utf8View') AS view, arrow_cast(label, 'BinaryView') AS bytes,
               arrow_cast(label, 'Dictionary(Int32, Utf8)') AS dictionary,
               arrow_cast(id, 'Float16') AS half, arrow_cast(id, 'Decimal32(9, 2)') AS d32,
               arrow_cast(id, 'Decimal64(18, 2)') AS d64,
               [arrow_cast(label, 'Utf8View')] AS nested
        FROM {table}
        """
    ).schema
    assert schema.types == [
        pa.string(),
        pa.binary(),
        pa.string(),
        pa.float32(),
        pa.decimal128(9, 2),
        pa.decimal128(18, 2),
        pa.list_(pa.field("item", pa.string())),
    ]


def test_an_empty_result_still_has_its_schema(raw, cursor, table):
    sql = f"SELECT id, label FROM {table} WHERE id > 1000"
    got = raw.query(sql)
    assert (got.num_rows, got.column_names) == (0, ["id", "label"])
    cursor.execute(sql)
    assert cursor.fetch_arrow_table().schema.names == ["id", "label"]
    assert len(raw.info(statement(sql)).endpoints) == 1


# ---- statements that change something run exactly once


def test_ddl_through_execute_runs_without_being_fetched(cursor, namespace):
    """The Python driver prepares, asks for the info and may never fetch."""
    cursor.execute(f"CREATE TABLE {namespace}.made (id INT)")
    cursor.execute(f"SELECT count(*) FROM {namespace}.made")
    assert cursor.fetchone() == (0,)
    cursor.execute(f"DROP TABLE {namespace}.made")
    with pytest.raises(cursor.connection.ProgrammingError):
        cursor.execute(f"SELECT count(*) FROM {namespace}.made")


def test_dml_through_execute_runs_once_fetched_or_not(cursor, raw, namespace):
    name = f"{namespace}.log"
    cursor.execute(f"CREATE TABLE {name} (id INT)")
    cursor.execute(f"INSERT INTO {name} VALUES (1)")
    assert count(raw, name) == 1
    cursor.execute(f"INSERT INTO {name} VALUES (2), (3)")
    assert cursor.rowcount == 2
    cursor.fetchall()
    assert count(raw, name) == 3
    cursor.execute(f"INSERT INTO {name} VALUES (2), (3)")
    assert count(raw, name) == 5


def test_a_ticket_of_dml_does_not_run_it_again(raw, table):
    info = raw.info(statement(f"INSERT INTO {table} VALUES (100, 'x', 1.0)"))
    assert info.total_records == 1
    for _ in range(2):
        try:
            raw.reader(info).read_all()
        except pa.ArrowKeyError:
            pass
        assert count(raw, table) == 11


def test_prepare_and_get_schema_run_nothing(raw, table, namespace):
    for sql in (
        f"INSERT INTO {table} VALUES (200, 'x', 1.0)",
        f"DELETE FROM {table}",
        f"UPDATE {table} SET label = 'changed'",
        f"CREATE TABLE {namespace}.prepared (id INT)",
        f"DROP TABLE {table}",
    ):
        prepared = raw.prepare(sql)
        assert prepared.dataset_schema == b"", sql
        assert prepared.is_update is True, sql
        raw.schema(statement(sql))
        raw.close_prepared(prepared.handle)
    assert count(raw, table) == 10
    assert (
        raw.query(f"SELECT count(*) AS n FROM {table} WHERE label = 'changed'")["n"][0].as_py() == 0
    )
    with pytest.raises(pa.ArrowKeyError):
        raw.query(f"SELECT * FROM {namespace}.prepared")


def test_closing_a_prepared_statement_twice_is_fine(raw):
    prepared = raw.prepare("SELECT 1")
    raw.close_prepared(prepared.handle)
    raw.close_prepared(prepared.handle)
    raw.close_prepared(b"never given out")


# ---- updates in the shapes drivers send them

NOTHING = pa.schema([])
NO_COLUMNS = pa.RecordBatch.from_arrays([], schema=NOTHING)


@pytest.mark.parametrize("batches", [[], [NO_COLUMNS]], ids=["schema_only", "one_empty_batch"])
def test_an_update_without_parameters_runs_once(raw, table, batches):
    assert raw.update(f"INSERT INTO {table} VALUES (50, 'x', NULL)", batches) == 1
    prepared = raw.prepare(f"DELETE FROM {table} WHERE id = 50")
    cmd = command("CommandPreparedStatementUpdate", (1, prepared.handle))
    assert raw.put(cmd, NOTHING, batches) == 1
    assert raw.put(cmd, NOTHING, batches) == 0
    assert count(raw, table) == 10


def test_an_update_runs_once_per_bound_row(raw, table):
    prepared = raw.prepare(f"INSERT INTO {table} VALUES (?, ?, ?)")
    assert read_schema(prepared.parameter_schema).types == [pa.int32(), pa.string(), pa.float64()]
    cmd = command("CommandPreparedStatementUpdate", (1, prepared.handle))
    rows = pa.record_batch({"1": [60, 61, 62], "2": ["a", "b", "c"], "3": [1.0, None, 2.0]})
    assert raw.put(cmd, rows.schema, [rows]) == 3
    assert raw.put(cmd, rows.schema, [rows.slice(0, 0)]) == 0
    assert count(raw, table) == 13


def test_a_bound_update_without_a_stream_uses_what_was_bound(raw, table):
    prepared = raw.prepare(f"DELETE FROM {table} WHERE id = ?")
    raw.bind(prepared.handle, pa.record_batch({"1": pa.array([2, 3])}))
    cmd = command("CommandPreparedStatementUpdate", (1, prepared.handle))
    assert raw.put(cmd, NOTHING) == 2
    assert count(raw, table) == 8


# ---- parameters


@pytest.mark.parametrize(
    ("sql", "types"),
    [
        ("SELECT * FROM {t} WHERE id = ?", [pa.int32()]),
        ("SELECT * FROM {t} WHERE score > $2 AND id = $1", [pa.int32(), pa.float64()]),
        ("SELECT * FROM {t} LIMIT ? OFFSET ?", [pa.int64(), pa.int64()]),
        ("SELECT * FROM {t} WHERE label IN (?, ?) -- not ? this one", [pa.string(), pa.string()]),
        ("SELECT '?' AS q, label /* ? */ FROM {t} WHERE label = ?", [pa.string()]),
        ("SELECT ? AS anything", [pa.string()]),
        ("UPDATE {t} SET score = ? WHERE label = ?", [pa.float64(), pa.string()]),
        ("INSERT INTO {t} (label, id) VALUES (?, ?)", [pa.string(), pa.int32()]),
        ("DELETE FROM {t} WHERE id BETWEEN ? AND ?", [pa.int32(), pa.int32()]),
    ],
)
def test_parameters_have_the_types_of_what_they_meet(raw, table, sql, types):
    schema = read_schema(raw.prepare(sql.format(t=table)).parameter_schema)
    assert schema.types == types
    assert all(field.nullable for field in schema)


@pytest.mark.parametrize(
    ("sql", "types"),
    [
        ("INSERT INTO {t} VALUES (?, ?, ?)", [pa.uuid(), pa.json_(), pa.string()]),
        ("INSERT INTO {t} (name, id) SELECT ?, ?", [pa.string(), pa.uuid()]),
        ("UPDATE {t} SET doc = ?, name = ?", [pa.json_(), pa.string()]),
        ("SELECT * FROM {t} WHERE doc = ? OR name = ?", [pa.json_(), pa.string()]),
        ("DELETE FROM {t} WHERE $1 IS NULL OR doc = $1", [pa.json_()]),
        # One parameter for two columns is what both are.
        ("INSERT INTO {t} VALUES ($1, $2, $2)", [pa.uuid(), pa.string()]),
        # The extension is for 16 bytes, which JDBC cannot make of text: lookups take text.
        ("SELECT * FROM {t} WHERE id = ?", [pa.string()]),
    ],
)
def test_parameters_of_uuid_and_json_columns_say_so(raw, namespace, sql, types):
    name = f"{namespace}.u"
    raw.update(f"CREATE TABLE {name} (id UUID PRIMARY KEY, doc JSON, name TEXT)")
    schema = read_schema(raw.prepare(sql.format(t=name)).parameter_schema)
    assert schema.types == types


def test_what_a_parameter_schema_says_can_be_bound(raw, namespace):
    name = f"{namespace}.u"
    raw.update(f"CREATE TABLE {name} (id UUID PRIMARY KEY, doc JSON, name TEXT)")
    prepared = raw.prepare(f"INSERT INTO {name} VALUES (?, ?, ?)")
    schema = read_schema(prepared.parameter_schema)
    uuids = [uuid.UUID(int=7), uuid.UUID(int=8)]
    rows = pa.RecordBatch.from_arrays(
        [
            pa.ExtensionArray.from_storage(
                schema.field(0).type, pa.array([u.bytes for u in uuids], pa.binary(16))
            ),
            pa.ExtensionArray.from_storage(schema.field(1).type, pa.array(['{"a": 1}', None])),
            pa.array(["x", "y"]),
        ],
        schema=schema,
    )
    cmd = command("CommandPreparedStatementUpdate", (1, prepared.handle))
    assert raw.put(cmd, schema, [rows]) == 2
    got = raw.query(f"SELECT id, doc, name FROM {name} ORDER BY name")
    assert got["id"].to_pylist() == uuids
    assert got["doc"].to_pylist() == ['{"a": 1}', None]


@pytest.mark.parametrize(("bound", "expected"), [(3, [3]), (None, list(range(10)))])
def test_a_parameter_may_also_be_asked_for_null(raw, table, bound, expected):
    prepared = raw.prepare(f"SELECT id FROM {table} WHERE $1 IS NULL OR id = $1 ORDER BY id")
    assert read_schema(prepared.parameter_schema).types == [pa.int32()]
    raw.bind(prepared.handle, pa.record_batch({"1": pa.array([bound], pa.int32())}))
    info = raw.info(command("CommandPreparedStatementQuery", (1, prepared.handle)))
    assert raw.reader(info).read_all()["id"].to_pylist() == expected


def test_ten_parameters_keep_their_order(raw, table):
    marks = ", ".join("?" * 12)
    prepared = raw.prepare(f"SELECT id FROM {table} WHERE id IN ({marks}) ORDER BY id")
    raw.bind(
        prepared.handle,
        pa.record_batch({str(i): pa.array([i if i < 3 else 100 + i]) for i in range(12)}),
    )
    info = raw.info(command("CommandPreparedStatementQuery", (1, prepared.handle)))
    assert raw.reader(info).read_all()["id"].to_pylist() == [0, 1, 2]


@pytest.mark.parametrize(
    "bound",
    [
        pa.array([4], pa.int64()),
        pa.array([4], pa.uint8()),
        pa.array(["4"], pa.string()),
        pa.array(["4"], pa.large_string()),
        pa.array(["4"], pa.string_view()),
        pa.array(["4"]).dictionary_encode(),
        pa.array([4.0], pa.float64()),
    ],
    ids=lambda array: str(array.type),
)
def test_other_types_than_declared_are_cast_on_bind(raw, table, bound):
    prepared = raw.prepare(f"SELECT id FROM {table} WHERE id = ?")
    raw.bind(prepared.handle, pa.record_batch([bound], names=["1"]))
    info = raw.info(command("CommandPreparedStatementQuery", (1, prepared.handle)))
    assert raw.reader(info).read_all()["id"].to_pylist() == [4]


def test_a_value_that_cannot_be_cast_is_refused_with_its_place(raw, table):
    prepared = raw.prepare(f"SELECT id FROM {table} WHERE id = ?")
    with pytest.raises(pa.ArrowInvalid, match="four"):
        raw.bind(prepared.handle, pa.record_batch({"1": ["four"]}))
        raw.reader(
            raw.info(command("CommandPreparedStatementQuery", (1, prepared.handle)))
        ).read_all()


def test_too_few_parameters_are_refused(raw, table):
    prepared = raw.prepare(f"SELECT id FROM {table} WHERE id = ? AND score > ?")
    with pytest.raises(pa.ArrowInvalid, match="parameter"):
        raw.bind(prepared.handle, pa.record_batch({"1": [1]}))
        raw.reader(
            raw.info(command("CommandPreparedStatementQuery", (1, prepared.handle)))
        ).read_all()
    with pytest.raises(pa.ArrowInvalid, match="parameter"):
        raw.query(f"SELECT id FROM {table} WHERE id = ?")


# ---- tickets


def test_a_ticket_can_be_read_again(raw, table):
    info = raw.info(statement(f"SELECT * FROM {table} ORDER BY id"))
    first = raw.reader(info).read_all()
    assert raw.reader(info).read_all().equals(first)
    raw.update(f"DELETE FROM {table} WHERE id < 5")
    try:
        assert raw.reader(info).read_all().equals(first), "a ticket shows the state it was made for"
    except pa.ArrowKeyError:
        pass


def test_a_forged_ticket_is_refused(raw, table):
    ticket = raw.info(statement(f"SELECT * FROM {table}")).endpoints[0].ticket.ticket
    broken = bytearray(ticket)
    broken[len(broken) // 2] ^= 0xFF
    with pytest.raises((pa.ArrowException, flight.FlightError)):
        raw.client.do_get(flight.Ticket(bytes(broken)), options=raw.options).read_all()


def test_a_prepared_statement_follows_a_changed_table(raw, namespace):
    name = f"{namespace}.later"
    raw.update(f"CREATE TABLE {name} (id INT, v TEXT)")
    prepared = raw.prepare(f"SELECT id FROM {name}")
    star = raw.prepare(f"SELECT * FROM {name}")
    raw.update(f"DROP TABLE {name}")
    raw.update(f"CREATE TABLE {name} (v TEXT, id INT, w DOUBLE)")
    raw.update(f"INSERT INTO {name} VALUES ('x', 1, 0.5)")
    info = raw.info(command("CommandPreparedStatementQuery", (1, prepared.handle)))
    assert raw.reader(info).read_all().to_pydict() == {"id": [1]}
    with pytest.raises((pa.ArrowException, flight.FlightError), match="prepare it again"):
        raw.reader(raw.info(command("CommandPreparedStatementQuery", (1, star.handle)))).read_all()


# ---- SQL text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS x;",
        "  \n SELECT 1 AS x ; \n",
        "-- a comment\nSELECT 1 AS x -- and another",
        "/* über ; ? */ SELECT 1 AS x",
        "select 1 as X",
    ],
)
def test_text_around_a_statement_is_ignored(raw, sql):
    assert raw.query(sql).to_pydict() == {"x": [1]}


def test_a_script_runs_through_the_update_path(cursor, raw, namespace):
    cursor.executescript(
        f"""
        CREATE TABLE {namespace}.s (id INT PRIMARY KEY, v TEXT); -- with; a comment
        INSERT INTO {namespace}.s VALUES (1, 'semi;colon');
        INSERT INTO {namespace}.s VALUES (2, 'ñ漢🐪');
        """
    )
    got = raw.query(f"SELECT v FROM {namespace}.s ORDER BY id")
    assert got["v"].to_pylist() == ["semi;colon", "ñ漢🐪"]


def test_quoted_identifiers_keep_case_spaces_and_quotes(raw, cursor, namespace):
    name = f'{namespace}."Wörter & ""Quotes"" 漢"'
    raw.update(f'CREATE TABLE {name} ("Two Words" INT PRIMARY KEY, "select" TEXT)')
    raw.update(f"INSERT INTO {name} VALUES (1, 'x')")
    assert raw.query(f"SELECT * FROM {name}").column_names == ["Two Words", "select"]
    cursor.adbc_ingest("Odd table", pa.table({"A b": [1]}), "create", db_schema_name=namespace)
    assert raw.query(f'SELECT "A b" FROM kalam.{namespace}."Odd table"').to_pydict() == {"A b": [1]}
