"""A real `sweep collect` on loopback, and clients of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pyarrow.parquet as pq

from search.data.fetch import Fetched, fetch
from search.data.reference import parse_reference

ROOT: Final = Path(__file__).parents[3]
KEY: Final = "a-key-of-these-tests"
SCHEMA: Final = """
target = "bought"
[columns]
id = { type = "text", required = true, max_length = 40 }
age = { type = "integer", min = 0, max = 120 }
income = "number"
seen = "datetime"
bought = "boolean"
"""


@dataclass
class Server:
    """A server process of a collection named `visits`."""

    process: subprocess.Popen[str]
    told: dict[str, Any]
    folder: Path

    @property
    def url(self) -> str:
        return str(self.told["url"])

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, **headers: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {KEY}", **headers}
        # without verify=False each would read the machine's certificates
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False, verify=False)

    def post(self, rows: Any, **headers: str) -> httpx.Response:
        with self.client(**headers) as client:
            return client.post("/rows", json=rows)

    def end(self, signum: int = signal.SIGTERM) -> int:
        self.process.send_signal(signum)
        return self.process.wait(timeout=20)


@contextlib.contextmanager
def serving(folder: Path, *flags: str, schema: str | None = SCHEMA, key: str | None = KEY) -> Iterator[Server]:
    """Serve until the end of the block, from a folder that holds `results/`."""
    arguments = ["collect", "visits", "--port", "0", "--json", *flags]
    if schema is not None:
        (folder / "schema.toml").write_text(schema)
        arguments += ["--schema", "schema.toml"]
    environment = {name: value for name, value in os.environ.items() if name != "SWEEP_COLLECT_KEY"}
    environment["PYTHONPATH"] = str(ROOT)
    if key is not None:
        environment["SWEEP_COLLECT_KEY"] = key
    with subprocess.Popen(
        [sys.executable, "-m", "search", *arguments],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                assert process.stderr is not None
                raise AssertionError(process.stderr.read())
            yield Server(process, json.loads(line), folder)
        finally:
            process.kill()


def frozen(folder: Path, text: str = "collected:visits") -> Fetched:
    """Fetch the collection in a folder."""
    return fetch(parse_reference(text, folder), folder, folder / "results")


def ids(folder: Path) -> list[str]:
    """Return the ids of all rows, in order."""
    found: list[str] = pq.read_table(frozen(folder).path).column("id").to_pylist()
    return found


def raw(port: int, sent: bytes, *, wait_s: float = 5.0, host: str = "127.0.0.1") -> bytes:
    """Send bytes and return all that comes back until the other side closes or `wait_s` is over."""
    received = b""
    with socket.create_connection((host, port), timeout=wait_s) as one, contextlib.suppress(OSError):
        one.sendall(sent)
        while chunk := one.recv(65_536):
            received += chunk
    return received
