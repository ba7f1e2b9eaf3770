"""`kalamdb import` and `kalamdb export`: what goes out comes back the same, in every format; what is
wrong with a file is said where it is; memory stays bounded and nothing is lost or doubled when an
import ends early."""

import gzip
import json
import re
import signal
import subprocess
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import nycflights
from command_line import command, environment, refused, run, succeed
from server import Server
from test_types import exact
from type_cases import CASES

FORMATS = ["parquet", "csv", "ndjson", "arrow", "csv.gz", "ndjson.gz", "tsv", "arrows"]
COMMIT_MIB = 4
MEMORY_MIB_MAX = 150

each_format = pytest.mark.parametrize("ending", FORMATS)


def select(server: Server, sql: str) -> pa.Table:
    """A query's answer."""
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetch_arrow_table()


def execute(server: Server, sql: str) -> None:
    """Runs a statement."""
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(sql)


def rows_in(server: Server, table: str) -> int:
    """How many rows a table has."""
    return select(server, f"SELECT COUNT(*) AS n FROM {table}")["n"][0].as_py()


@pytest.fixture(scope="module")
def every_type(shared_server):
    """A table with a column of every type, filled with the values of its edges and NULLs."""
    execute(shared_server, "CREATE NAMESPACE alltypes")
    declared = ", ".join(f"c{i} {case.sql}" for i, case in enumerate(CASES))
    execute(shared_server, f"CREATE TABLE alltypes.source (k INT PRIMARY KEY, {declared})")
    rows = max(len(case.values) for case in CASES) + 1
    arrays, fields = [pa.array(range(rows), pa.int32())], [pa.field("k", pa.int32())]
    for i, case in enumerate(CASES):
        values = [value for _, value in case.values]
        arrays.append(case.array(values + [None] * (rows - len(values))))
        fields.append(pa.field(f"c{i}", case.arrow))
    data = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    with shared_server.adbc() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("source", data, "append", db_schema_name="alltypes")
    return f"k INT PRIMARY KEY, {declared}"


@each_format
def test_every_type_comes_back(shared_server, every_type, tmp_path, ending):
    name = "copy_" + ending.replace(".", "_")
    file = tmp_path / f"all.{ending}"
    succeed(shared_server, "export", "--table", "alltypes.source", "--to", file)
    execute(shared_server, f"CREATE TABLE alltypes.{name} ({every_type})")
    succeed(shared_server, "import", file, "--table", f"alltypes.{name}")
    want = select(shared_server, "SELECT * FROM alltypes.source ORDER BY k")
    got = select(shared_server, f"SELECT * FROM alltypes.{name} ORDER BY k")
    assert got.schema == want.schema
    for i, case in enumerate(CASES):
        assert exact(got[f"c{i}"]) == exact(want[f"c{i}"]), case.sql


def test_arrow_files_create_the_same_table(shared_server, every_type, tmp_path):
    file = tmp_path / "all.arrow"
    succeed(shared_server, "export", "--table", "alltypes.source", "--to", file)
    succeed(shared_server, "import", file, "--table", "alltypes.created", "--create")
    want = select(shared_server, "SELECT * FROM alltypes.source ORDER BY k")
    got = select(shared_server, "SELECT * FROM alltypes.created ORDER BY k")
    assert got.schema.types == want.schema.types
    for i, case in enumerate(CASES):
        assert exact(got[f"c{i}"]) == exact(want[f"c{i}"]), case.sql


