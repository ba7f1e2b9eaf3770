"""Random predicates, orders and limits over keyed tables give what DuckDB gives.

Bounds on key columns become positions in storage, in pairs of inclusive, exclusive and missing
ends over one or more columns, forwards and backwards: too many combinations to list by hand. Each
seed makes one list of queries, the same in every run.
"""

import random

import duckdb
import pyarrow as pa
import pytest

from answers import difference

ROWS = 600
QUERIES_A_SEED = 60
SEEDS = range(4)

# Key columns by name, with what a literal may be. `u` has negative numbers and extremes, `s` texts
# that are prefixes of each other, `d` dates.
COLUMNS = {
    "a": ("INT", pa.int32()),
    "b": ("BIGINT", pa.int64()),
    "u": ("BIGINT", pa.int64()),
    "s": ("TEXT", pa.string()),
    "d": ("DATE", pa.date32()),
    "n": ("INT", pa.int32()),
}
KEYS = {
    "one_integer": ["b"],
    "one_text": ["s"],
    "two_integers": ["a", "b"],
    "integer_and_text": ["a", "s"],
    "text_and_integer": ["s", "a"],
    "three": ["a", "d", "b"],
    "extremes": ["u", "s"],
    "none": [],
}
_EXTREMES = [-(2**63), -(2**63) + 1, -1, 0, 1, 2**63 - 2, 2**63 - 1]
_TEXTS = ["", "a", "aa", "aaa", "ab", "b", "ba", "ñ", "漢", "z", "a b", "A"]
_DATES = ["1969-12-30", "1969-12-31", "1970-01-01", "1970-01-02", "2024-02-29"]


def make_rows(key: list[str], seed: int) -> pa.Table:
    """Rows with many equal values in each column and no two with the same key."""
    chance = random.Random(seed)
    by_key: dict = {}
    for i in range(ROWS):
        row = {
            "a": chance.randrange(8),
            "b": i if key == ["b"] else chance.randrange(-10, 40),
            "u": chance.choice(_EXTREMES),
            "s": chance.choice(_TEXTS) + (str(i) if key == ["s"] else ""),
            "d": chance.choice(_DATES),
            "n": None if i % 5 == 0 else chance.randrange(20),
        }
        by_key.setdefault(tuple(row[c] for c in key) if key else i, row)
    rows = list(by_key.values())
    return pa.table(
        {
            c: pa.array([r[c] for r in rows]).cast(pa.date32())
            if c == "d"
            else pa.array([r[c] for r in rows], COLUMNS[c][1])
            for c in COLUMNS
        }
    )


