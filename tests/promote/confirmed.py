"""Studies and confirmations that are run in this process, as `search.tuner` would run them over Ray."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from textwrap import dedent
from typing import Any

from search.choosing import choose
from search.launch import Launch, prepare
from search.local import run_here, setting_of
from search.paths import StudyFolder
from search.promote import confirm
from search.promote.candidates import candidates
from search.promote.confirmation import Confirmation, read_confirmation
from search.records.study import StoredStudy, read
from search.study.owner import StudyOwner
from search.study.runs import Run

SEEDED = """
def space(trial):
    trial.suggest_float("train.x", 0.0, 10.0)

@objective(space=space, metrics={"val_loss": "minimize"})
def seeded(run):
    for _ in range(2):
        yield {"val_loss": run.params["train.x"] + run.seed % 1000 / 1000}
"""
"""An objective whose loss is told by its parameter and its seed."""


def write(folder: Path, body: str) -> Path:
    """Write an objective's file."""
    path = folder / "problem.py"
    path.write_text(f"from search.contract import objective\n{dedent(body)}")
    return path


def study(objective: str, folder: Path, *, points: tuple[dict[str, Any], ...] = (), **flags: Any) -> StoredStudy:
    """Launch a study called `s`, and run it to its end."""
    given = {"study": "s", "seed": 1, "max-epochs": 2, "pruner": "none", "trials": len(points) or 3}
    given |= {name.replace("_", "-"): flag for name, flag in flags.items()}
    launch = prepare(objective, choose(given), results=folder, folder=folder, points=points)
    return run(launch)


def run(launch: Launch, *, trials: int | None = None) -> StoredStudy:
    """Run a launch to its end, or until so many trials have ended."""
    folder: StudyFolder = launch.folder
    folder.root.mkdir(parents=True, exist_ok=True)
    if not folder.plan.exists():
        folder.plan.write_text(json.dumps(launch.record()))
    if launch.problem.split is not None:
        launch.problem.split.save(folder.split)
    given = Run(uuid.uuid4().hex, launch.code_hash, launch.data_hash, {}, launch.objective_hash)
    owner = StudyOwner.open(launch.plan, folder.root, launch.loaded_space.value, slots=1, run=given)
    owner.prepare(launch.baseline)
    asked = _Few(owner, trials)
    run_here(asked, launch.problem, setting_of(launch.plan, launch.problem), folder.root)
    owner.finish()
    owner.close()
    return read(folder)


def confirmed(stored: StoredStudy, top: int, seeds: int) -> Confirmation:
    """Confirm the best trials of a study in this process."""
    chosen = candidates(stored, top)
    again = run(confirm.prepare(stored, chosen, seeds))
    return read_confirmation(again, chosen, top=top)


class _Few:
    """An owner that has no more trials after some."""

    def __init__(self, owner: StudyOwner, trials: int | None) -> None:
        self._owner, self._left = owner, trials

    def ask(self, request: str) -> Any:
        if self._left == 0:
            self._owner.stop("stopped", "told so")
        elif self._left is not None:
            self._left -= 1
        return self._owner.ask(request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._owner, name)