def test_other_readers_see_the_same_values(shared_server, namespace, tmp_path):
    table = f"{namespace}.t"
    execute(shared_server, f"CREATE TABLE {table} (id INT, name TEXT, price DECIMAL(12, 2), day DATE)")
    execute(
        shared_server,
        f"INSERT INTO {table} VALUES (1, 'a \"b\"\n, c', 1.10, '2024-02-29'), (2, '', NULL, NULL), "
        "(3, NULL, -9999999999.99, '0001-01-01')",
    )
    want = select(shared_server, f"SELECT * FROM {table} ORDER BY id")
    query = f"SELECT * FROM {table} ORDER BY id"
    for codec in ["snappy", "zstd", "gzip", "lz4", "none"]:
        file = tmp_path / f"{codec}.parquet"
        succeed(shared_server, "export", "-c", query, "--to", file, "--compression", codec)
        assert pq.read_table(file).cast(want.schema).equals(want)
    succeed(shared_server, "export", "-c", query, "--to", tmp_path / "t.arrow")
    assert pa.feather.read_table(tmp_path / "t.arrow").equals(want)
    ended = succeed(shared_server, "export", "-f", "-", "--to", "-", given=query.encode())
    assert ended.out == (
        b'id,name,price,day\n1,"a ""b""\n, c",1.10,2024-02-29\n2,"",,\n3,,-9999999999.99,0001-01-01\n'
    )
    ended = succeed(shared_server, "export", "-c", query, "--to", "-", "--format", "ndjson")
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert rows[0] == {"id": 1, "name": 'a "b"\n, c', "price": 1.10, "day": "2024-02-29"}
    assert [row["name"] for row in rows[1:]] == ["", None]
    ended = succeed(shared_server, "export", "-c", query, "--to", "-", "--format", "arrow")
    assert pa.ipc.open_stream(ended.out).read_all().equals(want)


@pytest.fixture(scope="module")
def flights(tmp_path_factory):
    """The flights file as it is published, with NA for NULL, and as Parquet."""
    directory = tmp_path_factory.mktemp("flights")
    csv = directory / "flights.csv"
    csv.write_bytes(nycflights.published("flights"))
    pq.write_table(nycflights.load("flights"), directory / "flights.parquet")
    return directory


def by_row(table: pa.Table) -> pa.Table:
    """In an order that all columns decide."""
    return table.sort_by([(name, "ascending") for name in ["time_hour", "carrier", "flight", "origin"]])


