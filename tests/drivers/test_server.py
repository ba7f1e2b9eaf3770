"""The process itself: ready, drained, killed, and what is left on disk."""

import subprocess
import urllib.request

import pytest

from server import Server

MANY = 2_000


def rows(server: Server) -> list[tuple]:
    """What the table holds."""
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, v FROM kept ORDER BY id")
        return cursor.fetchall()


@pytest.fixture
def filled(own_server):
    """A server whose default namespace has a table with some rows."""
    with own_server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (id INT PRIMARY KEY, v TEXT)")
        cursor.executemany("INSERT INTO kept VALUES (?, ?)", [(i, f"v{i}") for i in range(MANY)])
        cursor.execute("DELETE FROM kept WHERE id % 2 = 1")
        cursor.execute("UPDATE kept SET v = 'changed' WHERE id = 4")
    return own_server


def expected() -> list[tuple]:
    """The rows `filled` leaves."""
    return [(i, "changed" if i == 4 else f"v{i}") for i in range(0, MANY, 2)]


def test_sigterm_drains_and_ends_with_zero(filled):
    assert filled.stop() == 0
    filled.start()
    assert rows(filled) == expected()


def test_acknowledged_rows_survive_being_killed_again_and_again(filled):
    for round_number in range(5):
        with filled.adbc() as connection, connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO kept VALUES ({MANY + round_number}, 'late')")
        filled.kill_and_restart()
        late = [(MANY + n, "late") for n in range(round_number + 1)]
        assert rows(filled) == expected() + late


def test_users_and_namespaces_survive_too(filled):
    with filled.adbc() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE NAMESPACE other")
        cursor.execute("CREATE USER ann WITH PASSWORD 'the password of ann' ROLE user")
        cursor.execute("CREATE USER TABLE other.own (id INT PRIMARY KEY)")
    filled.kill_and_restart()
    with filled.adbc("ann", "the password of ann") as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO other.own VALUES (1)")
        cursor.execute("SELECT * FROM other.own")
        assert cursor.fetchall() == [(1,)]


def test_one_directory_has_one_server(filled):
    second = subprocess.run(
        [
            str(filled.binary),
            "serve",
            "--data-dir",
            str(filled.data_dir),
            "--listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode != 0
    assert str(filled.data_dir) in second.stderr
    assert rows(filled) == expected()


def test_metrics_answer(filled):
    with urllib.request.urlopen(f"http://{filled.metrics_address}/metrics", timeout=10) as answer:
        assert answer.status == 200
        assert b"kalamdb" in answer.read()
