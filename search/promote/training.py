"""Training one configuration for good: the engine's own run, and the learner as of its best step: the `Trained`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from search.building import Building, let_go
from search.checkpoint import Checkpoint, CheckpointKind
from search.contract import Context, Exported, Exporting, NotExportable, Part, Prepared, Replay
from search.engine import TrialRun
from search.errors import InputError, RefusedError
from search.problem import Problem
from search.randomness import seed_globals, stage_seed
from search.session import Setting
from search.trial import Ending, ParamValue, Progress, TrialSpec, Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A learner as of the best step of its training.

    Attributes:
        number: Of the trial whose parameters it has.
        params: These.
        seed: Sweep's seed of this training.
        units: Of training that it had.
        metrics: On the validation rows; of a refit, which had those, {}.
        learner: Trained.
        prepared: What it was built with.
        context: What it was built with.
    """

    number: int
    params: Mapping[str, ParamValue]
    seed: int
    units: int
    metrics: Mapping[str, float]
    learner: Any
    prepared: Prepared
    context: Context

    def close(self) -> None:
        """Have the learner let go of what it holds besides memory, once nobody asks it anything more."""
        let_go(self.learner)


def check_exporting(problem: Problem, name: str) -> None:
    """Refuse an objective that says nothing of how its models leave training.

    Raises:
        InputError: It has no `export`.
    """
    if not isinstance(problem.stages, Exporting):
        said = f"{name} has no method `export`, so what it trains cannot be promoted"
        raise InputError(said, field="objective", hint="give it one (search.contract.Exporting), or sweep `tabular`")


def train(problem: Problem, number: int, params: Mapping[str, ParamValue], setting: Setting) -> Trained:
    """Train a configuration to its best step on the validation rows, once, without folds.

    Raises:
        RefusedError: The training failed, where the search's own did not.
    """
    problem, setting = replace(problem, folds=()), replace(setting, replicates=1, timeout_s=None)
    spec, session = TrialSpec(number, params), _Kept()
    run = TrialRun(problem, spec, setting, session)
    for _ in run:
        pass
    outcome = run.outcome
    if outcome.ending is not Ending.COMPLETE or session.best is None:
        raise RefusedError(f"trial {number} failed when it was trained again: {outcome.text}", field="trial")
    return _at(problem, spec, setting, session.best, outcome.metrics)


def refit(problem: Problem, trained: Trained, setting: Setting) -> Trained:
    """Train the same configuration on train and validation rows together, for as many units as were best."""
    both = replace(problem, folds=(), train=joined(problem.train, problem.validation))
    setting = replace(setting, replicates=1, timeout_s=None)
    units = Checkpoint(0, trained.units, Replay.REPLAY)
    return _at(both, TrialSpec(trained.number, trained.params), setting, units, {})


def export(problem: Problem, trained: Trained) -> Exported:
    """Return a trained learner as its objective exports it.

    Raises:
        RefusedError: A step has no counterpart in ONNX.
    """
    stages = problem.stages
    assert isinstance(stages, Exporting)
    try:
        return stages.export(trained.learner, trained.prepared, trained.context)
    except NotExportable as error:
        raise RefusedError(f"trial {trained.number} cannot be promoted: {error}", field="trial") from error


def _at(problem: Problem, spec: TrialSpec, setting: Setting, best: Checkpoint, metrics: Mapping[str, float]) -> Trained:
    """Build the learner again and bring it to where it was best."""
    building = Building(problem, spec, setting, _untimed, clock=time.monotonic, began=time.monotonic())
    learner = building.learner()
    if isinstance(best.state, Replay):
        for unit in range(best.units):
            seed_globals(stage_seed(setting.seed, spec.number, f"global {unit}"))
            learner.fit_epoch()
    else:
        learner.load_state(best.state)
    assert building.prepared is not None
    context = building.context("train")
    return Trained(spec.number, spec.params, setting.seed, best.units, metrics, learner, building.prepared, context)


def joined(one: Part, other: Part) -> Part:
    """Return the raw rows of both."""
    import numpy as np

    target = np.concatenate([one.target, other.target])
    if isinstance(one.features, np.ndarray):
        return Part(np.concatenate([one.features, other.features]), target)
    import pandas as pd

    return Part(pd.concat([one.features, other.features], ignore_index=True), target)


@contextmanager
def _untimed(stage: str) -> Iterator[None]:  # noqa: ARG001
    yield


class _Kept:
    """A session that is heard by nobody and keeps the best state."""

    best: Checkpoint | None = None

    def report(self, progress: Progress) -> Verdict:  # noqa: ARG002
        return Verdict.CONTINUE

    def save(self, kind: CheckpointKind, checkpoint: Checkpoint) -> None:
        if kind == "best":
            self.best = checkpoint

    def load(self, kind: CheckpointKind) -> None:  # noqa: ARG002
        return None