@pytest.mark.parametrize("created", [True, False], ids=["create", "append"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_flights_file_is_the_same_on_both_sides(
    shared_server, namespace, flights, tmp_path, ending, created
):
    table = f"{namespace}.flights"
    want = by_row(nycflights.load("flights"))
    if not created:
        names = {pa.int64(): "BIGINT", pa.string(): "TEXT"}
        columns = ", ".join(f"{f.name} {names.get(f.type, 'TIMESTAMPTZ')}" for f in want.schema)
        key = "PRIMARY KEY (time_hour, carrier, flight)"
        execute(shared_server, f"CREATE TABLE {table} ({columns}, {key})")
    arguments = ["--create"] if created else []
    arguments += ["--null", "NA"] if ending == "csv" else []
    file = flights / f"flights.{ending}"
    ended = succeed(shared_server, "import", file, "--table", table, *arguments)
    assert "imported 336,776 rows in " in ended.err
    got = by_row(select(shared_server, f"SELECT * FROM {table}"))
    assert got.schema.types == want.schema.types
    assert got.equals(want.cast(got.schema))
    back = tmp_path / f"back.{ending}"
    succeed(shared_server, "export", "--table", table, "--to", back)
    reader = {"csv": "read_csv", "parquet": "read_parquet"}[ending]
    read = f"SELECT * FROM {reader}('{back}')"
    held = duckdb.connect()
    held.register("want", want)
    held.execute("SET TimeZone = 'UTC'")
    held.execute(f"CREATE TABLE got AS {read}")
    for one, other in [("got", "want"), ("want", "got")]:
        columns = ", ".join(want.column_names)
        sql = f"SELECT COUNT(*) FROM (SELECT {columns} FROM {one} EXCEPT ALL SELECT {columns} FROM {other})"
        assert held.execute(sql).fetchone() == (0,)


def test_types_are_inferred_and_a_value_that_does_not_fit_names_its_row(
    shared_server, namespace, tmp_path
):
    file = tmp_path / "f.csv"
    lines = ["b,i,d,day,at,z,t,n", "true,1,2.5,2024-02-29,2024-01-01 10:00:00,2024-01-01T10:00:00Z,x,"]
    file.write_text("\n".join(lines) + "\n")
    succeed(shared_server, "import", file, "--table", f"{namespace}.f", "--create")
    schema = select(shared_server, f"SELECT * FROM {namespace}.f").schema
    assert [str(t) for t in schema.types] == [
        "bool",
        "int64",
        "double",
        "date32[day]",
        "timestamp[us]",
        "timestamp[us, tz=UTC]",
        "string",
        "string",
    ]
    file.write_text("n\n" + "1\n" * 20_000 + "x\n")
    to = ["--table", f"{namespace}.g", "--create"]
    said = refused(shared_server, "import", file, *to, "--infer-rows", "10")
    assert "row 20001 (line 20002), column 'n': 'x' is not a value of type BIGINT" in said
    assert "--infer-rows all" in said and "no row is committed" in said
    succeed(shared_server, "import", file, *to, "--infer-rows", "all")
    assert rows_in(shared_server, f"{namespace}.g") == 20_001


def test_create_makes_keys_and_types_and_respects_what_exists(shared_server, namespace, tmp_path):
    file = tmp_path / "f.ndjson"
    file.write_text('{"id": 1, "doc": {"a": [1]}}\n{"id": 2, "doc": "text"}\n')
    table = f"{namespace}.t"
    key = ["--create", "--primary-key", "id", "--type", "shared"]
    succeed(shared_server, "import", file, "--table", table, *key)
    got = select(shared_server, f"SELECT doc FROM {table} ORDER BY id")
    assert got["doc"].to_pylist() == ['{"a": [1]}', '"text"']
    assert "exists" in refused(shared_server, "import", file, "--table", table, "--create")
    said = refused(shared_server, "import", file, "--table", table)
    assert "no row is committed" in said
    replace = ["--create", "--if-exists", "replace"]
    succeed(shared_server, "import", file, "--table", table, *replace)
    assert rows_in(shared_server, table) == 2
    append = ["--create", "--if-exists", "append"]
    assert "duplicate key" in refused(shared_server, "import", file, "--table", table, *append)
    file.write_text('{"id": 3, "doc": null}\n{"id": 4, "doc": []}\n')
    succeed(shared_server, "import", file, "--table", table, *append)
    assert rows_in(shared_server, table) == 4
    said = refused(shared_server, "import", file, "--table", f"{namespace}.nosuch")
    assert "nosuch" in said and "--create" in said
    empty = tmp_path / "empty.csv"
    empty.write_text("a,b\n")
    succeed(shared_server, "import", empty, "--table", f"{namespace}.empty", "--create")
    assert select(shared_server, f"SELECT * FROM {namespace}.empty").column_names == ["a", "b"]


def test_replacing_the_rows_keeps_the_table(shared_server, namespace, tmp_path):
    table = f"{namespace}.t"
    execute(
        shared_server,
        f"CREATE TABLE {table} (id INT PRIMARY KEY, name VARCHAR(9) NOT NULL CHECK (name <> ''),"
        " n INT DEFAULT 7) COMMENT 'kept' WITH (DURABILITY = 'interval:200ms')",
    )
    execute(shared_server, f"CREATE VIEW {namespace}.v AS SELECT name FROM {table}")
    execute(shared_server, f"INSERT INTO {table} VALUES (1, 'old', 1), (2, 'old', 2)")
    definition = select(shared_server, f"SHOW CREATE TABLE {table}")
    file = tmp_path / "f.csv"
    to = ["--table", table, "--create", "--if-exists", "replace", "--primary-key", "id"]

    for content, said in [
        ("id,name,other\n3,c,4\n", "has no column 'other'"),
        ("id,n\n3,4\n", "does not have the column name"),
        ("n\n4\n", "does not have the columns id, name"),
        ("id,name\nx,c\n", "'x' is not a value of type INT"),
    ]:
        file.write_text(content)
        said_of = refused(shared_server, "import", file, *to)
        assert said in said_of and "emptied" not in said_of, said_of
        assert rows_in(shared_server, table) == 2, content

    file.write_text("id,name\n2,new\n3,more\n")
    succeed(shared_server, "import", file, *to)
    got = select(shared_server, f"SELECT * FROM {table} ORDER BY id").to_pylist()
    assert [tuple(row.values()) for row in got] == [(2, "new", 7), (3, "more", 7)]
    assert select(shared_server, f"SHOW CREATE TABLE {table}").equals(definition)
    assert rows_in(shared_server, f"{namespace}.v") == 2

    for content, said in [
        ("id,name\n5,a\n5,b\n", "duplicate key"),
        ('id,name\n5,""\n', "violates the check"),
    ]:
        file.write_text(content)
        said_of = refused(shared_server, "import", file, *to)
        assert said in said_of and "was emptied, the rows it had are gone" in said_of, said_of
        assert rows_in(shared_server, table) == 0
        execute(shared_server, f"INSERT INTO {table} VALUES (1, 'old', 1)")
    file.write_text("id,name\n")
    succeed(shared_server, "import", file, *to)
    assert rows_in(shared_server, table) == 0
    assert select(shared_server, f"SHOW CREATE TABLE {table}").equals(definition)

    file.write_text("id\n1\n1\n")
    to[1] = f"{namespace}.made"
    assert "duplicate key" in refused(shared_server, "import", file, *to)
    for table in ["v", "stream"]:
        to[1] = f"{namespace}.{table}"
        if table == "stream":
            execute(shared_server, f"CREATE STREAM TABLE {to[1]} (id INT) WITH (TTL_SECONDS = 60)")
            execute(shared_server, f"INSERT INTO {to[1]} VALUES (1)")
        rows = rows_in(shared_server, to[1])
        assert "emptied" not in refused(shared_server, "import", file, *to)
        assert rows_in(shared_server, to[1]) == rows


def test_columns_are_matched_by_name_and_missing_ones_get_their_default(
    shared_server, namespace, tmp_path
):
    table = f"{namespace}.t"
    execute(shared_server, f"CREATE TABLE {table} (id INT, name TEXT, n INT DEFAULT 7)")
    file = tmp_path / "f.csv"
    file.write_text("NAME,id\r\nx,1\r\n")
    succeed(shared_server, "import", file, "--table", table)
    succeed(shared_server, "import", "-", "--format", "csv", "--no-header", "--columns", "id,name",
            "--delimiter", ";", "--table", table, given=b"2;'y'\n")
    succeed(shared_server, "import", "-", "--format", "csv", "--no-header", "--quote", "'",
            "--table", table, given=b"3,'',8\n")
    got = select(shared_server, f"SELECT * FROM {table} ORDER BY id").to_pylist()
    assert [tuple(row.values()) for row in got] == [(1, "x", 7), (2, "'y'", 7), (3, "", 8)]
    file.write_text("nam,id\nx,1\n")
    said = refused(shared_server, "import", file, "--table", table)
    assert "no column 'nam': did you mean 'name'?" in said
    assert rows_in(shared_server, table) == 3


def truncated_parquet(tmp_path: Path) -> Path:
    """A Parquet file without its end."""
    file = tmp_path / "cut.parquet"
    pq.write_table(pa.table({"id": list(range(1000))}), file)
    file.write_bytes(file.read_bytes()[:-20])
    return file


def damaged_parquet(tmp_path: Path) -> Path:
    """A Parquet file with other bytes in its pages."""
    file = tmp_path / "damaged.parquet"
    pq.write_table(pa.table({"id": list(range(100_000))}), file)
    content = bytearray(file.read_bytes())
    content[100:5000] = b"\xff" * 4900
    file.write_bytes(content)
    return file


def cut_arrow(tmp_path: Path) -> Path:
    """An Arrow stream that breaks off."""
    file = tmp_path / "cut.arrows"
    table = pa.table({"id": list(range(100_000))})
    with pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    file.write_bytes(file.read_bytes()[:5000])
    return file


def cut_gzip(tmp_path: Path) -> Path:
    """A compressed CSV file that breaks off."""
    file = tmp_path / "cut.csv.gz"
    text = "id\n" + "".join(f"{i}\n" for i in range(10_000))
    file.write_bytes(gzip.compress(text.encode())[:5000])
    return file


@pytest.mark.parametrize("make", [truncated_parquet, damaged_parquet, cut_arrow, cut_gzip])
def test_damaged_files_are_refused_and_leave_nothing(shared_server, namespace, tmp_path, make):
    table = f"{namespace}.t"
    execute(shared_server, f"CREATE TABLE {table} (id BIGINT)")
    file = make(tmp_path)
    ended = run(shared_server, "import", file, "--table", table)
    assert ended.code in (1, 2) and file.name in ended.err and "panicked" not in ended.err
    assert rows_in(shared_server, table) == 0


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "is empty"),
        (b"id,t\n1,a\n2\n", "line 3: it has 1 field, the file has 2 columns"),
        (b"id,t\n1,a,b\n", "line 2: it has 3 fields"),
        (b"id,t\n1,a\nx,b\n", "row 2 (line 3), column 'id': 'x' is not a value of type INT"),
        (b"id,t\n1,\xff\n", "line 2: column 't' is not UTF-8"),
        (b'id,t\n1,"a\n', "line 2: a quote is not closed"),
        (b"id,other\n1,a\n", "has no column 'other'"),
        (b"id,id\n1,1\n", "twice"),
    ],
)
def test_what_is_wrong_in_a_csv_file_is_said_with_its_place(
    shared_server, namespace, tmp_path, content, said
):
    table = f"{namespace}.t"
    execute(shared_server, f"CREATE TABLE {table} (id INT, t TEXT)")
    file = tmp_path / "bad.csv"
    file.write_bytes(content)
    assert said in refused(shared_server, "import", file, "--table", table)
    assert rows_in(shared_server, table) == 0


