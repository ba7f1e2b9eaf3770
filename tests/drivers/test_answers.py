"""The comparison the other tests rest on sees every kind of difference."""

import pyarrow as pa
import pytest

from answers import difference

BASE = {"k": [1, 2, 3], "v": [1.0, None, 3.5], "t": ["a", None, "c"]}


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(
    "changed",
    [
        {"k": [1, 2, 4]},
        {"k": [1, 2, None]},
        {"v": [1.0, None, 3.5000001]},
        {"v": [1.0, 0.0, 3.5]},
        {"v": [float("nan"), None, 3.5]},
        {"t": ["a", "", "c"]},
        {"t": ["a", None, "C"]},
    ],
)
def test_a_changed_value_is_seen(changed, ordered):
    assert difference(pa.table(BASE), pa.table({**BASE, **changed}), ordered) is not None


def test_rows_names_and_order_count():
    table = pa.table(BASE)
    assert difference(table, table.slice(0, 2), ordered=False) is not None
    assert difference(table, table.rename_columns(["k", "v", "T"]), ordered=False) is not None
    turned = table.take([2, 1, 0])
    assert difference(table, turned, ordered=True) is not None
    assert difference(table, turned, ordered=False) is None


def test_equal_values_of_other_types_are_the_same():
    wide = pa.table({"n": pa.array([3, None], pa.decimal128(38, 0))})
    assert difference(pa.table({"n": [3, None]}), wide, ordered=True) is None
    close = pa.table({"x": [0.1 + 0.2, float("nan")]})
    assert difference(pa.table({"x": [0.3, float("nan")]}), close, ordered=True) is None
