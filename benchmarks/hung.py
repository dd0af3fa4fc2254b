"""Hung trials: how long after their time-out they are ended, whatever they hang in.

    python benchmarks/hung.py [--trials 50] [--limit 2s]

Runs one sweep of trials that hang in every way, and prints per way how many there were, how many ended as `timeout`,
and the latest end after the limit. Exits with 1 if one ended later than 7 s after it or in another way, or if a
process of the sweep is left.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final

LATEST_S: Final = 7.0

WAYS: Final = ("sleep", "busy", "regex", "lock", "subprocess", "stopped")

OBJECTIVE: Final = """
    from __future__ import annotations

    import os
    import re
    import signal
    import subprocess
    import threading
    import time

    from search.contract import objective


    def space(trial):
        trial.suggest_categorical("model.way", {ways!r})


    @objective(space=space, metrics={{"val_loss": "minimize"}})
    def hangs(run):
        yield {{"val_loss": 1.0}}
        way = run.params["model.way"]
        if way == "sleep":
            time.sleep(600)
        if way == "busy":
            while True:
                pass
        if way == "regex":  # holds the interpreter's lock
            re.match(r"(a+)+$", "a" * 60 + "b")
        if way == "lock":
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()
        if way == "subprocess":
            subprocess.run(["sleep", "600"])
        if way == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        yield {{"val_loss": 0.5}}
"""


@dataclass(frozen=True)
class Ended:
    """The trials of one way to hang.

    Attributes:
        latest_s: The latest end after the limit.
    """

    count: int
    timeouts: int
    latest_s: float

    @property
    def good(self) -> bool:
        return self.timeouts == self.count and self.latest_s <= LATEST_S


def sweep(folder: Path, *, trials: int, limit_s: float, concurrency: int | None = None) -> Mapping[str, Ended]:
    """Run a sweep of trials that hang in turn in every way, and return how those of each way ended."""
    from search.choosing import choose
    from search.launch import prepare
    from search.tuner.driver import sweep as run

    path, points = folder / "hangs.py", folder / "points.jsonl"
    path.write_text(dedent(OBJECTIVE).format(ways=list(WAYS)).lstrip())
    points.write_text("".join(json.dumps({"model.way": WAYS[n % len(WAYS)]}) + "\n" for n in range(trials)))
    flags = {"study": "hung", "trials": trials, "enqueue": str(points), "trial-timeout": f"{limit_s:g}s", "seed": 0}
    flags |= {"pruner": "none", "patience": 0, "retries": 0, "concurrency": concurrency}
    run(prepare(str(path), choose(flags), results=folder, folder=folder), view=lambda status: None)
    return read(folder, limit_s)


def read(folder: Path, limit_s: float) -> Mapping[str, Ended]:
    """Return how the trials of each way ended, from the study's storage."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(folder / "hung" / "study.journal")))
    trials = optuna.load_study(study_name="hung", storage=storage).trials
    found = {}
    for way in WAYS:
        ends = [one.system_attrs["sweep:end"] for one in trials if one.params["model.way"] == way]
        late = max((end["held_s"] - limit_s for end in ends), default=0.0)
        found[way] = Ended(len(ends), sum(end["reason"] == "timeout" for end in ends), late)
    return found


def left_over() -> list[str]:
    """Return the processes that descend from this one."""
    import psutil

    return [" ".join(one.cmdline()) for one in psutil.Process(os.getpid()).children(recursive=True)]


def main(arguments: list[str]) -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--limit", type=float, default=2.0, help="seconds")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = sweep(Path(folder), trials=given.trials, limit_s=given.limit)
    print(f"{'hangs in':12} {'trials':>6} {'timeout':>8} {'latest end':>12}")
    for way, ended in found.items():
        print(f"{way:12} {ended.count:6} {ended.timeouts:8} {ended.latest_s:10.1f} s")
    left = left_over()
    print(f"workers left: {len(left)}")
    return 0 if all(one.good for one in found.values()) and not left else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
