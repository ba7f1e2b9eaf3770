"""Measures what the design promises about hot rows, through stock clients, in one run.

Every figure is a median and stands beside a named floor or peer measured in the same run, because
throughput on a shared machine repeats only within tens of percent while ratios hold.

    python tests/drivers/bench/run.py [--binary kalamdb] [--json results.json] [--only small_reads,scans]
"""

import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import import_export, many_tables, memory, scans, small_reads, writes
from bench.report import Report
from bench.setting import Setting
from server import default_binary

SECTIONS = {
    "small_reads": small_reads,
    "scans": scans,
    "writes": writes,
    "import_export": import_export,
    "many_tables": many_tables,
    "memory": memory,
}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--binary",
        type=Path,
        default=None,
        help="the server (default: KALAMDB_BIN, or target/debug)",
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the main table")
    parser.add_argument(
        "--wide-rows", type=int, default=500_000, help="rows of the 20-column table"
    )
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument(
        "--only", default=",".join(SECTIONS), help=f"sections to run, of {', '.join(SECTIONS)}"
    )
    return parser.parse_args()


def main() -> None:
    """Loads once, runs each section, writes the figures."""
    chosen = arguments()
    unknown = set(chosen.only.split(",")) - set(SECTIONS)
    if unknown:
        sys.exit(f"no such section: {', '.join(sorted(unknown))}")
    binary = chosen.binary or default_binary()
    report = Report()
    setting = Setting.open(binary, chosen.rows, chosen.wide_rows)
    try:
        for name in SECTIONS:
            if name in chosen.only.split(","):
                SECTIONS[name].run(setting, report)
    finally:
        setting.close()
        shutil.rmtree(setting.directory, ignore_errors=True)
    if chosen.json:
        report.write(chosen.json, binary)
    missed = [row.name for row in report.rows if row.reached is False]
    print(f"\n{len(report.rows)} figures, {len(missed)} short of their target")


if __name__ == "__main__":
    main()
