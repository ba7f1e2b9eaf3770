"""Starts, kills and restarts the real `kalamdb serve` for driver tests and benchmarks."""

import os
import queue
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow.flight as flight
from adbc_driver_flightsql import DatabaseOptions

ROOT_PASSWORD = "driver tests know this one"
READY_SECONDS_MAX = 120
STOP_SECONDS_MAX = 60
_READY = re.compile(r"^ready flight=(\S+) metrics=(\S+)$")
_REPOSITORY = Path(__file__).resolve().parents[2]


def default_binary() -> Path:
    """KALAMDB_BIN, or the debug build in cargo's target directory."""
    if chosen := os.environ.get("KALAMDB_BIN"):
        return Path(chosen)
    target = Path(os.environ.get("CARGO_TARGET_DIR") or _REPOSITORY / "target")
    return target / "debug" / "kalamdb"


class Server:
    """One server process on one data directory; ended by its own process id only."""

    def __init__(self, data_dir: Path, binary: Path | None = None):
        self.data_dir = Path(data_dir)
        self.binary = Path(binary or default_binary())
        self.log = self.data_dir.with_name(self.data_dir.name + ".log")
        self.process: subprocess.Popen | None = None
        self._reader: threading.Thread | None = None
        self.address = ""
        self.metrics_address = ""

    def start(self) -> "Server":
        """Starts the server and returns once it has printed its ready line."""
        assert self.process is None, "the server is already running"
        assert self.binary.exists(), f"no server at {self.binary}: build it, or set KALAMDB_BIN"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KALAMDB_")}
        environment["KALAMDB_ROOT_PASSWORD"] = ROOT_PASSWORD
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(self.binary),
                    "serve",
                    "--data-dir",
                    str(self.data_dir),
                    "--listen",
                    "127.0.0.1:0",
                    "--metrics-listen",
                    "127.0.0.1:0",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                text=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def _wait_until_ready(self) -> None:
        """Reads stdout to its end on a thread of its own: the server must never block on it."""
        lines: queue.Queue[str | None] = queue.Queue()
        stdout = self.process.stdout

        def forward() -> None:
            for line in stdout:
                lines.put(line.rstrip("\n"))
            lines.put(None)

        self._reader = threading.Thread(target=forward, daemon=True)
        self._reader.start()
        deadline = time.monotonic() + READY_SECONDS_MAX
        while True:
            try:
                line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(
                    f"no ready line within {READY_SECONDS_MAX} s\n{self.log_tail()}"
                ) from None
            if line is None:
                code = self.process.wait()
                raise AssertionError(f"the server ended with code {code}\n{self.log_tail()}")
            if found := _READY.match(line):
                self.address, self.metrics_address = found.groups()
                return

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self.process is not None, "the server is not running"
        return self.process.pid

    def alive(self) -> bool:
        """True while the process runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """`kill -9`: nothing is drained, nothing is synced."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._forget()

    def stop(self) -> int:
        """SIGTERM; returns the exit code of a server that drained, kills one that hangs."""
        assert self.process is not None, "the server is not running"
        process = self.process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"the server did not end within {STOP_SECONDS_MAX} s of SIGTERM\n{self.log_tail()}"
            ) from None
        self._forget()
        return code

    def _forget(self) -> None:
        """Lets go of a process that has ended."""
        if self._reader is not None:
            self._reader.join()
            self._reader = None
        self.process.stdout.close()
        self.process = None

    def kill_and_restart(self) -> None:
        """`kill -9`, then a new process on the same directory (and a new port)."""
        self.kill()
        self.start()

    def log_tail(self, characters: int = 4000) -> str:
        """The end of what the server wrote to stderr over all its starts."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"--- {self.log.name}\n{text[-characters:]}"

    @property
    def uri(self) -> str:
        """The address as drivers take it."""
        return f"grpc://{self.address}"

    def adbc(
        self, user: str = "root", password: str = ROOT_PASSWORD, **options: str
    ) -> flightsql.Connection:
        """An ADBC connection. It is in autocommit mode: there are no transactions to begin."""
        settings = {
            "username": user,
            "password": password,
            DatabaseOptions.WITH_MAX_MSG_SIZE.value: str(64 * 1024 * 1024),
            **options,
        }
        return flightsql.connect(self.uri, db_kwargs=settings, autocommit=True)

    def flight(
        self, user: str = "root", password: str = ROOT_PASSWORD, seconds_max: float | None = None
    ) -> tuple[flight.FlightClient, flight.FlightCallOptions]:
        """A raw Flight client and the call options that carry its bearer token."""
        client = flight.FlightClient(self.uri)
        token = client.authenticate_basic_token(user, password)
        return client, flight.FlightCallOptions(headers=[token], timeout=seconds_max)
