"""Every column type with values at its edges: how SQL writes them and what Arrow holds."""

import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa

_MDN = pa.MonthDayNano


class TypeCase(NamedTuple):
    """A column type, its Arrow type, and (SQL literal, Python value) pairs in rising order where
    the type has one."""

    sql: str
    arrow: pa.DataType
    values: list[tuple[str, Any]]
    is_key: bool = True

    def array(self, values: list | None = None) -> pa.Array:
        """The values and a NULL as the array a client sends and receives."""
        chosen = [*(value for _, value in self.values), None] if values is None else values
        return _array(chosen, self.arrow)


def _array(values: list, arrow: pa.DataType) -> pa.Array:
    if isinstance(arrow, pa.BaseExtensionType):
        plain = [v.bytes if isinstance(v, uuid.UUID) else v for v in values]
        return pa.ExtensionArray.from_storage(arrow, pa.array(plain, arrow.storage_type))
    return pa.array(values, arrow)


def _integers(sql: str, arrow: pa.DataType, low: int, high: int) -> TypeCase:
    middle = [0] if low else [1]
    return TypeCase(sql, arrow, [(str(v), v) for v in [low, *middle, 42, high]])


def _moments(sql: str, unit: str, zone: str | None, fractions: list[str], nanos: bool) -> TypeCase:
    """Timestamps before, at and after the epoch; the widest years where the unit reaches them."""
    texts = ["1969-12-31 23:59:59", "1970-01-01 00:00:00", "2024-02-29 12:30:00"]
    texts += [f"2024-02-29 12:30:00.{fraction}" for fraction in fractions]
    if not nanos:
        texts = ["0001-01-01 00:00:00", *texts, "9999-12-31 23:59:59"]
    suffix = "Z" if zone else ""
    return TypeCase(
        sql, pa.timestamp(unit, zone), [(f"'{t}{suffix}'", _instant(t, unit)) for t in texts]
    )


def _instant(text: str, unit: str) -> int:
    """The moment as a count of `unit` since the epoch, which pa.array takes as it is."""
    whole, _, fraction = text.partition(".")
    seconds = (dt.datetime.fromisoformat(whole) - dt.datetime(1970, 1, 1)) // dt.timedelta(
        seconds=1
    )
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[unit]
    return seconds * 10**digits + int((fraction + "0" * 9)[:digits] or "0")


_FIRST = uuid.UUID(int=0)
_SOME = uuid.UUID("550e8400-e29b-41d4-a716-446655440000")
_LAST = uuid.UUID(int=2**128 - 1)
_TEXT_LIST = pa.list_(pa.field("item", pa.string()))
_PAIR = pa.struct([pa.field("a", pa.int32()), pa.field("b", pa.string())])

