"""A real `sweep serve` on loopback, and clients of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

ROOT: Final = Path(__file__).parents[2]
TOKEN: Final = "a-token-of-these-tests"
ROW: Final = {"age": 31, "income": 2.5, "town": "Bonn"}
"""That every `tiny` bundle of columns takes."""


@dataclass
class Server:
    """A server process; `told` is what it said when it listened."""

    process: subprocess.Popen[str]
    told: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.told["url"])

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def rss(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def client(self, **headers: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {TOKEN}", **headers}
        # without verify=False each would read the machine's certificates
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False, verify=False)

    def post(self, told: Any, **headers: str) -> httpx.Response:
        with self.client(**headers) as client:
            if isinstance(told, bytes):
                return client.post("/predict", content=told, headers={"Content-Type": "application/json"})
            return client.post("/predict", json=told)

    def get(self, path: str, **headers: str) -> httpx.Response:
        with self.client(**headers) as client:
            return client.get(path)

    def good_s(self) -> float:
        """Send a good request, and return the seconds until its answer."""
        begun_s = time.monotonic()
        told = self.post(ROW)
        assert told.status_code == 200, told.text
        return time.monotonic() - begun_s

    def end(self, signum: int = signal.SIGTERM) -> int:
        self.process.send_signal(signum)
        return self.process.wait(timeout=20)


def command(model: str, *flags: str, token: str | None = None) -> subprocess.Popen[str]:
    """Start `sweep serve`."""
    environment = {name: value for name, value in os.environ.items() if name != "SWEEP_TOKEN"}
    environment["PYTHONPATH"] = str(ROOT)
    if token is not None:
        environment["SWEEP_TOKEN"] = token
    return subprocess.Popen(
        [sys.executable, "-m", "search", "serve", model, *flags],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@contextlib.contextmanager
def serving(model: Path | str, *flags: str, token: str | None = None) -> Iterator[Server]:
    """Serve until the end of the block."""
    with command(str(model), "--port", "0", "--json", *flags, token=token) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                assert process.stderr is not None
                raise AssertionError(process.stderr.read())
            yield Server(process, json.loads(line))
        finally:
            process.kill()


def raw(port: int, sent: bytes, *, wait_s: float = 5.0) -> bytes:
    """Send bytes and return all that comes back until the other side closes or `wait_s` is over."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as one, contextlib.suppress(OSError):
        one.sendall(sent)
        while chunk := one.recv(65_536):
            received += chunk
    return received