def test_wrong_usage_and_rights(shared_server, namespace, tmp_path):
    table = f"{namespace}.t"
    execute(shared_server, f"CREATE TABLE {table} (id INT)")
    file = tmp_path / "f.csv"
    file.write_text("id\n1\n")
    to = ["--table", table]
    refused(shared_server, "import", tmp_path / "nosuch.csv", *to, code=2)
    assert "directory" in refused(shared_server, "import", tmp_path, *to, "--format", "csv", code=2)
    assert "--format" in refused(shared_server, "import", tmp_path / "x.bin", *to, code=2)
    ended = run(shared_server, "import", file, *to, password="wrong")
    assert ended.code == 3 and "cannot sign in" in ended.err
    execute(shared_server, f"CREATE USER {namespace}u WITH PASSWORD 'some password' ROLE user")
    ended = run(shared_server, "import", file, *to, "--user", f"{namespace}u", password="some password")
    assert ended.code == 1, ended.err
    assert rows_in(shared_server, table) == 0

    out = tmp_path / "out.csv"
    out.write_text("mine")
    assert "--overwrite" in refused(shared_server, "export", *to, "--to", out, code=2)
    assert out.read_text() == "mine"
    succeed(shared_server, "export", *to, "--to", out, "--overwrite")
    assert out.read_text() == "id\n"
    bad = tmp_path / "bad.csv"
    said = refused(shared_server, "export", "-c", "SELECT nosuch FROM " + table, "--to", bad)
    assert "nosuch" in said
    failing = "SELECT 1 / (id - 5000) FROM generate_series(1, 100000) AS g(id)"
    assert run(shared_server, "export", "-c", failing, "--to", bad).code == 1
    write = f"INSERT INTO {table} VALUES (1)"
    refused(shared_server, "export", "-c", write, "--to", bad, code=2)
    assert rows_in(shared_server, table) == 0
    refused(shared_server, "export", *to, "--to", tmp_path / "no" / "dir.csv", code=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.csv", "out.csv"]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A CSV file of many times the size of a commit of this test, with a key."""
    file = tmp_path_factory.mktemp("large") / "large.csv"
    with file.open("w") as out:
        out.write("id,a,b,c,t\n")
        for i in range(1_000_000):
            out.write(f"{i},{i * 7},{i * 11},{i / 8},text number {i}\n")
    return file


LARGE = "(id BIGINT PRIMARY KEY, a BIGINT, b BIGINT, c DOUBLE, t TEXT)"


def peak_mib(process: subprocess.Popen) -> float:
    """The peak of a process that has ended and was not yet waited for: read while it runs."""
    text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"^VmHWM:\s+(\d+)", text, re.MULTILINE)
    return int(found.group(1)) / 1024 if found else 0.0


