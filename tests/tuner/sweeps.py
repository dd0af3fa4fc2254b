"""Sweeps of small objectives for the tests over real Ray."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent
from typing import Any, NoReturn

import optuna
import psutil
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.choosing import choose
from search.launch import Launch, prepare
from search.status import Status
from search.tuner.driver import Ended, sweep

HEADER = "from __future__ import annotations\nfrom pathlib import Path\nfrom search.contract import objective\n"


def sleeping(pause_s: float) -> str:
    """Return an objective each of whose epochs takes so long, without its header."""
    return f"""
import time

def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)

@objective(space=space, metrics={{"val_loss": "minimize"}})
def slow(run):
    for epoch in run.epochs:
        time.sleep({pause_s})
        yield {{"val_loss": 1.0 / epoch}}
"""


SLOW = sleeping(0.2)
"""An objective that is still running when it is stopped."""


def write(folder: Path, body: str) -> Path:
    """Write an objective's file; `HERE` in it is its folder."""
    path = folder / "problem.py"
    path.write_text(f"{HEADER}HERE = Path({str(folder)!r})\n{dedent(body)}")
    return path


def launch_of(path: Path, results: Path, **flags: Any) -> Launch:
    given = {"seed": 0, "max-epochs": 4, "study": "s", **{name.replace("_", "-"): flag for name, flag in flags.items()}}
    return prepare(str(path), choose(given), results=results, folder=path.parent)


def run(path: Path, results: Path, **flags: Any) -> Ended:
    """Run a sweep to its end on the session's Ray."""
    seen: list[Status] = []
    ended = sweep(launch_of(path, results, **flags), view=seen.append)
    assert all(status.study == ended.status.study for status in seen)
    return ended


def stored(results: Path, study: str = "s") -> list[optuna.trial.FrozenTrial]:
    """Return the trials as plain Optuna reads them."""
    storage = JournalStorage(JournalFileBackend(str(results / study / "study.journal")))
    return optuna.load_study(study_name=study, storage=storage).trials


def leave(nodes: Any) -> NoReturn:
    """End this process, which ran sweeps on a cluster of its own, and that cluster."""
    import ray

    ray.shutdown()
    nodes.shutdown()
    for process in psutil.Process().children(recursive=True):  # agents, which outlive their raylet
        process.kill()
    os._exit(0)
