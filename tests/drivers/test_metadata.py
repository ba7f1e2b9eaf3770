"""The metadata commands: exact schemas, LIKE patterns, keys, types and server information.

ADBC compares these schemas field by field and JDBC reads them by position, so they are pinned.
"""

import pyarrow as pa
import pytest

from flight_sql import RawClient, command, read_schema


def _schema(*fields) -> pa.Schema:
    return pa.schema([pa.field(n.rstrip("?"), t, nullable=n.endswith("?")) for n, t in fields])


_FOREIGN_KEYS = _schema(
    ("pk_catalog_name?", pa.string()),
    ("pk_db_schema_name?", pa.string()),
    ("pk_table_name", pa.string()),
    ("pk_column_name", pa.string()),
    ("fk_catalog_name?", pa.string()),
    ("fk_db_schema_name?", pa.string()),
    ("fk_table_name", pa.string()),
    ("fk_column_name", pa.string()),
    ("key_sequence", pa.int32()),
    ("fk_key_name?", pa.string()),
    ("pk_key_name?", pa.string()),
    ("update_rule", pa.uint8()),
    ("delete_rule", pa.uint8()),
)
_TABLES = [
    ("catalog_name?", pa.string()),
    ("db_schema_name?", pa.string()),
    ("table_name", pa.string()),
    ("table_type", pa.string()),
]
COMMANDS = {
    "CommandGetCatalogs": ((), _schema(("catalog_name", pa.string()))),
    "CommandGetDbSchemas": (
        (),
        _schema(("catalog_name?", pa.string()), ("db_schema_name", pa.string())),
    ),
    "CommandGetTables": ((), _schema(*_TABLES)),
    "CommandGetTableTypes": ((), _schema(("table_type", pa.string()))),
    "CommandGetPrimaryKeys": (
        ((3, "keyed"),),
        _schema(
            ("catalog_name?", pa.string()),
            ("db_schema_name?", pa.string()),
            ("table_name", pa.string()),
            ("column_name", pa.string()),
            ("key_sequence", pa.int32()),
            ("key_name?", pa.string()),
        ),
    ),
    "CommandGetExportedKeys": (((3, "keyed"),), _FOREIGN_KEYS),
    "CommandGetImportedKeys": (((3, "keyed"),), _FOREIGN_KEYS),
    "CommandGetCrossReference": (((3, "keyed"), (6, "plain")), _FOREIGN_KEYS),
    "CommandGetXdbcTypeInfo": ((), None),
    "CommandGetSqlInfo": ((), None),
}


@pytest.fixture
def raw(shared_server):
    """A raw client of root."""
    with RawClient(shared_server) as client:
        yield client


@pytest.fixture
def tables(raw, namespace):
    """Tables whose names and columns the tests look for."""
    raw.update(
        f"""
        CREATE TABLE {namespace}.keyed (
            b INT, a TEXT, v DECIMAL(10, 3) NOT NULL, w DOUBLE[], PRIMARY KEY (a, b))
        """
    )
    raw.update(f"CREATE TABLE {namespace}.plain (x TEXT)")
    raw.update(f"CREATE TABLE {namespace}.a_b (x TEXT)")
    raw.update(f"CREATE TABLE {namespace}.axb (x TEXT)")
    raw.update(f'CREATE TABLE {namespace}."Keyed" (x TEXT)')
    return namespace


def ask(raw: RawClient, name: str, *fields) -> pa.Table:
    """A metadata command's rows; checks that info, GetSchema and DoGet agree on the schema."""
    cmd = command(name, *fields)
    info = raw.info(cmd)
    rows = raw.reader(info).read_all()
    rows.validate(full=True)
    assert rows.schema.equals(info.schema), f"{rows.schema}\n{info.schema}"
    assert raw.schema(cmd).equals(info.schema)
    return rows


@pytest.mark.parametrize("name", COMMANDS)
def test_schemas_are_exact(raw, tables, name):
    fields, expected = COMMANDS[name]
    got = ask(raw, name, *fields)
    if expected is not None:
        assert got.schema.equals(expected, check_metadata=False), got.schema
    if name.endswith(("ExportedKeys", "ImportedKeys", "CrossReference")):
        assert got.num_rows == 0


