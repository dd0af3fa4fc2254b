"""A real `sweep online` of a small model, whose processes can be killed one by one: the `Site`."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

import psutil

from benchmarks.online_kills_client import row_and_label
from search.paths import OnlineFolder

ROOT: Final = Path(__file__).resolve().parent.parent
NAME: Final = "rain"
_TOKENS: Final = ("SWEEP_TOKEN", "SWEEP_LABEL_TOKEN", "SWEEP_ADMIN_TOKEN")

Who = Literal["both", "server", "learner"]


class Site:
    """One model that is served online, in a folder of its own."""

    def __init__(self, results: Path) -> None:
        self.results, self.folder = results, OnlineFolder.of(results, NAME)
        self._errors = (results.parent / "server.txt").open("ab")
        self.process: subprocess.Popen[str] | None = None
        self.learners: set[int] = set()
        self.url = ""

    def spawn(self) -> None:
        """Start the server, and wait for nothing."""
        command = [sys.executable, "-m", "search", "online", NAME, "--results", str(self.results)]
        self.process = subprocess.Popen(
            [*command, "--port", "0", "--json"],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name not in _TOKENS},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )

    def listen(self) -> None:
        """Wait until it listens."""
        process = self.process
        assert process is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            said = (self.results.parent / "server.txt").read_text()[-1000:]
            raise SystemExit(f"`sweep online` ended with {process.wait()}: {said}")
        self.url = json.loads(line)["url"]

    def learner(self) -> int | None:
        """Return the pid of the process that learns; None where there is none just now."""
        assert self.process is not None
        with suppress(psutil.Error):
            for child in psutil.Process(self.process.pid).children():
                with suppress(psutil.Error):
                    if "search.online.learner" in child.cmdline():
                        self.learners.add(child.pid)
                        hurry(child.pid)
                        return child.pid
        return None

    def kill(self, who: Who) -> None:
        """Send SIGKILL; whoever is started by another process is found before."""
        learner = self.learner()
        assert self.process is not None
        if who != "learner":
            os.kill(self.process.pid, signal.SIGKILL)
        if who != "server" and learner is not None:
            with suppress(ProcessLookupError):
                os.kill(learner, signal.SIGKILL)
        if who != "learner":
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()

    def end(self) -> int:
        """End it as a user does; return the exit code."""
        assert self.process is not None
        self.learner()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=120)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def close(self) -> None:
        """Kill what is there still."""
        if self.process is not None and self.process.poll() is None:
            self.kill("both")
        self._errors.close()

    def status(self) -> dict[str, Any]:
        """Return what the learner told last; {} before the first time."""
        try:
            found: dict[str, Any] = json.loads(self.folder.status.read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    def orphans(self) -> list[int]:
        """Return the processes that learn, or did, and are there still."""
        deadline_s = time.monotonic() + 60
        while (left := [pid for pid in self.learners if _is_learner(pid)]) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        return left


def hurry(pid: int) -> None:
    """Have a process that steps back for all others run as they do, so that a busy machine proves it as well."""
    with suppress(OSError):
        os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, pid, 0)


def _is_learner(pid: int) -> bool:
    try:
        return "search.online.learner" in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False


def write_table(results: Path) -> Path:
    """Write rows that a model can be made of into a new folder; return the file."""
    results.mkdir(parents=True)
    random_ = random.Random(0)
    lines = ["a,b,c,answer"]
    for _ in range(800):
        row, label = row_and_label(random_, flipped=False)
        lines.append(",".join([*(repr(value) for value in row.values()), label]))
    path = results / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def promoted(results: Path) -> None:
    """Sweep over these rows, and put a model into production."""
    data = ["--data", str(write_table(results)), "--target", "answer"]
    family = ["--set", "model.family=linear", "--trials", "2", "--max-epochs", "3", "--seed", "0"]
    _sweep("run", "tabular", *data, *family, "--study", NAME, "--results", str(results), "--quiet")
    _sweep("promote", NAME, "--as", NAME, "--trial", "0", "--results", str(results), "--quiet")


def _sweep(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "search", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"sweep {arguments[0]} ended with {done.returncode}: {(done.stdout + done.stderr)[-1000:]}")