def run_measured(server: Server, *arguments: str | Path) -> float:
    """Runs a command that must succeed; returns the peak of its memory."""
    process = subprocess.Popen(
        command(server, *arguments), stderr=subprocess.PIPE, env=environment()
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, peak_mib(process))
        try:
            process.wait(0.01)
        except subprocess.TimeoutExpired:
            continue
    assert process.returncode == 0, process.stderr.read()
    process.stderr.close()
    assert peak > 0
    return peak


def test_memory_is_bounded_and_large_files_go_in_and_out(shared_server, namespace, large, tmp_path):
    table = f"{namespace}.large"
    execute(shared_server, f"CREATE TABLE {table} {LARGE}")
    size = ["--commit-mib", str(COMMIT_MIB)]
    peak = run_measured(shared_server, "import", large, "--table", table, *size)
    assert peak < MEMORY_MIB_MAX, f"{peak} MiB"
    assert rows_in(shared_server, table) == 1_000_000
    for ending in ["parquet", "csv"]:
        file = tmp_path / f"large.{ending}"
        peak = run_measured(shared_server, "export", "--table", table, "--to", file)
        assert peak < MEMORY_MIB_MAX, f"{ending}: {peak} MiB"
    assert pq.read_metadata(tmp_path / "large.parquet").num_rows == 1_000_000
    again = f"{namespace}.again"
    execute(shared_server, f"CREATE TABLE {again} {LARGE}")
    peak = run_measured(
        shared_server, "import", tmp_path / "large.parquet", "--table", again, *size
    )
    assert peak < MEMORY_MIB_MAX, f"{peak} MiB"
    differing = f"SELECT * FROM {table} EXCEPT SELECT * FROM {again}"
    assert select(shared_server, differing).num_rows == 0


