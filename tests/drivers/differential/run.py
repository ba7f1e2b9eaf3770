"""Runs random statements here and in DuckDB and compares answers, counts and tables.

    python -m differential.run [--seed N] [--statements N] [--binary PATH]   # in tests/drivers

The seed is printed; a run with the same seed makes the same statements. Statements that both
sides refuse agree; those only we refuse as not supported are counted and shown.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import adbc_driver_flightsql.dbapi as flightsql
import duckdb
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from answers import difference
from flight_sql import RawClient
from server import Server

from .changes import Change
from .queries import Query
from .tables import NAMESPACE, TABLES, content

STATEMENTS_DEFAULT = 6000
_CHANGES_SHARE = 0.3
# Past this many rows a table is filled anew: joins of random columns multiply.
_TABLE_ROWS_MAX = 900
_SHOWN_MAX = 60


class Both:
    """One set of tables on each side."""

    def __init__(self, client: RawClient, loader: flightsql.Connection, rng: random.Random):
        self.ours = client
        self.loader = loader
        self.duck = duckdb.connect()
        self.duck.execute("SET TimeZone = 'UTC'")
        self.duck.execute("SET default_null_order = 'nulls_last_on_asc_first_on_desc'")
        self.rng = rng
        self.tally: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.refused: Counter[str] = Counter()
        for run in (self.duck.execute, client.update):
            run(f"CREATE SCHEMA {NAMESPACE}")
        for table in TABLES:
            self._fill(table)

    def _fill(self, table) -> None:
        rows = content(self.rng, table)
        self.duck.execute(f"DROP TABLE IF EXISTS {table.qualified}")
        self.duck.execute(table.definition)
        self.duck.register("incoming", rows)
        self.duck.execute(f"INSERT INTO {table.qualified} SELECT * FROM incoming")
        self.duck.unregister("incoming")
        self.ours.update(f"DROP TABLE IF EXISTS {table.qualified}")
        self.ours.update(table.definition)
        with self.loader.cursor() as cursor:
            cursor.adbc_ingest(table.name, rows, mode="append", db_schema_name=NAMESPACE)

    def _duck(self, run):
        try:
            return run(), None
        except duckdb.Error as error:
            return None, str(error)

    def _ours(self, run):
        try:
            return run(), None
        except pa.ArrowException as error:
            return None, str(error)

    def query(self, sql: str) -> None:
        """Compares the rows of a query."""
        want, theirs = self._duck(lambda: self.duck.sql(sql).to_arrow_table())
        got, ours = self._ours(lambda: self.ours.query(sql))
        if not self._both(sql, "query", ours, theirs):
            return
        # Every ORDER BY names all columns, so equal rows are all that may trade places.
        ordered = " ORDER BY 1" in sql
        found = difference(got, want, ordered=ordered)
        if found and not difference(got, self._unoptimized(sql), ordered=ordered):
            self.tally["DuckDB answers otherwise when it optimizes"] += 1
        elif found:
            self._differs(sql, found)
        else:
            self.tally["equal answers"] += 1

    def _unoptimized(self, sql: str) -> pa.Table:
        """DuckDB's answer to the query as it was written."""
        self.duck.execute("PRAGMA disable_optimizer")
        try:
            return self.duck.sql(sql).to_arrow_table()
        finally:
            self.duck.execute("PRAGMA enable_optimizer")

    def change(self, change: Change) -> None:
        """Compares the count of a change, and then the table."""
        sql = change.text()
        # Not optimized: a condition it mistakes would be in the table from then on.
        self.duck.execute("PRAGMA disable_optimizer")
        want, theirs = self._duck(lambda: self.duck.execute(sql).fetchone()[0])
        self.duck.execute("PRAGMA enable_optimizer")
        got, ours = self._ours(lambda: self.ours.update(sql))
        agreed = self._both(sql, "change", ours, theirs)
        if agreed and got != want:
            self._differs(sql, f"{got} rows, expected {want}")
        check = f"SELECT * FROM {change.table.qualified}"
        left, right = self.ours.query(check), self.duck.sql(check).to_arrow_table()
        if ours is None or theirs is None or agreed:
            if found := difference(left, right, ordered=False):
                if agreed:
                    self._differs(sql, f"the table afterwards: {found}")
                self._fill(change.table)
                return
        if agreed and got == want:
            self.tally["equal changes"] += 1
        if right.num_rows > _TABLE_ROWS_MAX:
            self._fill(change.table)

    def _both(self, sql: str, what: str, ours: str | None, theirs: str | None) -> bool:
        """True when both sides ran it."""
        if ours is None and theirs is None:
            return True
        if ours is not None and theirs is not None:
            self.tally[f"both refuse the {what}"] += 1
        elif ours is None:
            # Both have their limits; an answer where the other gives none cannot be judged.
            self.tally[f"only DuckDB refuses the {what}"] += 1
            self.refused[f"DuckDB: {theirs.splitlines()[0][:150]}"] += 1
        elif "Unimplemented" in ours or "not supported" in ours:
            self.tally[f"not supported {what}"] += 1
            self.refused[ours.split(". gRPC")[0][:150]] += 1
        else:
            self._differs(sql, ours)
        return False

    def _differs(self, sql: str, found: str) -> None:
        self.tally["WRONG"] += 1
        if len(self.wrong) < _SHOWN_MAX:
            self.wrong.append(f"{sql}\n    {found}")


def compare(server: Server, seed: int, statements: int) -> Both:
    """Runs so many statements of a seed."""
    rng = random.Random(seed)
    with RawClient(server) as client, server.adbc() as loader:
        both = Both(client, loader, rng)
        for _ in range(statements):
            if rng.random() < _CHANGES_SHARE:
                both.change(Change(rng))
            else:
                both.query(Query(rng).text())
        both.ours.update(f"DROP SCHEMA {NAMESPACE} CASCADE")
    return both


def report(both: Both, seed: int) -> str:
    """What a run found, in a few lines."""
    lines = [f"seed {seed}", *(f"{count:6} {what}" for what, count in sorted(both.tally.items()))]
    lines += [f"{count:6} × {why}" for why, count in both.refused.most_common()]
    return "\n".join([*lines, *(f"\nWRONG: {wrong}" for wrong in both.wrong)])


def main() -> int:
    """The command line; ends with 1 when an answer differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--statements", type=int, default=STATEMENTS_DEFAULT)
    parser.add_argument("--binary", type=Path)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory) / "data", arguments.binary).start()
        try:
            both = compare(server, arguments.seed, arguments.statements)
        finally:
            server.stop()
    print(report(both, arguments.seed))
    return 1 if both.tally["WRONG"] else 0


if __name__ == "__main__":
    sys.exit(main())
