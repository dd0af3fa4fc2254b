"""A cluster of one node with a token, on an address of this machine and free ports, with a home of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_PORTS: Final = range(7200, 9900)  # below those that Ray gives its workers
_UP_S: Final = 90.0


@dataclass(frozen=True)
class One:
    """The cluster.

    Attributes:
        inside: Its address for a machine that is part of it.
        outside: Its address for any other.
        results: Where its head keeps studies.
        environment: Of whoever may come in.
    """

    inside: str
    outside: str
    results: Path
    environment: dict[str, str]


@contextmanager
def one_node(*, cpus: int = 2) -> Iterator[One]:
    """Have the cluster; what it started is ended afterwards, by its ids."""
    folder = Path(tempfile.mkdtemp(prefix="one-"))  # short: sockets lie below it
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    (folder / "home").mkdir()
    address = _own_address()
    port, outer = _free_ports(address, 2)
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SWEEP_"))}
    environment = {**usual, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    results = folder / "results"
    flags = {
        "node-ip-address": address,
        "port": port,
        "ray-client-server-port": outer,
        "num-cpus": cpus,
        "include-dashboard": "false",
        "temp-dir": folder / "ray",
        "object-store-memory": 100_000_000,
    }
    with (folder / "log").open("wb") as log:
        head = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"]
            + [f"--{name}={value}" for name, value in flags.items()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**environment, "HOME": str(folder / "home"), "SWEEP_RESULTS": str(results)},
            start_new_session=True,
        )
    try:
        _wait(head, address, outer, folder / "log")
        yield One(f"{address}:{port}", f"ray://{address}:{outer}", results, environment)
    finally:
        _end(head, folder)
        shutil.rmtree(folder, ignore_errors=True)


def _own_address() -> str:
    """Return an address of this machine that is no loopback's, if it has one: nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _free_ports(address: str, count: int) -> list[int]:
    found: list[int] = []
    start = _PORTS.start + os.getpid() % 2_000
    for port in (*range(start, _PORTS.stop), *range(_PORTS.start, start)):
        with socket.socket() as probe:
            if probe.connect_ex((address, port)) and len(found) < count:
                found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no port is free")


def _wait(head: subprocess.Popen[bytes], address: str, port: int, log: Path) -> None:
    deadline = time.monotonic() + _UP_S
    while True:
        with socket.socket() as probe:
            if not probe.connect_ex((address, port)):
                return
        assert head.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _end(head: subprocess.Popen[bytes], folder: Path) -> None:
    """End all processes that the head began, those too that others of them began: each names the folder."""
    mine = str(folder).encode()
    for _ in range(3):
        for process in psutil.process_iter():
            try:
                environment = Path(f"/proc/{process.pid}/environ").read_bytes()
                if process.pid == head.pid or mine in environment:
                    process.kill()
            except (OSError, psutil.Error):
                continue
        time.sleep(0.1)
    head.wait(10)