CASES = [
    TypeCase("BOOLEAN", pa.bool_(), [("false", False), ("true", True)]),
    _integers("TINYINT", pa.int8(), -(2**7), 2**7 - 1),
    _integers("SMALLINT", pa.int16(), -(2**15), 2**15 - 1),
    _integers("INT", pa.int32(), -(2**31), 2**31 - 1),
    _integers("BIGINT", pa.int64(), -(2**63), 2**63 - 1),
    _integers("TINYINT UNSIGNED", pa.uint8(), 0, 2**8 - 1),
    _integers("SMALLINT UNSIGNED", pa.uint16(), 0, 2**16 - 1),
    _integers("INT UNSIGNED", pa.uint32(), 0, 2**32 - 1),
    _integers("BIGINT UNSIGNED", pa.uint64(), 0, 2**64 - 1),
    TypeCase(
        "REAL",
        pa.float32(),
        [
            ("'-Infinity'", float("-inf")),
            ("-3.4028234663852886e38", -3.4028234663852886e38),
            ("-1.5", -1.5),
            ("1.401298464324817e-45", 1.401298464324817e-45),
            ("0.5", 0.5),
            ("3.4028234663852886e38", 3.4028234663852886e38),
            ("'Infinity'", float("inf")),
            ("'NaN'", float("nan")),
        ],
    ),
    TypeCase(
        "DOUBLE",
        pa.float64(),
        [
            ("'-Infinity'", float("-inf")),
            ("-1.7976931348623157e308", -1.7976931348623157e308),
            ("-2", -2.0),
            ("5e-324", 5e-324),
            ("0.1", 0.1),
            ("123456789012345680.0", 123456789012345680.0),
            ("1.7976931348623157e308", 1.7976931348623157e308),
            ("'Infinity'", float("inf")),
            ("'NaN'", float("nan")),
        ],
    ),
    TypeCase(
        "DECIMAL(12, 2)",
        pa.decimal128(12, 2),
        [
            ("-9999999999.99", Decimal("-9999999999.99")),
            ("0", Decimal("0.00")),
            ("0.01", Decimal("0.01")),
            ("7", Decimal("7.00")),
            ("9999999999.99", Decimal("9999999999.99")),
        ],
    ),
    TypeCase(
        "DECIMAL(38, 0)",
        pa.decimal128(38, 0),
        [
            ("'-" + "9" * 38 + "'", Decimal("-" + "9" * 38)),
            ("'" + "9" * 38 + "'", Decimal("9" * 38)),
        ],
    ),
    TypeCase(
        "DECIMAL(38, 38)",
        pa.decimal128(38, 38),
        [
            ("'-0." + "9" * 38 + "'", Decimal("-0." + "9" * 38)),
            ("'0." + "1" * 38 + "'", Decimal("0." + "1" * 38)),
        ],
    ),
    TypeCase(
        "TEXT",
        pa.string(),
        [
            ("''", ""),
            ("'a'", "a"),
            ("'a b'", "a b"),
            ("'it''s'", "it's"),
            ("repeat('long ', 1500)", "long " * 1500),
            ("'ñ – 漢字 🐪'", "ñ – 漢字 🐪"),
        ],
    ),
    TypeCase(
        "BYTES",
        pa.binary(),
        [("X''", b""), ("X'00'", b"\x00"), ("X'00ff00'", b"\x00\xff\x00"), ("X'ff'", b"\xff")],
    ),
    TypeCase(
        "DATE",
        pa.date32(),
        [
            ("'0001-01-01'", dt.date(1, 1, 1)),
            ("DATE '1969-12-31'", dt.date(1969, 12, 31)),
            ("'2024-02-29'", dt.date(2024, 2, 29)),
            ("DATE '9999-12-31'", dt.date(9999, 12, 31)),
        ],
    ),
    TypeCase(
        "TIME",
        pa.time64("us"),
        [
            ("'00:00:00'", dt.time(0, 0)),
            ("TIME '12:30:00.5'", dt.time(12, 30, 0, 500000)),
            ("'23:59:59.999999'", dt.time(23, 59, 59, 999999)),
        ],
    ),
    _moments("TIMESTAMP(0)", "s", None, [], nanos=False),
    _moments("TIMESTAMP(3)", "ms", None, ["001", "999"], nanos=False),
    _moments("TIMESTAMP", "us", None, ["000001", "999999"], nanos=False),
    _moments("TIMESTAMP(9)", "ns", None, ["000000001", "999999999"], nanos=True),
    _moments("TIMESTAMPTZ(0)", "s", "UTC", [], nanos=False),
    _moments("TIMESTAMPTZ(3)", "ms", "UTC", ["001"], nanos=False),
    _moments("TIMESTAMPTZ", "us", "UTC", ["000001", "999999"], nanos=False),
    _moments("TIMESTAMPTZ(9)", "ns", "UTC", ["000000001"], nanos=True),
    TypeCase(
        "INTERVAL",
        pa.month_day_nano_interval(),
        [
            ("INTERVAL '-14 months'", _MDN([-14, 0, 0])),
            ("INTERVAL '1 month 2 days 3.5 seconds'", _MDN([1, 2, 3_500_000_000])),
            ("INTERVAL '0 seconds'", _MDN([0, 0, 0])),
        ],
        is_key=False,
    ),
    TypeCase("UUID", pa.uuid(), [(f"'{u}'", u) for u in (_FIRST, _SOME, _LAST)]),
    TypeCase(
        "JSON",
        pa.json_(),
        [
            (
                '\'{"a": [1, null, {"b": "ñ"}]}\'',
                json.dumps({"a": [1, None, {"b": "ñ"}]}, ensure_ascii=False),
            ),
            ("'null'", "null"),
            ("'\"text\"'", '"text"'),
        ],
        is_key=False,
    ),
    TypeCase(
        "INT[]",
        pa.list_(pa.field("item", pa.int32())),
        [("[1, NULL, 3]", [1, None, 3]), ("[]", []), ("[-2147483648]", [-(2**31)])],
        is_key=False,
    ),
    TypeCase("TEXT[]", _TEXT_LIST, [("['a', '', NULL]", ["a", "", None])], is_key=False),
    TypeCase(
        "TEXT[][]",
        pa.list_(pa.field("item", _TEXT_LIST)),
        [("[['a'], [], NULL, ['b', NULL]]", [["a"], [], None, ["b", None]])],
        is_key=False,
    ),
    TypeCase(
        "STRUCT(a INT, b TEXT)",
        _PAIR,
        [
            ("{'a': 1, 'b': 'x'}", {"a": 1, "b": "x"}),
            ("{'a': NULL, 'b': ''}", {"a": None, "b": ""}),
        ],
        is_key=False,
    ),
    TypeCase(
        "STRUCT(a INT, b TEXT)[]",
        pa.list_(pa.field("item", _PAIR)),
        [("[{'a': 1, 'b': 'x'}, NULL]", [{"a": 1, "b": "x"}, None])],
        is_key=False,
    ),
    TypeCase(
        "STRUCT(when TIMESTAMPTZ, tags TEXT[], inner STRUCT(d DECIMAL(5, 1)))",
        pa.struct(
            [
                pa.field("when", pa.timestamp("us", "UTC")),
                pa.field("tags", _TEXT_LIST),
                pa.field("inner", pa.struct([pa.field("d", pa.decimal128(5, 1))])),
            ]
        ),
        [
            (
                "{'when': '2024-01-01T00:00:00Z', 'tags': ['p', NULL], 'inner': {'d': 1.5}}",
                {
                    "when": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
                    "tags": ["p", None],
                    "inner": {"d": Decimal("1.5")},
                },
            )
        ],
        is_key=False,
    ),
    TypeCase(
        "EMBEDDING(3)",
        pa.list_(pa.field("item", pa.float32(), nullable=False), 3),
        [("[1.0, -0.5, 0.25]", [1.0, -0.5, 0.25]), ("[0, 0, 0]", [0.0, 0.0, 0.0])],
        is_key=False,
    ),
]

