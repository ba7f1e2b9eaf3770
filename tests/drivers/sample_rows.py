"""A small table of mixed types with NULLs, for clients to carry there and back."""

import datetime
from decimal import Decimal

import pyarrow as pa

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64()),
        pa.field("name", pa.string()),
        pa.field("score", pa.float64()),
        pa.field("active", pa.bool_()),
        pa.field("born", pa.date32()),
        pa.field("seen", pa.timestamp("us")),
        pa.field("updated", pa.timestamp("us", tz="UTC")),
        pa.field("price", pa.decimal128(12, 2)),
        pa.field("raw", pa.binary()),
    ]
)

# The same columns as CREATE TABLE declares them.
DECLARED = """
    id BIGINT, name TEXT, score DOUBLE, active BOOLEAN, born DATE, seen TIMESTAMP,
    updated TIMESTAMPTZ, price DECIMAL(12, 2), raw BYTES
"""


def sample(rows: int = 1000) -> pa.Table:
    """`rows` rows by rising id; every seventh value of every column but `id` is NULL."""

    def unless_seventh(column: int, make):
        return [None if (i + column) % 7 == 0 else make(i) for i in range(rows)]

    day = datetime.date(2024, 1, 1)
    moment = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456)
    hours = datetime.timedelta(hours=1)
    columns = [
        list(range(rows)),
        unless_seventh(1, lambda i: f"name {i} – ñ 漢"),
        unless_seventh(2, lambda i: i / 8 - 17.5),
        unless_seventh(3, lambda i: i % 3 == 0),
        unless_seventh(4, lambda i: day + datetime.timedelta(days=i)),
        unless_seventh(5, lambda i: moment + i * hours),
        unless_seventh(6, lambda i: (moment - i * hours).replace(tzinfo=datetime.UTC)),
        unless_seventh(7, lambda i: Decimal(i * 101 - 5000) / 100),
        unless_seventh(8, lambda i: bytes([i % 256, 0, 255])),
    ]
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, SCHEMA)], schema=SCHEMA
    )
