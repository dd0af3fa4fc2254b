"""Objectives as Optuna's documentation writes them, run by a sweep in this process and by plain Optuna."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search import sampler_for
from search.choosing import choose
from search.launch import Launch, prepare
from search.local import run_here, setting_of
from search.status import Status
from search.study.owner import StudyOwner
from search.study.runs import Run
from tests.tuner.sweeps import stored

PROJECTS = Path(__file__).parent / "optuna_projects"


def project(name: str, folder: Path) -> Path:
    """Put an example into a folder, as its user has it."""
    path = folder / f"{name}.py"
    path.write_text((PROJECTS / f"{name}.py.txt").read_text())
    return path


def script(folder: Path, body: str) -> Path:
    """Write an objective's file."""
    path = folder / "rain.py"
    path.write_text(f"import optuna\n{dedent(body)}")
    return path


def launched(reference: str, results: Path, **flags: Any) -> Launch:
    """Prepare a sweep, and lay its folder out as the driver does."""
    given = {"seed": 1, "study": "s", **{name.replace("_", "-"): flag for name, flag in flags.items()}}
    launch = prepare(reference, choose(given), results=results, folder=Path(reference.partition(":")[0]).parent)
    launch.folder.root.mkdir(parents=True)
    launch.folder.plan.write_text(json.dumps(launch.record()))
    return launch


def opened(launch: Launch, run: str = "run") -> StudyOwner:
    owner = StudyOwner.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=Run(run))
    owner.prepare(launch.baseline)
    return owner


def swept(launch: Launch, run: str = "run") -> Status:
    """Run a sweep to its end in this process."""
    owner = opened(launch, run)
    try:
        run_here(owner, launch.problem, setting_of(launch.plan, launch.problem), launch.folder.root)
        return owner.finish()
    finally:
        owner.close()


def run(path: Path, results: Path, **flags: Any) -> tuple[Status, list[FrozenTrial]]:
    """Run a sweep of a file's objective; return how it ended, and its trials as plain Optuna reads them."""
    status = swept(launched(str(path), results, **flags))
    return status, stored(results)


def plain(
    objective: Callable[..., Any], launch: Launch, pruner: optuna.pruners.BasePruner | None = None, **given: Any
) -> list[FrozenTrial]:
    """Run an objective by Optuna alone, its sampler built anew for each trial, with its own pruner."""
    study = optuna.create_study(
        study_name="s",
        directions=[optuna.study.StudyDirection[way.upper()] for way in launch.plan.directions],
        pruner=pruner or optuna.pruners.NopPruner(),
    )
    for number in range(launch.plan.trials or 0):
        study.sampler = sampler_for(launch.plan.sampler, seed=launch.plan.seed, number=number)
        study.optimize(objective, n_trials=1, **given)
    return study.trials


def function(path: Path, name: str = "objective") -> Any:
    """Import a user's file as its user does."""
    spec = importlib.util.spec_from_file_location(f"plain_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def facts(trial: FrozenTrial, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return all that has to be equal of a trial."""
    return {
        "number": trial.number,
        "state": trial.state,
        "values": trial.values,
        "params": trial.params,
        "distributions": trial.distributions,
        "reports": {
            step: "nan" if math.isnan(value) else value  # which is not itself
            for step, value in trial.intermediate_values.items()
        },
        "user": {key: value for key, value in trial.user_attrs.items() if key not in without},
        "constraints": trial.constraints,
    }