# Other names for the same types.
ALIASES = {
    "BOOL": "BOOLEAN",
    "INT1": "TINYINT",
    "INT2": "SMALLINT",
    "INTEGER": "INT",
    "INT4": "INT",
    "INT8": "BIGINT",
    "FLOAT": "DOUBLE",
    "FLOAT(24)": "REAL",
    "FLOAT(53)": "DOUBLE",
    "FLOAT4": "REAL",
    "FLOAT8": "DOUBLE",
    "DOUBLE PRECISION": "DOUBLE",
    "NUMERIC(12, 2)": "DECIMAL(12, 2)",
    "VARCHAR": "TEXT",
    "VARCHAR(20)": "TEXT",
    "CHARACTER VARYING(20)": "TEXT",
    "STRING": "TEXT",
    "BLOB": "BYTES",
    "BYTEA": "BYTES",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP(6)": "TIMESTAMP",
    "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
    "ARRAY<INT>": "INT[]",
}


def _foreign(values: list, sent: pa.DataType, stored: pa.DataType, read=None):
    return (pa.array(values, sent), pa.array(values if read is None else read, stored))


_WORDS = ["a", None, "", "ñ 漢", "a string longer than a view keeps inline"]
_BLOBS = [b"a", None, b"", b"\x00\xff" * 20]

# Arrays of types no column has: what a client may send, and what it reads back.
FOREIGN = {
    "large_string": _foreign(_WORDS, pa.large_string(), pa.string()),
    "string_view": _foreign(_WORDS, pa.string_view(), pa.string()),
    "dictionary": (pa.array(_WORDS).dictionary_encode(), pa.array(_WORDS)),
    "dictionary_of_integers": (pa.array([7, None, 7]).dictionary_encode(), pa.array([7, None, 7])),
    "large_binary": _foreign(_BLOBS, pa.large_binary(), pa.binary()),
    "binary_view": _foreign(_BLOBS, pa.binary_view(), pa.binary()),
    "fixed_size_binary": _foreign([b"abcd", None], pa.binary(4), pa.binary()),
    "float16": _foreign([1.5, None, -65504.0], pa.float16(), pa.float32()),
    "decimal32": _foreign([Decimal("1.25"), None], pa.decimal32(5, 2), pa.decimal128(5, 2)),
    "decimal64": _foreign([Decimal("-1.25"), None], pa.decimal64(15, 2), pa.decimal128(15, 2)),
    "decimal256": _foreign([Decimal("9" * 38), None], pa.decimal256(38, 0), pa.decimal128(38, 0)),
    "date64": _foreign([dt.date(2024, 2, 29), None], pa.date64(), pa.date32()),
    "time32_s": _foreign([dt.time(23, 59, 59), None], pa.time32("s"), pa.time64("us")),
    "time32_ms": _foreign([dt.time(1, 2, 3, 4000), None], pa.time32("ms"), pa.time64("us")),
    "time64_ns": _foreign([dt.time(1, 2, 3, 4), None], pa.time64("ns"), pa.time64("us")),
    "timestamp_other_zone": _foreign(
        [1_700_000_000_000_000, None],
        pa.timestamp("us", "America/New_York"),
        pa.timestamp("us", "UTC"),
    ),
    "duration": _foreign(
        [1_500_000, None],
        pa.duration("us"),
        pa.month_day_nano_interval(),
        read=[_MDN([0, 0, 1_500_000_000]), None],
    ),
    "large_list": _foreign(
        [[1, None], None, []], pa.large_list(pa.int64()), pa.list_(pa.field("item", pa.int64()))
    ),
    "list_view": _foreign(
        [[1, None], None, []], pa.list_view(pa.int64()), pa.list_(pa.field("item", pa.int64()))
    ),
    "fixed_size_list": _foreign(
        [[1, 2], None], pa.list_(pa.int64(), 2), pa.list_(pa.field("item", pa.int64()))
    ),
    "list_of_views": _foreign([["a", None], None], pa.list_(pa.string_view()), _TEXT_LIST),
    "run_end_encoded": (
        pa.RunEndEncodedArray.from_arrays([2, 3, 5], pa.array(["a", None, "b"])),
        pa.array(["a", "a", None, "b", "b"]),
    ),
    "nulls": (pa.nulls(3), pa.array([None, None, None], pa.string())),
}
