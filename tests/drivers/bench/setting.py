"""A loaded server and its peers, shared by all benchmarks of one run."""

import functools
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from bench.floor import Floor, small_statements
from bench.measure import forget_peak, memory_mib, settled_mib
from bench.tables import MESSAGES_SQL, duckdb_peer, messages, sqlite_peer, wide, wide_sql
from server import Server

BENCH_USER = "bench"
BENCH_PASSWORD = "benchmarks know this one"
INBOX_ROWS = 100_000
INGEST_BATCH_ROWS = 65_536


@dataclass
class Setting:
    """What a benchmark needs to run."""

    server: Server
    directory: Path
    rows: int
    wide_rows: int
    floor: Floor | None
    duck: duckdb.DuckDBPyConnection = field(init=False)
    lite: sqlite3.Connection | None = None
    new_mib: float = 0.0
    loaded_mib: float = 0.0
    loaded_peak_mib: float = 0.0

    def load(self) -> None:
        """Fills the tables of the server, then those of its peers."""
        with self.server.adbc() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE NAMESPACE bench")
            self.new_mib, _ = memory_mib(self.server.pid)
            forget_peak(self.server.pid)
            cursor.execute(f"CREATE TABLE bench.messages ({MESSAGES_SQL})")
            self._ingest(cursor, "messages", messages(self.rows))
            _, self.loaded_peak_mib = memory_mib(self.server.pid)
            cursor.execute("SELECT * FROM bench.messages")
            assert sum(batch.num_rows for batch in cursor.fetch_record_batch()) == self.rows
            self.loaded_mib = settled_mib(self.server.pid)
            cursor.execute(f"CREATE TABLE bench.wide ({wide_sql()})")
            self._ingest(cursor, "wide", wide(self.wide_rows))
            cursor.execute(f"CREATE USER TABLE bench.inbox ({MESSAGES_SQL})")
            cursor.execute(f"CREATE USER {BENCH_USER} WITH PASSWORD '{BENCH_PASSWORD}' ROLE user")
        with self.server.adbc(BENCH_USER, BENCH_PASSWORD) as connection:
            with connection.cursor() as cursor:
                self._ingest(cursor, "inbox", messages(INBOX_ROWS))
        self.duck = duckdb_peer(self.rows)
        self.lite = sqlite_peer(self.directory, self.rows)

    @functools.cached_property
    def rust(self) -> dict[str, float] | None:
        """What the client in Rust measures; it runs once."""
        return small_statements(self.server, "bench.messages", self.rows)

    def _ingest(self, cursor, table: str, data) -> None:
        batches = data.to_reader(max_chunksize=INGEST_BATCH_ROWS)
        count = cursor.adbc_ingest(table, batches, "append", db_schema_name="bench")
        assert count == data.num_rows, table

    @classmethod
    def open(cls, binary: Path, rows: int, wide_rows: int) -> "Setting":
        """Starts a server on a fresh directory and loads it."""
        directory = Path(tempfile.mkdtemp(prefix="kalamdb-bench-"))
        server = Server(directory / "data", binary).start()
        setting = cls(server, directory, rows, wide_rows, Floor.beside(binary))
        try:
            setting.load()
        except BaseException:
            setting.close()
            raise
        return setting

    def close(self) -> None:
        """Ends the server and the floor, removes the directory."""
        self.server.kill()
        if self.floor:
            self.floor.close()
        if self.lite:
            self.lite.close()
        shutil.rmtree(self.directory, ignore_errors=True)
