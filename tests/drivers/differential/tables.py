"""The tables random statements run over, filled the same way on both sides."""

import datetime
import random
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa

NAMESPACE = "diff"
INT, BIG, REAL, EXACT, TEXT, BOOL, DATE, TIME = (
    "INT", "BIGINT", "DOUBLE", "DECIMAL(12, 2)", "TEXT", "BOOLEAN", "DATE", "TIMESTAMP"
)  # fmt: skip
_ARROW = {
    INT: pa.int32(),
    BIG: pa.int64(),
    REAL: pa.float64(),
    EXACT: pa.decimal128(12, 2),
    TEXT: pa.string(),
    BOOL: pa.bool_(),
    DATE: pa.date32(),
    TIME: pa.timestamp("us"),
}
WORDS = ("", "a", "A", "b", "ab", "abc", "Zoë", "x y", "100%", "under_score", "it's", "née")
_NULL_SHARE = 0.15
_EPOCH = datetime.datetime(2024, 1, 1)


class Column(NamedTuple):
    """A column; `kind` is its SQL type."""

    name: str
    kind: str


class Table(NamedTuple):
    """A table of the same definition on both sides."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rows: int

    @property
    def qualified(self) -> str:
        """The name with its namespace."""
        return f"{NAMESPACE}.{self.name}"

    @property
    def definition(self) -> str:
        """CREATE TABLE, as both sides read it."""
        columns = [f"{column.name} {column.kind}" for column in self.columns]
        if self.key:
            columns.append(f"PRIMARY KEY ({', '.join(self.key)})")
        return f"CREATE TABLE {self.qualified} ({', '.join(columns)})"

    @property
    def others(self) -> list[Column]:
        """The columns that are not in the key."""
        return [column for column in self.columns if column.name not in self.key]


TABLES = (
    Table(
        "orders",
        (
            Column("id", BIG),
            Column("customer", INT),
            Column("amount", EXACT),
            Column("weight", REAL),
            Column("note", TEXT),
            Column("paid", BOOL),
            Column("day", DATE),
            Column("moment", TIME),
        ),
        ("id",),
        300,
    ),
    Table(
        "lines",
        (
            Column("order_id", BIG),
            Column("line", INT),
            Column("product", TEXT),
            Column("quantity", INT),
            Column("price", EXACT),
        ),
        ("order_id", "line"),
        400,
    ),
    Table(
        "customers",
        (Column("customer", INT), Column("name", TEXT), Column("since", DATE), Column("vip", BOOL)),
        ("customer",),
        40,
    ),
    Table(
        "events",
        (Column("n", INT), Column("kind", TEXT), Column("size", REAL), Column("moment", TIME)),
        (),
        250,
    ),
)


def value(rng: random.Random, kind: str, nullable: bool = True):
    """A value of a type. Doubles are multiples of a quarter: sums of them are exact."""
    if nullable and rng.random() < _NULL_SHARE:
        return None
    return {
        INT: lambda: rng.randint(-40, 40),
        BIG: lambda: rng.choice((rng.randint(0, 400), rng.randint(-(2**53) - 9, 2**53 + 9))),
        REAL: lambda: rng.randint(-200, 200) / 4,
        EXACT: lambda: Decimal(rng.randint(-99999, 99999)).scaleb(-2),
        TEXT: lambda: rng.choice(WORDS),
        BOOL: lambda: rng.random() < 0.5,
        DATE: lambda: (_EPOCH + datetime.timedelta(days=rng.randint(-400, 400))).date(),
        TIME: lambda: _EPOCH + datetime.timedelta(microseconds=rng.randint(-(10**13), 10**13)),
    }[kind]()


def literal(item, kind: str) -> str:
    """A value as SQL text."""
    if item is None:
        return f"CAST(NULL AS {kind})"
    if kind == TEXT:
        return "'" + item.replace("'", "''") + "'"
    if kind == DATE:
        return f"DATE '{item.isoformat()}'"
    if kind == TIME:
        return f"TIMESTAMP '{item.isoformat(sep=' ')}'"
    if kind == EXACT:
        return f"CAST({item} AS {EXACT})"
    if kind == REAL:
        return f"CAST({item!r} AS DOUBLE)"
    return str(item).upper() if kind == BOOL else str(item)


def content(rng: random.Random, table: Table) -> pa.Table:
    """Rows for a table; keys are small, so that joins meet."""
    columns = {}
    for column in table.columns:
        nullable = column.name not in table.key
        columns[column.name] = [value(rng, column.kind, nullable) for _ in range(table.rows)]
    if table.key == ("id",) or table.key == ("customer",):
        columns[table.key[0]] = list(range(table.rows))
    elif table.key:
        pairs = rng.sample([(o, n) for o in range(300) for n in range(4)], table.rows)
        columns["order_id"], columns["line"] = map(list, zip(*pairs))
    if table.name == "orders":
        columns["customer"] = [rng.choice((None, *range(50))) for _ in range(table.rows)]
    schema = pa.schema([pa.field(column.name, _ARROW[column.kind]) for column in table.columns])
    return pa.table(columns, schema=schema)
