"""The stock Arrow Flight SQL JDBC driver, driven by the Java program under jdbc/."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import nycflights
from server import ROOT_PASSWORD, Server

PROJECT = Path(__file__).parent / "jdbc"
JAR = PROJECT / "target" / "jdbc-client.jar"
BUILD_SECONDS_MAX = 600
RUN_SECONDS_MAX = 300


def need(program: str) -> str:
    """A program's path. Without it these tests cannot run: said aloud, and a failure under CI."""
    path = shutil.which(program)
    if path is None:
        message = f"{program} is not on PATH: the JDBC driver was not tested"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


def built_jar() -> Path:
    """The client's jar, built when it is missing or older than a source."""
    sources = [PROJECT / "pom.xml", *PROJECT.glob("src/**/*.java")]
    fresh = JAR.exists() and all(JAR.stat().st_mtime >= s.stat().st_mtime for s in sources)
    if not fresh:
        build = subprocess.run(
            [need("mvn"), "-q", "-B", "package"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS_MAX,
        )
        assert build.returncode == 0, build.stdout + build.stderr
    return JAR


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> dict:
    """What the Java program saw."""
    java, jar = need("java"), built_jar()
    server = Server(tmp_path_factory.mktemp("jdbc") / "data").start()
    try:
        with server.adbc() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE NAMESPACE flights")
            for name in ("flights", "planes"):
                batches = nycflights.load(name).to_reader(max_chunksize=65_536)
                cursor.adbc_ingest(name, batches, "create", db_schema_name="flights")
            cursor.execute(
                """
                CREATE TABLE flights.planes_pk (
                    tailnum TEXT PRIMARY KEY, year BIGINT, type TEXT, manufacturer TEXT NOT NULL,
                    model TEXT, engines BIGINT, seats BIGINT, speed BIGINT, engine TEXT)
                """
            )
            cursor.execute("INSERT INTO flights.planes_pk SELECT * FROM flights.planes")
        host, port = server.address.rsplit(":", 1)
        run = subprocess.run(
            [
                java,
                "--add-opens=java.base/java.nio=ALL-UNNAMED",
                "-Duser.timezone=UTC",
                "-cp",
                f"{jar}{os.pathsep}{jar.parent / 'lib'}{os.sep}*",
                "kalamdb.JdbcClient",
                host,
                port,
                "root",
                ROOT_PASSWORD,
            ],
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS_MAX,
        )
        assert run.returncode == 0, f"{run.stdout}\n{run.stderr}\n{server.log_tail()}"
        return json.loads(run.stdout.splitlines()[-1])
    finally:
        server.kill()


def test_it_learns_what_the_server_is(seen):
    assert seen["product"] == "KalamDB"
    assert seen["product_version"]
    assert seen["quote"] == '"'
    assert seen["keywords_known"] is True
    assert seen["transactions"] is False


def test_it_lists_catalogs_schemas_tables(seen):
    assert seen["catalogs"] == ["kalam"]
    assert {"flights", "default", "system", "information_schema"} <= set(seen["schemas"])
    assert {"TABLE", "SYSTEM TABLE"} <= set(seen["table_types"])
    assert seen["tables"] == ["flights", "planes", "planes_pk"]


def test_it_lists_columns_and_keys(seen):
    bigint, varchar = -5, 12
    assert [(c[0], c[1], c[3], c[4]) for c in seen["columns"]] == [
        ("tailnum", varchar, 1, "NO"),
        ("year", bigint, 2, "YES"),
        ("type", varchar, 3, "YES"),
        ("manufacturer", varchar, 4, "NO"),
        ("model", varchar, 5, "YES"),
        ("engines", bigint, 6, "YES"),
        ("seats", bigint, 7, "YES"),
        ("speed", bigint, 8, "YES"),
        ("engine", varchar, 9, "YES"),
    ]
    assert seen["primary_key"] == ["tailnum"]
    assert seen["imported_keys"] == []


def test_a_prepared_query_answers_for_each_parameter(seen):
    planes = nycflights.load("planes").to_pylist()
    assert seen["parameters"] == 3
    assert seen["prepared"] == [
        [
            [p["tailnum"], p["year"], p["manufacturer"], p["seats"]]
            for p in sorted(planes, key=lambda p: p["tailnum"])
            if p["manufacturer"] == manufacturer and (p["year"] or 0) > 2005
        ][:3]
        for manufacturer in ("EMBRAER", "BOEING", "nobody")
    ]
    assert len(seen["prepared"][0]) == len(seen["prepared"][1]) == 3


def test_queries_and_updates_are_told_apart(seen):
    assert seen["create"] == 0
    assert seen["insert"] == 2
    assert seen["is_query"] is True
    assert (seen["is_update"], seen["update_count"]) == (True, 1)
    assert (seen["returning_is_query"], seen["returned"]) == (True, "2 two")
    assert seen["upsert"] == 1
    assert seen["counts"] == [0, 5, 2, 2, 3, 0]
    assert seen["show_is_query"] is True
    assert seen["describe_is_query"] is True


def test_inserts_and_batches_arrive(seen):
    assert seen["prepared_insert"] == 1
    assert seen["batch_insert"] == 100
    assert [label for label, _ in seen["inserted_columns"]] == ["id", "word", "price"]
    assert seen["inserted"] == [
        [1, "one", "1.50"],
        [2, "two", "2.00"],
        [3, "three – ñ漢", "3.25"],
        [10, None, "0.10"],
        [11, "word 11", "0.11"],
        [12, "word 12", "0.12"],
    ]


def test_types_arrive(seen):
    assert seen["types"] == [
        True,
        -5,
        7,
        1.5,
        0.1,
        "12.34",
        "text",
        "[0, -1]",
        "2024-02-29",
        "2024-02-29 12:30:00.123456",
        "1970-01-01T00:00:01Z",
        None,
        True,
    ]


def test_it_reads_every_flight(seen):
    flights = nycflights.load("flights")
    seconds = pc.cast(
        pc.cast(flights["time_hour"], pa.timestamp("s", "UTC")), pa.int64()
    ).to_numpy()
    assert seen["flight_columns"] == 19
    assert seen["flights"] == [
        336_776,
        pc.sum(flights["distance"]).as_py(),
        pc.sum(flights["arr_delay"]).as_py(),
        flights["arr_delay"].null_count,
        pc.sum(pc.binary_length(flights["tailnum"])).as_py(),
        int((seconds % 1_000_000).sum()),
    ]


def test_errors_say_what_is_wrong(seen):
    syntax, missing = seen["errors"]
    assert "SELEC" in syntax or "line 1" in syntax
    assert "nosuch" in missing
