"""`kalamdb import` and `kalamdb export` of the flights file, beside DuckDB's readers and COPY."""

import itertools
from pathlib import Path

import duckdb

import nycflights
from bench.measure import median_seconds
from bench.report import Report, Row
from bench.setting import Setting
from command_line import succeed

ROUNDS = 3


def run(setting: Setting, report: Report) -> None:
    """Each command from its start to its end, sign-in and fsync included. DuckDB writes to a
    database file, as durable as our table, and reads the same files without one."""
    report.section("Import and export of the flights file")
    csv = setting.directory / "flights.csv"
    csv.write_bytes(nycflights.published("flights"))
    peer = duckdb.connect(str(setting.directory / "peer.duckdb"))
    flights = nycflights.load("flights")
    peer.register("flights", flights)
    parquet = setting.directory / "flights.parquet"
    peer.execute(f"COPY flights TO '{parquet}'")
    for file, reader in [
        (csv, f"read_csv('{csv}', nullstr='NA')"),
        (parquet, f"read_parquet('{parquet}')"),
    ]:
        _import(setting, report, peer, file, reader)
        _export(setting, report, peer, file.suffix)
    peer.close()


_numbers = itertools.count()


def _import(
    setting: Setting, report: Report, peer: duckdb.DuckDBPyConnection, file: Path, reader: str
) -> None:
    null = ["--null", "NA"] if file.suffix == ".csv" else []

    def ours() -> None:
        table = f"bench.flights{next(_numbers)}"
        succeed(setting.server, "import", file, "--table", table, "--create", "--quiet", *null)

    def theirs() -> None:
        peer.execute(f"CREATE OR REPLACE TABLE loaded AS SELECT * FROM {reader}")
        peer.execute("CHECKPOINT")

    _add(
        report,
        f"import {file.suffix[1:]}, --create",
        {
            "ours": ours,
            "DuckDB file": theirs,
            "DuckDB reader": lambda: peer.sql(f"SELECT * FROM {reader}").to_arrow_table(),
        },
    )


def _export(
    setting: Setting, report: Report, peer: duckdb.DuckDBPyConnection, ending: str
) -> None:
    table = f"bench.flights{next(_numbers) - 1}"
    out, peer_out = setting.directory / f"out{ending}", setting.directory / f"peer{ending}"
    to = ["--to", out, "--overwrite", "--quiet"]
    _add(
        report,
        f"export {ending[1:]}",
        {
            "ours": lambda: succeed(setting.server, "export", "--table", table, *to),
            "DuckDB COPY": lambda: peer.execute(f"COPY loaded TO '{peer_out}'"),
        },
    )


def _add(report: Report, name: str, calls: dict) -> None:
    rows = nycflights.ROWS["flights"]
    speeds = {call: rows / seconds for call, seconds in median_seconds(calls, ROUNDS).items()}
    ours = speeds.pop("ours")
    report.add(Row(name, ours, "rows/s", against=speeds, note=f"{rows / ours:.2f} s"))
