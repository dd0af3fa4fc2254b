"""Processes that tests talk to: a study's owner that does as it is told, and a command that serves."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

ROOT: Final = Path(__file__).parents[2]


class Owner:
    """A study's owner in a process of its own; its words are those of `tests.records.owners`."""

    def __init__(self, results: Path, name: str = "w") -> None:
        command = [sys.executable, "-m", "tests.records.owners", str(results), name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def do(self, *words: str) -> None:
        assert self.process.stdin is not None
        for word in words:
            self.process.stdin.write(f"{word}\n")
            self.process.stdin.flush()
            if word != "die":
                assert self.answer() == word.split()[0]
        if words[-1] in ("die", "finish"):
            self.process.wait()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@dataclass
class Served:
    """A command that serves.

    Attributes:
        process: Its process.
        told: What it said when it listened.
    """

    process: subprocess.Popen[str]
    told: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.told["url"])

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def ask(self, path: str = "/", method: str = "GET", **headers: str) -> httpx.Response:
        # without verify=False each would read the machine's certificates
        with httpx.Client(base_url=self.url, timeout=20, trust_env=False, verify=False) as client:
            return client.request(
                method, path, headers={name.replace("_", "-"): text for name, text in headers.items()}
            )

    def end(self, signum: int = signal.SIGINT) -> int:
        self.process.send_signal(signum)
        return self.process.wait(timeout=10)


@contextlib.contextmanager
def served(*arguments: str) -> Iterator[Served]:
    """Run a command with `--json --port 0`, and end it with the block."""
    command = [sys.executable, "-m", "search", *arguments, "--json", "--port", "0"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
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
            yield Served(process, json.loads(line))
        finally:
            process.kill()
