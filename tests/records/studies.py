"""Studies on disk for tests: real journals of plain Optuna, with the attributes that the owner writes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.paths import StudyFolder
from search.plan import SweepPlan
from search.study import attributes
from search.trial import ParamValue

BEGAN = datetime(2026, 1, 2, 3, 4, 5)
SPACE: dict[str, BaseDistribution] = {
    "train.lr": FloatDistribution(1e-5, 1.0, log=True),
    "model.width": IntDistribution(1, 1024),
    "model.family": CategoricalDistribution(("linear", "mlp", "Größe 100%")),
}


def plan(name: str, results: Path, **changes: Any) -> SweepPlan:
    base = SweepPlan(
        objective="/o.py:O",
        space="/s.py:s",
        study=name,
        results=str(results),
        metrics=("val_loss",),
        directions=("minimize",),
        seed=1,
        trials=10,
        max_epochs=9,
        sampler="random",
        pruner="asha",
    )
    return replace(base, **changes)


def trial(
    state: str,
    curve: Sequence[float] = (),
    *,
    params: Mapping[str, ParamValue] | None = None,
    values: Sequence[float] | None = None,
    reason: str | None = None,
    text: str = "full budget",
    minute: int = 0,
    pruning: Mapping[str, Any] | None = None,
) -> FrozenTrial:
    """Return a trial as the owner would have stored it; its searched value is `val_loss`."""
    given = {"train.lr": 0.01} if params is None else dict(params)
    ended = state in ("complete", "pruned", "fail")
    best = min(curve, default=0.0)
    system: dict[str, Any] = {
        attributes.metrics_key(step): {"val_loss": value, "val_accuracy": 1 - value}
        for step, value in enumerate(curve, 1)
    }
    if ended:
        metrics = {"val_loss": best, "val_accuracy": 1 - best} if curve else {}
        step = [*curve].index(best) + 1 if curve else 0
        system[attributes.END] = {"reason": reason, "text": text, "step": step, "metrics": metrics, "units": len(curve)}
    if pruning:
        system[attributes.PRUNING] = dict(pruning)
    if state == "paused":
        system[attributes.LEASE] = {"held": False}
    told = list(values) if values is not None else [best] if state == "complete" else None
    if state == "pruned" and curve:
        told = [curve[-1]]
    made = create_trial(
        state=TrialState[{"paused": "RUNNING"}.get(state, state.upper())],
        values=told,
        params=given,
        distributions={name: SPACE[name] for name in given},
        system_attrs=system,
        intermediate_values=dict(enumerate(curve, 1)),
    )
    made.datetime_start = None if state == "waiting" else BEGAN
    made.datetime_complete = BEGAN + timedelta(minutes=minute + 1) if ended else None
    return made


def store(
    results: Path,
    name: str,
    trials: Sequence[FrozenTrial] = (),
    *,
    stopped: tuple[str, str] | None = ("finished", "10 of 10 trials"),
    seconds: float = 90.0,
    baseline: Mapping[str, float] | None = None,
    **changes: Any,
) -> StudyFolder:
    """Write a study's folder: `plan.json` and a journal."""
    folder, chosen = StudyFolder(results / name), plan(name, results, **changes)
    folder.root.mkdir(parents=True)
    record = {"schema": 1, "plan": chosen.to_json(), "code_hash": "", "data_hash": "", "versions": {}}
    folder.plan.write_text(json.dumps(record), encoding="utf-8")
    storage = JournalStorage(JournalFileBackend(str(folder.journal)))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage, study_name=name, directions=[*chosen.directions])  # type: ignore[list-item]
    study.add_trials(trials)
    attrs: dict[str, Any] = {
        attributes.RUNS: [{"run": "one", "started": time.time() - seconds, "at_s": 0.0}],
        attributes.CLOCK: seconds,
    }
    if stopped is not None:
        attrs[attributes.STOPPED] = {"state": stopped[0], "why": stopped[1]}
    if baseline is not None:
        attrs[attributes.BASELINE] = dict(baseline)
    for key, value in attrs.items():
        storage.set_study_system_attr(study._study_id, key, value)
    return folder


PRUNED_BY = {"rule": "asha", "step": 3, "value": 0.9, "cutoff": 0.5, "rank": 4, "of": 4}
MIXED = (
    trial("complete", [0.9, 0.5, 0.6], params={"train.lr": 0.1, "model.width": 8}, minute=1),
    trial("pruned", [0.9, 0.9, 0.9], minute=0, pruning=PRUNED_BY),
    trial("complete", [0.5, 0.4], params={"train.lr": 0.2, "model.family": "Größe 100%"}, minute=2),
    trial("fail", [0.7], reason="exception", text="ValueError: trial 3 \x1b[31mbroke", minute=3),
    trial("fail", [], reason="nan", text="metric 'val_loss' is nan", minute=4),
    trial("complete", [0.4, 0.8], minute=5),
    trial("running", [0.3]),
    trial("paused", [0.8, 0.7]),
    trial("waiting", params={}),
)
"""One trial of every state; the best is number 2, equalled later by number 5."""

EXTREMES: dict[str, tuple[FrozenTrial, ...]] = {
    "no trials": (),
    "one trial": (trial("complete", [0.5]),),
    "all failed": (
        trial("fail", reason="exception", text="ValueError: 1"),
        trial("fail", reason="nan", text="x is nan"),
    ),
    "all pruned": (trial("pruned", [0.5], pruning=PRUNED_BY), trial("pruned", [0.5])),
    "only waiting": (trial("waiting", params={}),),
    "mixed": MIXED,
}
