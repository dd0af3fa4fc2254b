"""A home in this process, and studies that are sent to it and run there, without Ray."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search import resume
from search.choosing import choose
from search.launch import Launch, prepare
from search.paths import StudyFolder
from search.records.study import StoredStudy, read
from search.tuner import home
from search.tuner.arriving import Arrivals
from search.tuner.sending import put_together
from tests.promote import confirmed

MODEL = """
from sklearn.linear_model import LogisticRegression

model = LogisticRegression(max_iter=50)

def space(trial):
    trial.suggest_float("C", 0.01, 10, log=True)
"""


@dataclass(frozen=True)
class Near:
    """A line to a home that is in this process."""

    home: home.Home
    address: str = "ray://10.0.0.1:10001"

    def call(self, method: str, *arguments: object) -> Any:
        return self.home.answer(method, *arguments)


@contextmanager
def living_at(results: Path, version: str = "v1") -> Iterator[Near]:
    """Have a home whose studies lie in this folder."""
    before = os.environ.get(home.RESULTS)
    os.environ[home.RESULTS] = str(results)
    try:
        yield Near(home.Home(version, "10.0.0.1:6379"))
    finally:
        os.environ.pop(home.RESULTS) if before is None else os.environ.update({home.RESULTS: before})


def launch_of(laptop: Path, **flags: Any) -> Launch:
    """Return a launch of a small model on a small table, as the laptop prepares it."""
    laptop.mkdir(exist_ok=True)
    if not (laptop / "model.py").exists():
        (laptop / "model.py").write_text(MODEL)
        rows = np.random.default_rng(0).normal(size=(80, 3))
        lines = [f"{a:.4f},{b:.4f},{int(a + b + 0.3 * c > 0)}" for a, b, c in rows]
        (laptop / "rain.csv").write_text("\n".join(["a,b,rained", *lines]))
    given = {"study": "s", "seed": 1, "trials": 2, "data": "rain.csv", "target": "rained", "pruner": "none"}
    given |= {"address": "ray://10.0.0.1:10001", **flags}
    return prepare("model.py:model", choose(given), results=laptop / "results", folder=laptop)


def arrived(launch: Launch, results: Path, scratch: Path) -> StudyFolder:
    """Have a study come to a home, as if it had been sent."""
    folder, _ = put_together(launch, scratch)
    arrivals = Arrivals(results)
    arrivals.begin("u1", launch.plan.study, 1, (), rename=False)
    for path in folder.rglob("*"):
        if path.is_file():
            arrivals.receive("u1", path.relative_to(folder).as_posix(), 0, path.read_bytes())
    return arrivals.settle("u1", launch.plan.study)


def gone_on(folder: StudyFolder, *, trials: int | None = None) -> StoredStudy:
    """Run a study that has come to its end, or until so many trials have ended, as its driver would."""
    stored = read(folder)
    return confirmed.run(resume.prepare(stored, stored.plan, accept_changes=False), trials=trials)
