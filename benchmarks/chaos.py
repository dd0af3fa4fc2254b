"""Proof that nothing is lost: sweeps from the command line under kill -9, checked against a log of their own workers.

    python benchmarks/chaos.py --driver-kills 200 --other-kills 100 --seed 0      # hours; bounded by --minutes
    python benchmarks/chaos.py --driver-kills 4 --mutate buffer-reports           # breaks the code: must go red

In the first series the driver is killed and `sweep resume` goes on, again and again, until the study finishes; in the
second workers, the study server and the files' actor are killed while a sweep runs, which has to end by itself. What
strikes whom is drawn from the seed: at the n-th call, answer, server method or write, and now and then by time. The
same objective on plain Optuna, whose process is killed and started again, stands beside it in the table.

The processes are watched from outside: see `chaos_hooks.py`. The rules are in `chaos_check.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import chaos_check as check  # noqa: E402
from benchmarks.chaos_hooks import MUTATION, MUTATIONS, ROUND, Strike, Target  # noqa: E402

TRIALS: Final = 12
MAX_EPOCHS: Final = 27
GONE_S: Final = 30.0
"""How long anything of a sweep may outlive its driver."""

ROUND_S: Final = 150.0
"""How long a run of a sweep may take before it is taken to hang."""

_SITE: Final = """\
import importlib.machinery, importlib.util, os, sys
if {variable!r} in os.environ:
    _spec = importlib.util.spec_from_file_location("chaos_hooks", {hooks!r})
    _hooks = importlib.util.module_from_spec(_spec)
    sys.modules["chaos_hooks"] = _hooks
    _spec.loader.exec_module(_hooks)
    _hooks.install(os.environ[{variable!r}])
_here = os.path.dirname(os.path.abspath(__file__))
_next = importlib.machinery.PathFinder.find_spec("sitecustomize", [one for one in sys.path if one != _here])
if _next is not None:  # what stood in its place goes on
    _next.loader.exec_module(importlib.util.module_from_spec(_next))
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """How one run of the command ended.

    Attributes:
        code: Its exit code, negative for a signal; None if it hung and was killed for that.
        out: What it said on stdout.
        err: What it said on stderr.
        gone_s: How long anything of it outlived it.
        left: What still ran of it after `GONE_S`, or the folders it left.
    """

    code: int | None
    out: str
    err: str
    gone_s: float
    left: tuple[str, ...] = ()


@dataclass(slots=True)
class Tally:
    """What a series of rounds came to."""

    rounds: int = 0
    failures: list[str] = field(default_factory=list)
    passed: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    studies: int = 0
    figures: dict[str, int] = field(default_factory=dict)
    first_s: list[float] = field(default_factory=list)
    gone_s: list[float] = field(default_factory=list)

    def count(self, name: str, more: int = 1) -> None:
        self.figures[name] = self.figures.get(name, 0) + more

    def judge(self, where: str, breaches: list[str]) -> bool:
        """Take in one round; tell whether it passed."""
        self.rounds += 1
        self.passed += not breaches
        self.failures += [f"{where}: {one}" for one in breaches]
        for one in breaches:
            print(f"FAILED {where}: {one}", flush=True)
        return not breaches


# --- drawing what strikes ---

_MEANS: Final = {"any": 40, "write": 25, "report": 20, "tell": 3, "ask": 4, "begin": 4, "save": 8, "file": 10, "open": 1}
"""At which of its events a point strikes, on average."""

_SERVER_POINTS: Final = tuple(
    f"{what}.{when}"
    for what in ("any", "any", "write", "write", "report", "tell", "ask", "begin")
    for when in ("enter", "exit")
)
_WORKER_POINTS: Final = tuple(
    f"{what}.{when}"
    for what in ("any", "any", "any", "report", "tell", "ask", "begin", "save")
    for when in ("call", "answer")
)


def draw_driver_kill(dice: random.Random) -> Strike:
    """Draw when the driver dies: mostly at an event of a worker or of the server, at times at its start or end."""
    where = dice.random()
    if where < 0.1:
        return Strike("driver", "time", dice.randrange(200, 9000))
    if where < 0.15:
        return Strike("driver", dice.choice(("open.enter", "open.exit", "finish.enter", "finish.exit")), 1)
    return _drawn("driver", dice, dice.choice((*_SERVER_POINTS, *_WORKER_POINTS, "file.enter", "file.exit")))


def draw_other(dice: random.Random, spread: float = 1.0) -> Strike:
    """Draw when a worker, the study server, the files' actor or the disk is hit."""
    target: Target = dice.choices(("worker", "server", "files"), (5, 5, 1))[0]
    if target == "worker":
        return _drawn(target, dice, dice.choice(_WORKER_POINTS), spread)
    if target == "files":
        return _drawn(target, dice, dice.choice(("file.enter", "file.exit")), spread)
    return _drawn(target, dice, dice.choice((*_SERVER_POINTS, *_WORKER_POINTS)), spread)


def _drawn(target: Target, dice: random.Random, point: str, spread: float = 1.0) -> Strike:
    mean = spread * _MEANS[point.partition(".")[0]]
    return Strike(target, point, 1 + int(dice.expovariate(1 / mean)))


# --- running the command ---


