"""Compares two answers to one query: same columns, same rows, floats to a relative 1e-9."""

import math
from decimal import Decimal

import pyarrow as pa

FLOAT_TOLERANCE = 1e-9
_DIFFERENCES_SHOWN_MAX = 5


def _plain(value):
    """A value both engines would return for the same thing, whatever numeric type they chose."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else value
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    if isinstance(value, dict):
        return tuple((key, _plain(item)) for key, item in value.items())
    return value


def rows_of(table: pa.Table) -> list[tuple]:
    """The rows of a table as tuples of Python values."""
    return list(zip(*([_plain(v) for v in column.to_pylist()] for column in table.columns)))


def _same(left, right) -> bool:
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, float) or isinstance(right, float):
        if left is None or right is None:
            return left is right
        left, right = float(left), float(right)
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return math.isclose(left, right, rel_tol=FLOAT_TOLERANCE, abs_tol=1e-12)
    return type(left) is type(right) and left == right


def _sort_key(row: tuple):
    """Sorts by everything that compares exactly first, floats last, so that an unordered answer
    lines up although its floats differ in the last place."""
    exact = [("float", "") if isinstance(v, float) else (type(v).__name__, str(v)) for v in row]
    floats = [v if not math.isnan(v) else math.inf for v in row if isinstance(v, float)]
    return (exact, floats)


def difference(got: pa.Table, want: pa.Table, ordered: bool) -> str | None:
    """What differs between two answers, or None. `ordered` says that the query fixes the order of
    its rows completely; otherwise they are compared as a multiset."""
    if got.column_names != want.column_names:
        return f"columns {got.column_names}, expected {want.column_names}"
    left, right = rows_of(got), rows_of(want)
    if len(left) != len(right):
        return f"{len(left)} rows, expected {len(right)}"
    if not ordered:
        left.sort(key=_sort_key)
        right.sort(key=_sort_key)
    differing = [i for i, (a, b) in enumerate(zip(left, right)) if not _same(a, b)]
    if not differing:
        return None
    shown = "\n".join(
        f"  row {i}: {left[i]}\n expected: {right[i]}" for i in differing[:_DIFFERENCES_SHOWN_MAX]
    )
    return f"{len(differing)} of {len(left)} rows differ\n{shown}"
