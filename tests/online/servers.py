"""A real `sweep online` on loopback, of a small model that is in production."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from search.bundle.bundle import Bundle
from search.online import records
from search.online.events import Event
from search.online.log import tail
from search.paths import OnlineFolder
from search.registry.entries import PRODUCTION, Facts
from search.registry.registry import Registry
from tests.bundle.bundles import Task, tiny
from tests.serve.servers import ROOT, Server

NAME: Final = "toy"
TOKENS: Final = {
    "SWEEP_TOKEN": "a-token-that-predicts",
    "SWEEP_LABEL_TOKEN": "a-token-that-labels",
    "SWEEP_ADMIN_TOKEN": "a-token-for-everything-else",
}


def promoted(results: Path, task: Task = "binary", *, shift: float = 0.0) -> int:
    """Add a version of the model, and have it in production; return its number."""
    registry = Registry.of(results, NAME)
    with registry.staging() as staged:
        tiny(staged, task=task, shift=shift, unused=("id",))
        number = registry.add(staged, Facts(), {}, "a test")
    registry.move(PRODUCTION, number, "a test")
    return number


def command(results: Path, *flags: str, tokens: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `sweep online`."""
    environment = {name: value for name, value in os.environ.items() if name not in TOKENS}
    environment |= {"PYTHONPATH": str(ROOT), **(tokens or {})}
    return subprocess.Popen(
        [sys.executable, "-m", "search", "online", NAME, "--results", str(results), *flags],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@contextlib.contextmanager
def online(
    results: Path, *flags: str, tokens: Mapping[str, str] | None = None, frozen: bool = True
) -> Iterator[Server]:
    """Serve until the end of the block, which kills it."""
    more = ("--frozen",) if frozen else ()
    with command(results, "--port", "0", "--json", *more, *flags, tokens=tokens) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                assert process.stderr is not None
                raise AssertionError(process.stderr.read())
            yield Server(process, json.loads(line))
        finally:
            process.kill()


def tell(server: Server, told: Any, path: str = "/feedback", **headers: str) -> tuple[int, dict[str, Any]]:
    """Post JSON, and return the status and what is answered."""
    content = told if isinstance(told, bytes) else json.dumps(told).encode()
    with server.client(**{"Content-Type": "application/json", **headers}) as client:
        answer = client.post(path, content=content)
        return answer.status_code, answer.json()


def logged(results: Path) -> list[Event]:
    """Return what stands in the log now."""
    signature = Bundle.open(Registry.of(results, NAME).folder.version(1)).signature
    reader = records.reader_of(signature)
    found = []
    for record in tail(OnlineFolder.of(results, NAME), 0):
        if record is None:
            break
        found.append(records.decode(record, reader, signature))
    return found
