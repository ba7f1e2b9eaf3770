"""Clocks: latencies, throughput, the cost of an fsync, and a process's memory."""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

WARM_UP_CALLS = 20
SETTLED_SECONDS = 12.0
FSYNC_BYTES = 512
FSYNC_BLOCK_BYTES = 4096
FSYNC_BLOCKS = 1024


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def latencies_ms(calls: dict[str, Callable[[int], object]], rounds: int) -> dict[str, list[float]]:
    """Runs the calls in turn, `rounds` times, so that drift of the machine meets all of them;
    returns each one's latencies in milliseconds. A call is given its round's number."""
    for call in calls.values():
        for i in range(WARM_UP_CALLS):
            call(i)
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call(i)
            taken[name].append((time.perf_counter() - begin) * 1e3)
    return taken


def median_seconds(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median of `rounds` runs of each call, taken in turn, after one run to warm up."""
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in taken.items()}


class FsyncFloor:
    """The least a durable write can cost here: a small record into blocks a file already has,
    then fdatasync. A log that grows pays more (its new length is synced too), so `append` gives
    that cost beside it."""

    def __init__(self, directory: Path):
        self._overwritten = os.open(directory / "fsync-floor", os.O_CREAT | os.O_WRONLY)
        os.write(self._overwritten, b"x" * FSYNC_BLOCK_BYTES * FSYNC_BLOCKS)
        os.fsync(self._overwritten)
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
        self._growing = os.open(directory / "fsync-floor-growing", flags)

    def overwrite(self, i: int) -> None:
        """A durable record in place."""
        offset = i % FSYNC_BLOCKS * FSYNC_BLOCK_BYTES
        os.pwrite(self._overwritten, b"y" * FSYNC_BYTES, offset)
        os.fdatasync(self._overwritten)

    def append(self, _: int) -> None:
        """A durable record at the end of a growing file."""
        os.write(self._growing, b"y" * FSYNC_BYTES)
        os.fdatasync(self._growing)

    def close(self) -> None:
        """Closes both files."""
        os.close(self._overwritten)
        os.close(self._growing)


def memory_mib(pid: int) -> tuple[float, float]:
    """A process's resident memory now and at its peak since `forget_peak`, in MiB. The pages of
    the program file that were touched are part of it."""
    fields = {}
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "VmHWM"):
            fields[name] = int(value.split()[0]) / 1024
    return fields["VmRSS"], fields["VmHWM"]


def settled_mib(pid: int) -> float:
    """What a process keeps once it has given freed memory back, which takes it some seconds."""
    time.sleep(SETTLED_SECONDS)
    return memory_mib(pid)[0]


def forget_peak(pid: int) -> None:
    """Makes a process's peak start again at what it holds now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
