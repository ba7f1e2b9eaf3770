"""Many small tables: what creating, listing and querying them costs, and a start with them.

It runs on a server of its own: the tables of the other sections would stand in its listings.
"""

import tempfile
import time
from pathlib import Path

import adbc_driver_flightsql.dbapi as flightsql

from bench.measure import settled_mib
from bench.report import Report, Row
from bench.setting import Setting
from server import Server

NAMESPACES = 100
TABLES_EACH = 10
_COLUMNS = ", ".join(f"c{n} TEXT" for n in range(8))


def run(setting: Setting, report: Report) -> None:
    """Creates, lists and queries the tables, then starts the server again."""
    tables = NAMESPACES * TABLES_EACH
    report.section(f"{tables:,} tables in {NAMESPACES} namespaces")
    with tempfile.TemporaryDirectory(prefix="kalamdb-bench-") as directory:
        server = Server(Path(directory) / "data", setting.server.binary)
        empty_seconds = _seconds(server.start)
        empty_mib = settled_mib(server.pid)
        try:
            with server.adbc() as connection:
                seconds = _seconds(lambda: _create(connection))
                report.add(Row("CREATE TABLE, each", seconds / tables * 1e3, "ms"))
                seconds = _seconds(lambda: _list(connection, tables))
                report.add(Row("get_objects down to the columns", seconds * 1e3, "ms"))
                seconds = _seconds(lambda: _query(connection))
                report.add(Row("SELECT of one row, each table", seconds / tables * 1e3, "ms"))
            mib = settled_mib(server.pid)
            report.add(Row("resident with all tables", mib, "MiB", {"new server": empty_mib}))
            assert server.stop() == 0
            seconds = _seconds(server.start)
            report.add(Row("start with all tables", seconds, "s", {"new directory": empty_seconds}))
            with server.adbc() as connection:
                _query(connection)
            mib = settled_mib(server.pid)
            report.add(Row("resident after that start", mib, "MiB", {"new server": empty_mib}))
        finally:
            server.kill()


def _seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _names() -> list[tuple[str, str]]:
    return [(f"ns{n}", f"t{t}") for n in range(NAMESPACES) for t in range(TABLES_EACH)]


def _create(connection: flightsql.Connection) -> None:
    with connection.cursor() as cursor:
        for number in range(NAMESPACES):
            cursor.execute(f"CREATE NAMESPACE ns{number}")
        for namespace, table in _names():
            cursor.execute(f"CREATE TABLE {namespace}.{table} (id BIGINT PRIMARY KEY, {_COLUMNS})")
            cursor.execute(f"INSERT INTO {namespace}.{table} (id, c0) VALUES (1, '{table}')")


def _list(connection: flightsql.Connection, tables: int) -> None:
    objects = connection.adbc_get_objects(depth="columns", table_name_filter="t%").read_all()
    (catalog,) = objects.to_pylist()
    found = [
        table
        for schema in catalog["catalog_db_schemas"]
        if schema["db_schema_name"].startswith("ns")
        for table in schema["db_schema_tables"]
    ]
    assert len(found) == tables, len(found)


def _query(connection: flightsql.Connection) -> None:
    with connection.cursor() as cursor:
        for namespace, table in _names():
            cursor.execute(f"SELECT c0 FROM {namespace}.{table} WHERE id = 1")
            assert cursor.fetchone() == (table,)
