"""Fixtures of the driver tests: a server for a whole run, or one of a test's own."""

import itertools
from pathlib import Path

import pytest

from server import Server


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory):
    """One server for all tests that keep to a namespace of their own."""
    server = Server(tmp_path_factory.mktemp("shared") / "data").start()
    yield server
    assert server.alive(), f"the server ended during the tests\n{server.log_tail()}"
    code = server.stop()
    assert code == 0, f"SIGTERM ended the server with code {code}\n{server.log_tail()}"


@pytest.fixture
def own_server(tmp_path: Path):
    """A server of the test's own, which it may kill and restart."""
    server = Server(tmp_path / "data").start()
    try:
        yield server
    finally:
        server.kill()


_numbers = itertools.count(1)


@pytest.fixture
def namespace(shared_server):
    """A fresh namespace on the shared server."""
    name = f"ns{next(_numbers)}"
    with shared_server.adbc() as connection, connection.cursor() as cursor:
        cursor.executescript(f"CREATE NAMESPACE {name}")
    return name


@pytest.fixture
def connection(shared_server):
    """An ADBC connection of root to the shared server."""
    with shared_server.adbc() as opened:
        yield opened


@pytest.fixture
def cursor(connection):
    """A cursor of root on the shared server."""
    with connection.cursor() as opened:
        yield opened
