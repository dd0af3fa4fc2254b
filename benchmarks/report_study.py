"""A finished sweep of any size for `benchmarks/report.py`, written to disk record for record as a sweep writes it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from benchmarks.large_study import BEGAN
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.study import attributes

REPORTS = 20
RUNGS = (1, 3, 9)
WORKERS = 8
SPACE: dict[str, BaseDistribution] = {
    "preprocess.scale": CategoricalDistribution(("none", "standard", "quantile")),
    "model.family": CategoricalDistribution(("linear", "mlp", "boosted_trees")),
    "model.width": IntDistribution(16, 512, log=True),
    "model.depth": IntDistribution(1, 8),
    "model.dropout": FloatDistribution(0.0, 0.5),
    "train.lr": FloatDistribution(1e-5, 0.1, log=True),
    "train.weight_decay": FloatDistribution(1e-6, 0.1, log=True),
    "train.batch": IntDistribution(16, 256, log=True),
}
DISTRIBUTIONS = {name: distribution_to_json(one) for name, one in SPACE.items()}
WORKER = "0f5b2a44-8d0b-4c0e-9d51-1d2a3c4b5e6f-140245"


def store(results: Path, name: str, trials: int) -> StudyFolder:
    """Write a study's folder: trials of 20 reports, a third of them pruned at rungs, one in 97 failed."""
    plan = SweepPlan(
        objective="objectives/tabular.py:Tabular",
        space="spaces/tabular.py:space",
        study=name,
        results=str(results),
        metrics=("val_loss",),
        directions=("minimize",),
        seed=0,
        trials=trials,
        max_epochs=REPORTS,
    )
    folder = StudyFolder(results / name)
    folder.root.mkdir(parents=True)
    launch = {"schema": 1, "plan": plan.to_json(), "code_hash": "", "data_hash": "", "versions": {}}
    folder.plan.write_text(json.dumps(launch), encoding="utf-8")
    with folder.journal.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(one, separators=(",", ":")) + "\n" for one in records(trials, name))
    return folder


def records(trials: int, study: str) -> Iterator[dict[str, Any]]:
    """Yield the records of the journal, one trial after the other."""
    dice = random.Random(0)
    yield _made(0, study_name=study, directions=[1])
    yield _of_study(attributes.SCHEMA_KEY, attributes.SCHEMA)
    yield _of_study("study:metric_names", ["val_loss"])
    yield _of_study(attributes.RUNS, [{"run": "a", "started": BEGAN.timestamp(), "at_s": 0.0}])
    yield _of_study(attributes.BASELINE, {"val_loss": 0.9})
    for number in range(trials):
        yield from _trial(number, dice)
    yield _of_study(attributes.CLOCK, _begun_s(trials))
    yield _of_study(attributes.STOPPED, {"state": "finished", "why": f"{trials} of {trials} trials"})


def _trial(number: int, dice: random.Random) -> Iterator[dict[str, Any]]:
    params = _suggested(dice)
    loss = _loss(params, dice)
    curve = [loss * (1 + 3 / step) + dice.gauss(0, 0.003) for step in range(1, REPORTS + 1)]
    failed = number % 97 == 96
    rung = next((one for one in RUNGS if loss > 0.75 - 0.1 * math.log(one, 3)), None)
    last = dice.randint(1, 5) if failed else rung or REPORTS
    at_s, seconds = _begun_s(number), 0.9 * WORKERS * last / REPORTS / 4
    begun = BEGAN + timedelta(seconds=at_s)
    yield _made(
        4,
        study_id=0,
        datetime_start=begun.isoformat(timespec="microseconds"),
        state=0,
        value=None,
        values=None,
        distributions={name: DISTRIBUTIONS[name] for name in params},
        params=params,
        user_attrs={},
        system_attrs={attributes.REQUEST: f"slot-{number % WORKERS}-0:{number}"},
        intermediate_values={},
    )
    attempt = {"token": f"{number:016x}", "worker": f"10.0.0.{number % WORKERS}:4242", "node": f"n{number % WORKERS}"}
    yield _of_trial(number, attributes.ATTEMPT, attempt | {"at_s": at_s, "resumed": False, "lost": 0, "held_s": 0.0})
    for step in range(1, last + 1):
        yield _made(7, trial_id=number, step=step, intermediate_value=curve[step - 1])
    if rung is not None and not failed:
        rule = {"rule": "asha", "step": rung, "value": curve[rung - 1], "cutoff": 0.7, "rank": 5, "of": 9, "rung": rung}
        yield _of_trial(number, attributes.PRUNING, rule | {"keep": 3})
    reason = "exception" if failed else None
    end = {
        "reason": reason,
        "text": f"ValueError: batch {number} is empty" if failed else "full budget",
        "step": 0 if failed else last,
        "metrics": {} if failed else {"val_loss": curve[last - 1]},
        "units": last,
        "stage_s": {"data": 0.0, "preprocess": 0.1 * seconds, "train": 0.7 * seconds, "evaluate": 0.1 * seconds},
        "lost": 0,
        "held_s": seconds,
        "at_s": at_s + seconds,
    }
    yield _of_trial(number, attributes.END, end)
    state = 3 if failed else 1 if rung is None else 2
    ended = (begun + timedelta(seconds=seconds)).isoformat(timespec="microseconds")
    values = None if failed else [curve[last - 1]]
    yield _made(6, trial_id=number, state=state, values=values, datetime_complete=ended)


def _suggested(dice: random.Random) -> dict[str, float]:
    """Return parameters as the journal holds them: of a choice its index; width, depth and dropout only with an mlp."""
    params: dict[str, float] = {"preprocess.scale": dice.randrange(3), "model.family": dice.randrange(3)}
    if params["model.family"] == 1:
        params |= {"model.width": float(round(16 * 32 ** dice.random())), "model.depth": float(dice.randint(1, 8))}
        params["model.dropout"] = dice.uniform(0, 0.5)
    params["train.lr"] = 10 ** dice.uniform(-5, -1)
    params["train.weight_decay"] = 10 ** dice.uniform(-6, -1)
    params["train.batch"] = float(round(16 * 16 ** dice.random()))
    return params


def _loss(params: dict[str, float], dice: random.Random) -> float:
    loss = 0.2 + 0.08 * (math.log10(params["train.lr"]) + 2.5) ** 2 + abs(dice.gauss(0, 0.05))
    loss += 0.1 * abs(params["model.family"] - 1) + 0.05 * (params["preprocess.scale"] == 0)
    return loss + 0.2 * params.get("model.dropout", 0.0)


def _begun_s(number: int) -> float:
    return number * 0.25


def _made(op_code: int, **fields: Any) -> dict[str, Any]:
    return {"op_code": op_code, "worker_id": WORKER, **fields}


def _of_trial(number: int, key: str, value: Any) -> dict[str, Any]:
    return _made(9, trial_id=number, system_attr={key: value})


def _of_study(key: str, value: Any) -> dict[str, Any]:
    return _made(3, study_id=0, system_attr={key: value})
