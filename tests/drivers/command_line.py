"""Runs `kalamdb import` and `kalamdb export` as a user does, against a test's server."""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from server import ROOT_PASSWORD, Server

SECONDS_MAX = 300


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: bytes
    err: str


def command(server: Server, *arguments: str | Path) -> list[str]:
    """The command line, with the server's address."""
    return [str(server.binary), *map(str, arguments), "--uri", server.uri]


def environment(password: str = ROOT_PASSWORD) -> dict[str, str]:
    """Our own environment with a password."""
    return {**os.environ, "KALAMDB_PASSWORD": password}


def run(
    server: Server, *arguments: str | Path, given: bytes = b"", password: str = ROOT_PASSWORD
) -> Ended:
    """Runs a command to its end."""
    done = subprocess.run(
        command(server, *arguments),
        input=given,
        capture_output=True,
        env=environment(password),
        timeout=SECONDS_MAX,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode())


def succeed(server: Server, *arguments: str | Path, given: bytes = b"") -> Ended:
    """Runs a command that must succeed."""
    ended = run(server, *arguments, given=given)
    assert ended.code == 0, ended.err
    return ended


def refused(server: Server, *arguments: str | Path, code: int = 1, given: bytes = b"") -> str:
    """Runs a command that must fail with `code`; returns what it says."""
    ended = run(server, *arguments, given=given)
    assert ended.code == code, f"{ended.code}: {ended.err}"
    assert "panicked" not in ended.err, ended.err
    return ended.err