def test_an_interrupted_import_says_what_is_in_and_goes_on_from_there(
    shared_server, namespace, large
):
    table = f"{namespace}.large"
    execute(shared_server, f"CREATE TABLE {table} {LARGE}")
    arguments = ["import", large, "--table", table, "--commit-mib", "1"]
    process = subprocess.Popen(
        command(shared_server, *arguments), stderr=subprocess.PIPE, env=environment(), text=True
    )
    while rows_in(shared_server, table) == 0:
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    found = re.search(r"([\d,]+) rows are committed; to go on, say --skip-rows (\d+)", said)
    assert found, said
    committed = int(found.group(2))
    assert int(found.group(1).replace(",", "")) == committed == rows_in(shared_server, table)
    assert 0 < committed < 1_000_000
    assert "duplicate" in refused(shared_server, *arguments).lower()
    succeed(shared_server, *arguments, "--skip-rows", str(committed))
    got = select(shared_server, f"SELECT COUNT(*) AS n, SUM(a) AS a, SUM(c) AS c FROM {table}")
    n = 1_000_000
    assert got.to_pylist() == [{"n": n, "a": 7 * n * (n - 1) // 2, "c": n * (n - 1) / 16}]
    said = refused(shared_server, *arguments, "--skip-rows", "2000000")
    assert "has only 1000000 rows" in said


def test_a_bad_row_late_in_a_file_keeps_the_commits_before_it(shared_server, namespace, tmp_path):
    table = f"{namespace}.t"
    execute(shared_server, f"CREATE TABLE {table} (id BIGINT PRIMARY KEY, t TEXT)")
    file = tmp_path / "f.csv"
    rows = [f"{i},{'x' * 100}" for i in range(100_000)]
    file.write_text("id,t\n" + "\n".join([*rows, "bad,x"]) + "\n")
    arguments = ["import", file, "--table", table, "--commit-mib", "1"]
    said = refused(shared_server, *arguments)
    assert "row 100001 (line 100002), column 'id': 'bad'" in said
    committed = int(re.search(r"--skip-rows (\d+)", said).group(1))
    assert 0 < committed == rows_in(shared_server, table)
    file.write_text("id,t\n" + "\n".join(rows) + "\n")
    succeed(shared_server, *arguments, "--skip-rows", str(committed))
    assert rows_in(shared_server, table) == 100_000


def test_export_stops_on_ctrl_c_and_leaves_no_file(shared_server, namespace, tmp_path):
    sql = "SELECT a.a FROM generate_series(1, 100000) a, generate_series(1, 100000) b"
    file = tmp_path / "f.csv"
    process = subprocess.Popen(
        command(shared_server, "export", "-c", sql, "--to", file),
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    while not any(path.stat().st_size for path in tmp_path.iterdir()):
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert list(tmp_path.iterdir()) == []


def test_help_names_the_commands(shared_server):
    def told(*arguments: str) -> str:
        line = [str(shared_server.binary), *arguments, "--help"]
        return subprocess.run(line, capture_output=True, check=True, text=True).stdout

    assert "import" in told() and "export" in told()
    for name in ["import", "export"]:
        assert "Exit codes" in told(name) and "--table" in told(name)