class Sweep:
    """One study under fire.

    Args:
        root: Folder of the whole series.
        name: Of this study's folder.
        seed: Of the sweep.
        mutation: How its code is broken; "" for not at all.
    """

    def __init__(self, root: Path, name: str, seed: int, mutation: str = "") -> None:
        self.folder = root / name
        self.seed = seed
        self._mutation = mutation
        self._count = 0
        self.folder.mkdir()
        hooks = Path(__file__).with_name("chaos_hooks.py")
        (self.folder / "site").mkdir()
        (self.folder / "site" / "sitecustomize.py").write_text(_SITE.format(variable=ROUND, hooks=str(hooks)))

    @property
    def journal(self) -> Path:
        return self.folder / "results" / check.NAME / "study.journal"

    def run(self, strikes: list[Strike], *, wait: bool = True) -> Ran:
        """Run the command, or resume what it left, under these strikes; see that nothing of it stays behind."""
        self._count += 1
        round_ = self.folder / "rounds" / f"{self._count:03d}"
        round_.mkdir(parents=True)
        (round_ / "plan.json").write_text(json.dumps([asdict(one) for one in strikes]))
        with tempfile.TemporaryDirectory(prefix="chaos-", dir="/tmp", ignore_cleanup_errors=True) as scratch:
            process = self._start(round_, Path(scratch))
            code = _waited(process, strikes)
            if code is None:
                process.kill()
            ended = time.monotonic()
            left = _wait_for(lambda: _family(round_), GONE_S) if wait else []
            gone_s = time.monotonic() - ended
            for one in left:
                one.kill()
            folders = [path.name for path in Path(scratch).glob("sweep-*")] if wait else []
            return Ran(
                code=code,
                out=(round_ / "out").read_text(),
                err=(round_ / "err").read_text(),
                gone_s=gone_s,
                left=(*(f"process {one.pid}" for one in left), *folders),
            )

    def _start(self, round_: Path, scratch: Path) -> subprocess.Popen[bytes]:
        results = ["--results", str(self.folder / "results"), "--json"]
        if (self.journal.parent / "plan.json").exists():
            arguments = ["resume", check.NAME, *results]
        else:
            objective = str(Path(__file__).with_name("chaos_problem.py"))
            budget = ["--trials", str(TRIALS), "--max-epochs", str(MAX_EPOCHS), "--concurrency", "2"]
            arguments = ["run", objective, "--study", check.NAME, *results, *budget, "--seed", str(self.seed)]
        environment = {
            **os.environ,
            ROUND: str(round_),
            MUTATION: self._mutation,
            "PYTHONPATH": os.pathsep.join((str(self.folder / "site"), str(ROOT))),
            "TMPDIR": str(scratch),
        }
        with (round_ / "out").open("wb") as out, (round_ / "err").open("wb") as err:
            command = [sys.executable, "-m", "search", *arguments]
            process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, cwd=ROOT)
        (round_ / "driver.pid").write_text(str(process.pid))
        return process


def _waited(process: subprocess.Popen[bytes], strikes: list[Strike]) -> int | None:
    """Wait for the end, which may be one by time; None if it hangs."""
    by_time = min((one.n / 1000 for one in strikes if one.point == "time"), default=None)
    try:
        return process.wait(ROUND_S if by_time is None else by_time)
    except subprocess.TimeoutExpired:
        if by_time is None:
            return None
    process.send_signal(signal.SIGKILL)
    return process.wait()


def _family(round_: Path) -> list[psutil.Process]:
    """Return what still runs of a round: all of it has the round's name in its environment."""
    found = []
    for one in psutil.process_iter():
        try:
            if one.environ().get(ROUND) == str(round_) and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
        except (psutil.Error, OSError):
            continue
    return found


def _wait_for(left: Any, most_s: float) -> list[psutil.Process]:
    deadline = time.monotonic() + most_s
    while found := left():
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return list(found)


# --- a series ---


def driver_round(sweep: Sweep, dice: random.Random, tally: Tally) -> tuple[bool, list[str]]:
    """Run or resume once with a kill of the driver ahead; tell whether the study is over, and what was wrong."""
    strikes = [draw_driver_kill(dice)]
    if dice.random() < 0.25:
        strikes.append(draw_other(dice, 0.5))
    return _judged(sweep, sweep.run(strikes), tally)


def _judged(sweep: Sweep, ran: Ran, tally: Tally) -> tuple[bool, list[str]]:
    history = check.read_history(sweep.folder / "rounds" / "log.jsonl")
    found = _of_the_run(ran)
    tally.gone_s.append(ran.gone_s)
    trials = check.read_trials(sweep.journal)
    found += check.breaches(history, trials)
    over = ran.code == 0
    if over:
        found += check.breaches_at_the_end(trials, TRIALS) + check.breaches_of_journal(sweep.journal)
        found += check.breaches_of_answer(ran.out, trials) + check.breaches_of_files(sweep.journal.parent, trials)
        found += check.breaches_of_training(sweep.journal.parent, trials)
    return over, found


def _of_the_run(ran: Ran) -> list[str]:
    found = [f"{one} was left {GONE_S:g} s after its driver" for one in ran.left]
    if ran.code is None:
        return [*found, f"hung for {ROUND_S:g} s"]
    if ran.code not in (0, -signal.SIGKILL):
        found.append(f"exit {ran.code}: {ran.err[-600:]}")
    if "Traceback" in ran.err:
        found.append(f"traceback: {ran.err[-600:]}")
    return found


def main() -> None:
    sweep = Sweep(Path(tempfile.mkdtemp()), "a", 0)
    print(sweep.folder)
    dice = random.Random(int(sys.argv[1]))
    tally = Tally()
    over = False
    while not over:
        begun = time.monotonic()
        over, found = driver_round(sweep, dice, tally)
        print(over, found, tally.gone_s[-1], time.monotonic() - begun)
        if found: break


if __name__ == "__main__":
    main()
