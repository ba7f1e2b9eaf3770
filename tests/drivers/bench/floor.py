"""The floors and clients written in Rust that stand beside the server's binary."""

import json
import os
import subprocess
from pathlib import Path

from server import ROOT_PASSWORD, Server

STOP_SECONDS_MAX = 10
CLIENT_SECONDS_MAX = 300


class Floor:
    """A Flight SQL server without an engine: what the protocol and the client cost alone."""

    def __init__(self, binary: Path):
        self._process = subprocess.Popen(
            [str(binary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        ready = self._process.stdout.readline().strip()
        assert ready.startswith("ready flight="), ready
        self.server = Server(Path("unused"))
        self.server.address = ready.removeprefix("ready flight=")

    @classmethod
    def beside(cls, server_binary: Path) -> "Floor | None":
        """Starts the floor built with the server; None, said aloud, where it was not built."""
        binary = server_binary.parent / "examples" / "flight_floor"
        if not binary.exists():
            print(f"NOT MEASURED: the engine-less floor (no {binary.name} beside the server)")
            return None
        return cls(binary)

    def close(self) -> None:
        """It serves until its standard input closes."""
        self._process.stdin.close()
        self._process.wait(STOP_SECONDS_MAX)
        self._process.stdout.close()


def small_statements(server: Server, table: str, rows: int) -> dict[str, float] | None:
    """What the client in Rust measures; None, said aloud, where it was not built."""
    binary = server.binary.parent / "examples" / "small_statements"
    if not binary.exists():
        print(f"NOT MEASURED: the Rust client (no {binary.name} beside the server)")
        return None
    done = subprocess.run(
        [str(binary), server.address, "root", table, str(rows)],
        env={**os.environ, "KALAMDB_PASSWORD": ROOT_PASSWORD},
        stdout=subprocess.PIPE,
        timeout=CLIENT_SECONDS_MAX,
        check=True,
    )
    return json.loads(done.stdout)
