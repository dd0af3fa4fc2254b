"""Runs `sweep run` and `sweep resume` under fire, and sees that nothing of a run stays behind: the `Sweep`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmarks.chaos_check import NAME
from benchmarks.chaos_hooks import MUTATION, ROUND, Strike

ROOT: Final = Path(__file__).resolve().parent.parent

TRIALS: Final = 30
MAX_EPOCHS: Final = 27
GONE_S: Final = 30.0
"""How long anything of a sweep may outlive its driver."""

HANG_S: Final = 150.0
"""How long a run of a sweep may take before it is taken to hang; a mutated one does so more often than not."""
MUTATED_HANG_S: Final = 60.0

LAST_WORDS: Final = "sweep-watchdog-"
"""Beginning of the name of the one temporary folder that outlives a run."""

_SITE: Final = f"""\
import importlib.machinery, importlib.util, os, sys
if {ROUND!r} in os.environ:
    from benchmarks.chaos_hooks import install
    install(os.environ[{ROUND!r}])
_here = os.path.dirname(os.path.abspath(__file__))
_next = importlib.machinery.PathFinder.find_spec("sitecustomize", [one for one in sys.path if one != _here])
if _next is not None:  # what stood in its place goes on
    _next.loader.exec_module(importlib.util.module_from_spec(_next))
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """How one run of the command ended.

    Attributes:
        round: Name of its round in the side log.
        code: Its exit code, negative for a signal; None if it hung and was killed for that.
        out: What it said on stdout.
        err: What it said on stderr.
        gone_s: How long anything of it outlived it; None if that was not waited for.
        left: What still ran of it after `GONE_S`, or the folders it left.
    """

    round: str
    code: int | None
    out: str
    err: str
    gone_s: float | None
    left: tuple[str, ...] = ()


class Sweep:
    """One study under fire.

    Args:
        root: Folder of the whole series.
        name: Of this study's folder.
        seed: Of the sweep.
        mutation: How its code is broken; "" for not at all.
        hang_s: How long a run may take before it is taken to hang.
    """

    def __init__(self, root: Path, name: str, seed: int, mutation: str = "", hang_s: float = HANG_S) -> None:
        self.folder = root / name
        self.seed = seed
        self._mutation, self._hang_s = mutation, hang_s
        self._count = 0
        self._loose: list[Path] = []  # rounds whose processes may still be dying
        self._scratch = Path(tempfile.mkdtemp(prefix="chaos-", dir="/tmp"))  # short: Ray's sockets stand below it
        self.folder.mkdir()
        (self.folder / "site").mkdir()
        (self.folder / "site" / "sitecustomize.py").write_text(_SITE)

    @property
    def journal(self) -> Path:
        return self.folder / "results" / NAME / "study.journal"

    def run(self, strikes: Sequence[Strike], *, wait: bool = True) -> Ran:
        """Run the command, or resume what it left, under these strikes.

        Args:
            strikes: What hits it.
            wait: See that nothing of it stays behind; else the next run finds whatever is still dying.
        """
        self._count += 1
        round_ = self.folder / "rounds" / f"{self._count:03d}"
        round_.mkdir(parents=True)
        (round_ / "plan.json").write_text(json.dumps([asdict(one) for one in strikes]))
        self._loose.append(round_)
        process = self._start(round_)
        try:
            code = _waited(process, strikes, self._hang_s)
        finally:  # it hangs, or somebody types Ctrl-C
            process.kill()
        ended = time.monotonic()
        left = self._clean() if wait else ()
        gone_s = time.monotonic() - ended if wait else None
        return Ran(round_.name, code, (round_ / "out").read_text(), (round_ / "err").read_text(), gone_s, left)

    def _clean(self) -> tuple[str, ...]:
        """Wait for the end of all processes of the last rounds; name what is left of them."""
        processes = _wait_for(lambda: _family(self._loose, self._scratch), GONE_S)
        left = [f"process {one.pid}" for one in processes]
        for one in processes:
            one.kill()
        self._loose.clear()
        shutil.rmtree(self._scratch / "ray", ignore_errors=True)
        return (*left, *(path.name for path in self._scratch.glob("sweep-*") if not path.name.startswith(LAST_WORDS)))

    def words_left(self) -> list[str]:
        """Return what was kept of how processes of this study died; nobody needs it once the study has finished."""
        return [path.name for path in self._scratch.glob(f"{LAST_WORDS}*/*")]

    def remove(self) -> None:
        """Delete its folders."""
        shutil.rmtree(self.folder)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _start(self, round_: Path) -> subprocess.Popen[bytes]:
        results = ["--results", str(self.folder / "results"), "--json"]
        if (self.journal.parent / "plan.json").exists():
            arguments = ["resume", NAME, *results]
        else:
            objective = str(Path(__file__).with_name("chaos_problem.py"))
            budget = ["--trials", str(TRIALS), "--max-epochs", str(MAX_EPOCHS), "--concurrency", "2"]
            pair = ["--sampler", "random", "--pruner", "asha"]  # each trial is given once, and ends where it is told
            arguments = ["run", objective, "--study", NAME, *results, *budget, *pair, "--seed", str(self.seed)]
        environment = {
            **os.environ,
            ROUND: str(round_),
            MUTATION: self._mutation,
            "PYTHONPATH": os.pathsep.join((str(self.folder / "site"), str(ROOT))),
            "TMPDIR": str(self._scratch),
        }
        with (round_ / "out").open("wb") as out, (round_ / "err").open("wb") as err:
            command = [sys.executable, "-m", "search", *arguments]
            process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, cwd=ROOT)
        (round_ / "driver.pid").write_text(str(process.pid))
        return process


def _waited(process: subprocess.Popen[bytes], strikes: Sequence[Strike], hang_s: float) -> int | None:
    """Wait for the end, which may be one by time; None if it hangs."""
    by_time = min((one.n / 1000 for one in strikes if one.point == "time"), default=None)
    try:
        return process.wait(hang_s if by_time is None else by_time)
    except subprocess.TimeoutExpired:
        if by_time is None:
            return None
    process.send_signal(signal.SIGKILL)
    return process.wait()


def _family(rounds: Sequence[Path], scratch: Path) -> list[psutil.Process]:
    """Return what still runs of some rounds.

    A worker's environment names its round. Ray's agents overwrite theirs, and their arguments, with a title; their
    logs are open in the temporary folder.
    """
    names = [str(round_) for round_ in rounds]
    found = []
    for one in psutil.process_iter():
        try:
            if one.environ().get(ROUND) in names or _has_open(one.pid, scratch):
                found.append(one)
        except (psutil.Error, OSError):
            continue
    return [one for one in found if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def _has_open(pid: int, folder: Path) -> bool:
    """Tell whether a process has a file of this folder open, deleted ones too."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if str(link.readlink()).startswith(f"{folder}/"):
                return True
    return False


def _wait_for(left: Callable[[], list[psutil.Process]], most_s: float) -> list[psutil.Process]:
    deadline = time.monotonic() + most_s
    while found := left():
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return found