def test_tables_with_their_schemas(raw, tables):
    got = ask(raw, "CommandGetTables", (2, tables), (3, "keyed"), (5, True))
    assert got.schema.equals(_schema(*_TABLES, ("table_schema", pa.binary())), check_metadata=False)
    (row,) = got.to_pylist()
    assert (row["catalog_name"], row["db_schema_name"], row["table_type"]) == (
        "kalam",
        tables,
        "TABLE",
    )
    schema = read_schema(row["table_schema"])
    assert schema.equals(
        pa.schema(
            [
                pa.field("b", pa.int32(), nullable=False),
                pa.field("a", pa.string(), nullable=False),
                pa.field("v", pa.decimal128(10, 3), nullable=False),
                pa.field("w", pa.list_(pa.field("item", pa.float64()))),
            ]
        ),
        check_metadata=False,
    ), schema
    assert [f.metadata[b"ARROW:FLIGHT:SQL:TYPE_NAME"] for f in schema] == [
        b"INT",
        b"TEXT",
        b"DECIMAL",
        b"ARRAY",
    ]
    decimal = schema.field("v").metadata
    assert decimal[b"ARROW:FLIGHT:SQL:PRECISION"] == b"10"
    assert decimal[b"ARROW:FLIGHT:SQL:SCALE"] == b"3"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("keyed", ["keyed"]),
        ("Keyed", ["Keyed"]),
        ("KEYED", []),
        ("%eyed", ["Keyed", "keyed"]),
        ("a_b", ["a_b", "axb"]),
        ("a\\_b", ["a_b"]),
        ("%", ["Keyed", "a_b", "axb", "keyed", "plain"]),
        ("", []),
        ("nosuch", []),
        ("plai", []),
    ],
)
def test_table_names_are_like_patterns(raw, tables, pattern, expected):
    got = ask(raw, "CommandGetTables", (2, tables), (3, pattern))
    assert got["table_name"].to_pylist() == expected


def test_filters_by_catalog_schema_and_type(raw, tables):
    def names(*fields) -> list[str]:
        return ask(raw, "CommandGetTables", *fields)["table_name"].to_pylist()

    assert len(names((1, "kalam"), (2, tables))) == 5
    assert names((1, "other"), (2, tables)) == []
    assert names((1, ""), (2, tables)) == [], "an empty catalog means tables without one"
    assert names((2, "")) == [], "an empty schema means tables without one"
    assert len(names((2, tables), (4, "TABLE"))) == 5
    assert names((2, tables), (4, "VIEW")) == []
    assert names((2, tables), (4, "table")) == [], "table types are compared exactly"
    assert "tables" in names((2, "system"))
    types = ask(raw, "CommandGetTables", (2, "system"))["table_type"].to_pylist()
    assert set(types) == {"SYSTEM TABLE"}
    assert tables in ask(raw, "CommandGetDbSchemas")["db_schema_name"].to_pylist()
    assert ask(raw, "CommandGetDbSchemas", (2, tables)).num_rows == 1
    assert ask(raw, "CommandGetCatalogs").to_pydict() == {"catalog_name": ["kalam"]}
    types = set(ask(raw, "CommandGetTableTypes")["table_type"].to_pylist())
    assert {"TABLE", "SYSTEM TABLE"} <= types <= {"TABLE", "VIEW", "SYSTEM TABLE"}


def test_metadata_is_sorted_and_in_one_batch(raw, tables):
    info = raw.info(command("CommandGetTables"))
    batches = [chunk.data for chunk in raw.reader(info)]
    assert len([batch for batch in batches if batch.num_rows]) == 1
    keys = [tuple(row.values()) for row in pa.Table.from_batches(batches).to_pylist()]
    assert keys == sorted(keys, key=lambda k: (k[3], k[0], k[1], k[2])) or keys == sorted(keys)
    schemas = ask(raw, "CommandGetDbSchemas")["db_schema_name"].to_pylist()
    assert schemas == sorted(schemas)


def test_primary_keys_in_key_order(raw, tables):
    got = ask(raw, "CommandGetPrimaryKeys", (2, tables), (3, "keyed"))
    assert got["column_name"].to_pylist() == ["a", "b"]
    assert got["key_sequence"].to_pylist() == [1, 2]
    assert set(got["db_schema_name"].to_pylist()) == {tables}
    assert ask(raw, "CommandGetPrimaryKeys", (2, tables), (3, "plain")).num_rows == 0


def test_type_info_names_every_sql_type(raw):
    rows = ask(raw, "CommandGetXdbcTypeInfo")
    names = rows["type_name"].to_pylist()
    assert {"BOOLEAN", "INT", "BIGINT", "DOUBLE", "TEXT", "BYTES", "DATE", "TIMESTAMP"} <= set(
        names
    )
    codes = rows["data_type"].to_pylist()
    assert codes == sorted(codes)
    bigint = ask(raw, "CommandGetXdbcTypeInfo", (1, -5 & (1 << 64) - 1))
    assert "BIGINT" in bigint["type_name"].to_pylist()
    assert bigint.num_rows < rows.num_rows


