"""What the benchmarks found: one line a row, measured value beside its bound, and a JSON file."""

import json
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Row:
    """One measured figure. `against` names the bound or peer it stands beside; `target` bounds
    the value itself, from above or, with `at_least`, from below."""

    name: str
    value: float
    unit: str
    against: dict[str, float] = field(default_factory=dict)
    target: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is met, None without one."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def _number(value: float) -> str:
    if abs(value) >= 1e6:
        return f"{value / 1e6:.2f} M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:.1f} k"
    return f"{value:.3g}"


class Report:
    """Collects rows and prints each as it is found."""

    def __init__(self):
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Keeps a row and prints it."""
        self.rows.append(row)
        beside = "  ".join(
            f"{name} {_number(value)} ({row.value / value:.2f}x)" if value else f"{name} 0"
            for name, value in row.against.items()
        )
        verdict = {None: "", True: "ok", False: "MISSED"}[row.reached]
        sign = ">=" if row.at_least else "<="
        target = f"{sign} {_number(row.target)}" if row.target is not None else ""
        figure = f"{row.name:<44} {_number(row.value):>9} {row.unit:<7} {target:>10} {verdict:<6}"
        print(f"{figure} {beside}  {row.note}".rstrip(), flush=True)

    def section(self, title: str) -> None:
        """Prints a heading."""
        print(f"\n{title}", flush=True)

    def write(self, path: Path, binary: Path) -> None:
        """Writes all rows as JSON."""
        content = {
            "taken_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": platform.platform(),
            "binary": binary.name,
            "rows": [{**asdict(row), "reached": row.reached} for row in self.rows],
        }
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