class Maker:
    """Makes SQL at random."""

    def __init__(self, key: list[str], seed: int):
        self.chance = random.Random(f"{key} {seed}")
        self.key = key

    def literal(self, column: str) -> str:
        """A literal that is often a value of the column and sometimes beside all of them."""
        choose = self.chance
        match column:
            case "u":
                return str(choose.choice(_EXTREMES))
            case "s":
                ending = choose.choice(["", "", str(choose.randrange(600))])
                return f"'{choose.choice(_TEXTS)}{ending}'"
            case "d":
                return f"DATE '{choose.choice([*_DATES, '2000-01-01'])}'"
            case "b":
                return str(choose.randrange(-15, 620 if self.key == ["b"] else 45))
        return str(choose.randrange(-2, 22))

    def comparison(self, column: str) -> str:
        """One comparison of a column."""
        kind = self.chance.randrange(10)
        if kind < 3:
            return f"{column} = {self.literal(column)}"
        if kind < 7:
            operator = self.chance.choice(["<", "<=", ">", ">="])
            if self.chance.random() < 0.2:
                flipped = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[operator]
                return f"{self.literal(column)} {flipped} {column}"
            return f"{column} {operator} {self.literal(column)}"
        if kind == 7:
            return f"{column} BETWEEN {self.literal(column)} AND {self.literal(column)}"
        if kind == 8:
            values = ", ".join(self.literal(column) for _ in range(self.chance.randrange(1, 5)))
            negation = "NOT " if self.chance.random() < 0.2 else ""
            return f"{column} {negation}IN ({values})"
        return f"{column} <> {self.literal(column)}"

    def predicate(self) -> str:
        """A few comparisons, mostly of key columns, joined mostly by AND."""
        columns = [*self.key * 3, *COLUMNS]
        count = self.chance.randrange(0, 5)
        parts = [self.comparison(self.chance.choice(columns)) for _ in range(count)]
        if self.key and self.chance.random() < 0.4:
            leading = self.key[: self.chance.randrange(1, len(self.key) + 1)]
            parts = [f"{c} = {self.literal(c)}" for c in leading[:-1]] + parts[:1]
            parts.append(self.comparison(leading[-1]))
        if not parts:
            return ""
        if len(parts) > 2 and self.chance.random() < 0.3:
            return f"WHERE ({parts[0]} OR {parts[1]}) AND " + " AND ".join(parts[2:])
        return f"WHERE {self.chance.choice([' AND ', ' AND ', ' AND ', ' OR ']).join(parts)}"

    def query(self, table: str) -> tuple[str, bool]:
        """A query and whether the order of its rows is fixed."""
        where = self.predicate()
        if self.chance.random() < 0.2:
            return f"SELECT count(*) AS c, sum(n) AS s, min(b) AS lo FROM {table} {where}", False
        columns = self.chance.choice(["*", "a, s, b, u, d, n", "n", "b, d"])
        if not self.key or self.chance.random() < 0.3:
            return f"SELECT {columns} FROM {table} {where}", False
        direction = self.chance.choice(["", " DESC"])
        order = ", ".join(f"{c}{direction}" for c in self.key)
        if self.chance.random() < 0.2:
            order = f"n{self.chance.choice(['', ' DESC'])}, {order}"
        limit = f" LIMIT {self.chance.randrange(0, 30)}" if self.chance.random() < 0.6 else ""
        if limit and self.chance.random() < 0.3:
            limit += f" OFFSET {self.chance.randrange(0, 20)}"
        return f"SELECT {columns} FROM {table} {where} ORDER BY {order}{limit}", True


@pytest.fixture
def duck():
    """DuckDB with our order of NULLs."""
    connection = duckdb.connect()
    connection.execute("SET default_null_order = 'nulls_last_on_asc_first_on_desc'")
    yield connection
    connection.close()


def load(cursor, duck, namespace, key, seed):
    """The same random rows under `key` in a table `t` here and in DuckDB."""
    columns = ", ".join(f"{c} {sql}" for c, (sql, _) in COLUMNS.items())
    clause = f", PRIMARY KEY ({', '.join(key)})" if key else ""
    cursor.execute(f"CREATE TABLE {namespace}.t ({columns}{clause})")
    rows = make_rows(key, seed)
    cursor.adbc_ingest("t", rows, "append", db_schema_name=namespace)
    duck.register("incoming", rows)
    duck.execute(f"CREATE SCHEMA {namespace}")
    duck.execute(f"CREATE TABLE {namespace}.t AS SELECT * FROM incoming")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", KEYS)
def test_random_queries_agree(cursor, duck, namespace, name, seed):
    key = KEYS[name]
    load(cursor, duck, namespace, key, seed)
    maker = Maker(key, seed)
    for _ in range(QUERIES_A_SEED):
        sql, ordered = maker.query(f"{namespace}.t")
        cursor.execute(sql)
        got = cursor.fetch_arrow_table()
        differing = difference(got, duck.sql(sql).to_arrow_table(), ordered)
        assert differing is None, f"{sql}\n{differing}"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", KEYS)
def test_random_changes_agree(cursor, duck, namespace, name, seed):
    key = KEYS[name]
    load(cursor, duck, namespace, key, seed)
    maker = Maker(key, seed + 1000)
    for i in range(20):
        where = maker.predicate()
        sql = f"UPDATE {namespace}.t SET n = {i} {where}"
        if i % 4 == 3 and where:
            sql = f"DELETE FROM {namespace}.t {where} AND n > 12"
        cursor.execute(sql)
        (expected,) = duck.execute(sql).fetchone()
        assert cursor.rowcount == expected, sql
    cursor.execute(f"SELECT * FROM {namespace}.t")
    remaining = duck.sql(f"SELECT * FROM {namespace}.t").to_arrow_table()
    differing = difference(cursor.fetch_arrow_table(), remaining, ordered=False)
    assert differing is None, differing
