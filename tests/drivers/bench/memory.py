"""The server's resident memory: idle, after loading, and for reads small and large."""

from bench.measure import forget_peak, memory_mib, settled_mib
from bench.report import Report, Row
from bench.setting import Setting
from flight_sql import RawClient, statement

LOADED_MIB_MAX = 150e6 / 2**20
SCAN_ABOVE_IDLE_MIB_MAX = 50.0
SMALL_READS = 1_000


def run(setting: Setting, report: Report) -> None:
    """What loading and scanning left, then the reads alone on a server that is started anew."""
    report.section("Resident memory")
    new = {"new server": setting.new_mib}
    rows = f"{setting.rows:,} rows"
    report.add(Row(f"while loading {rows} at once, peak", setting.loaded_peak_mib, "MiB", new))
    loaded = f"after loading and scanning {rows}"
    report.add(Row(loaded, setting.loaded_mib, "MiB", new, LOADED_MIB_MAX))
    server = setting.server
    assert server.stop() == 0
    server.start()
    with RawClient(server) as raw:
        raw.query("SELECT 1 AS one")
        idle = settled_mib(server.pid)
        report.add(Row("idle on the loaded directory", idle, "MiB"))
        _step(
            report,
            server.pid,
            idle,
            f"{SMALL_READS:,} x LIMIT 10, peak",
            lambda: [
                raw.query("SELECT * FROM bench.messages LIMIT 10") for _ in range(SMALL_READS)
            ],
        )
        _step(
            report,
            server.pid,
            idle,
            f"full scan of {setting.rows:,} rows, peak",
            lambda: [None for _ in raw.reader(raw.info(statement("SELECT * FROM bench.messages")))],
            SCAN_ABOVE_IDLE_MIB_MAX,
        )


def _step(
    report: Report, pid: int, idle: float, name: str, work, target: float | None = None
) -> None:
    forget_peak(pid)
    work()
    _, peak = memory_mib(pid)
    report.add(Row(f"{name} above idle", peak - idle, "MiB", against={"idle": idle}, target=target))