def test_sql_info_is_complete(raw):
    """JDBC up to 18.3 fails on the first value that is missing."""
    rows = ask(raw, "CommandGetSqlInfo")
    infos = dict(zip(rows["info_name"].to_pylist(), rows["value"].to_pylist()))
    expected = {*range(12), 100, 101, *range(500, 577)}
    assert expected <= set(infos), sorted(expected - set(infos))
    assert infos[0] == "KalamDB"
    assert infos[513] == "\\"
    assert infos[504] == '"'
    assert (infos[8], infos[5]) == (0, False), "no transactions, no substrait"
    assert isinstance(infos[517], list)
    value_type = rows.schema.field("value").type
    assert pa.types.is_union(value_type)
    assert [value_type.field(i).type for i in range(4)] == [
        pa.string(),
        pa.bool_(),
        pa.int64(),
        pa.int32(),
    ]
    assert value_type.type_codes == list(range(6))


def test_unknown_sql_info_is_left_out(raw):
    wanted = b"\x00\x08\xc1\x3e"  # packed: 0, 8, 8001
    rows = ask(raw, "CommandGetSqlInfo", (1, wanted))
    assert rows["info_name"].to_pylist() == [0, 8]


@pytest.mark.parametrize("namespace", ["system", "information_schema"])
def test_tables_that_can_be_read_can_be_described(raw, namespace):
    got = ask(raw, "CommandGetTables", (2, namespace), (5, True)).to_pylist()
    names = [row["table_name"] for row in got]
    assert raw.query(f"SHOW TABLES IN {namespace}")["table_name"].to_pylist() == names
    listed = raw.query(
        f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{namespace}'"
    )
    assert sorted(listed["table_name"].to_pylist()) == names
    for row in got:
        name = f"{namespace}.{row['table_name']}"
        read = raw.query(f"SELECT * FROM {name} LIMIT 0").schema
        schema = read_schema(row["table_schema"])
        assert (schema.names, schema.types) == (read.names, read.types), name
        described = raw.query(f"DESCRIBE {name}")
        assert described["column_name"].to_pylist() == read.names, name
        assert described["nullable"].to_pylist() == [field.nullable for field in read], name
        assert raw.query(f"SHOW COLUMNS FROM {name}").equals(described), name
        columns = raw.query(
            f"""
            SELECT column_name, data_type, is_nullable FROM information_schema.columns
            WHERE table_schema = '{namespace}' AND table_name = '{row["table_name"]}'
            ORDER BY ordinal_position
            """
        )
        assert columns["column_name"].to_pylist() == read.names, name
        types = described["data_type"].to_pylist()
        assert columns["data_type"].to_pylist() == types, name
        assert [f.metadata[b"ARROW:FLIGHT:SQL:TYPE_NAME"].decode() for f in schema] == types, name


def test_the_version_in_sql_is_that_of_sql_info(raw):
    rows = ask(raw, "CommandGetSqlInfo")
    infos = dict(zip(rows["info_name"].to_pylist(), rows["value"].to_pylist()))
    got = raw.query("SELECT version() AS version")["version"].to_pylist()
    assert got == [f"{infos[0]} {infos[1]}"]


def test_the_session_says_who_and_where(shared_server, raw, tables):
    name = f"Who {tables}"
    raw.update(f"CREATE USER \"{name}\" WITH PASSWORD 'a long password' ROLE service")
    with shared_server.adbc(name, "a long password") as connection:
        with connection.cursor() as cursor:
            sql = "SELECT current_user AS u, session_user AS s, current_role() AS r"
            cursor.execute(sql)
            assert cursor.fetchall() == [(name, name, "service")]
            sql = "SELECT current_catalog AS c, current_database() AS d, current_schema() AS s"
            cursor.execute(sql)
            assert cursor.fetchall() == [("kalam", "kalam", "default")]
            cursor.executescript(f"USE {tables}")
        with connection.cursor() as cursor:
            cursor.execute(sql)
            assert cursor.fetchall() == [("kalam", "kalam", tables)]
            listed = "SELECT table_name FROM information_schema.tables"
            cursor.execute(f"{listed} WHERE table_schema = current_schema() ORDER BY 1")
            assert [name for (name,) in cursor.fetchall()] == sorted(
                ["Keyed", "a_b", "axb", "keyed", "plain"]
            )


def test_listings_show_only_what_the_user_may_see(shared_server, raw, tables):
    raw.update(f"CREATE USER viewer_{tables} WITH PASSWORD 'a long password' ROLE user")
    raw.update(f"CREATE TABLE {tables}.secret (x TEXT) WITH (ACCESS_LEVEL = 'private')")
    with RawClient(shared_server, f"viewer_{tables}", "a long password") as viewer:
        names = ask(viewer, "CommandGetTables", (2, tables))["table_name"].to_pylist()
        assert "secret" not in names
        with pytest.raises(pa.ArrowException):
            viewer.query(f"SELECT * FROM {tables}.secret")
    assert "secret" in ask(raw, "CommandGetTables", (2, tables))["table_name"].to_pylist()
