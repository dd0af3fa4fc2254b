"""A user's script without a main guard: sweeps of objects that stand in it, on a Ray that it has started itself.

`tests/test_api.py` copies it into a project, runs it there, and looks at what it noted.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import ray
from helper import SCALE  # type: ignore[import-not-found]  # beside the script
from sklearn.linear_model import LogisticRegression

from search import sweep
from search.contract import Context, Dataset, Metric, Params, Part, Prepared, Run, Source, State, objective

with Path("runs").open("a") as runs:
    runs.write("the script ran\n")

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")
noted: dict[str, Any] = {}


def space(trial: optuna.Trial) -> None:
    trial.suggest_float("train.x", 0.0, 1.0)


def loss(x: float, epoch: int) -> float:
    return float(SCALE * x + 1.0 / epoch)


@objective(space=space, metrics={"val_loss": "minimize"})
def falls(run: Run) -> Iterator[Mapping[str, float]]:
    for epoch in run.epochs:
        yield {"val_loss": loss(run.params["train.x"], epoch)}  # type: ignore[arg-type]


class Hears:
    def __init__(self) -> None:
        self.trials: list[int] = []
        self.states: set[str] = set()

    def on_trial(self, trial: Any) -> None:
        self.trials.append(trial.number)

    def on_status(self, status: Any) -> None:
        self.states.add(status.state)


# a generator, and the same study gone on with
hears, later = Hears(), Hears()
flags: dict[str, Any] = {"study": "falls", "seed": 1, "max_epochs": 3, "pruner": "none"}
one = sweep(falls, trials=4, callbacks=[hears], show=True, enqueue=[{"train.x": 0.25}], **flags)
assert one.best is not None
noted["falls"] = {
    "heard": hears.trials,
    "states": sorted(hears.states),
    "rows": one.trials["number"].tolist(),
    "first": one.trials["params.train.x"][0],
    "reports": len(one.reports),
    "best": [one.best.number, one.best.value, one.best.params["train.x"], SCALE],
    "optuna": len(one.study.trials),
}
two = sweep(falls, trials=6, resume=True, callbacks=[later], **flags)
three = sweep(falls, trials=6, resume=True, **flags)
noted["resumed"] = {"heard": later.trials, "state": two.status.state, "again": len(three.trials)}


# a class with the four stages, and a data frame
class Learner:
    budget = 2

    def __init__(self, x: float, prepared: Prepared) -> None:
        self.x, self.epoch, self.rows = x, 0, prepared.train.features["half"].to_numpy()

    def fit_epoch(self) -> dict[str, float]:
        self.epoch += 1
        return {}

    def evaluate(self) -> dict[str, float]:
        return {"val_loss": self.x / self.epoch, "highest": float(self.rows.max())}

    def state(self) -> State:
        return State({"epoch": np.array([self.epoch])}, {})

    def load_state(self, state: State) -> None:
        self.epoch = int(state.arrays["epoch"][0])


class Full:
    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def space(self, trial: optuna.Trial) -> None:
        trial.suggest_float("train.x", 0.0, 1.0)

    def data(self, source: Source) -> Dataset:
        return source.table("sklearn:diabetes")

    def metrics(self, dataset: Dataset) -> tuple[Metric, ...]:
        return (Metric("val_loss", "minimize"),)

    def preprocess(self, params: Params, train: Part, validation: Part, context: Context) -> Prepared:
        return Prepared(train, validation)

    def learner(self, params: Params, prepared: Prepared, context: Context) -> Learner:
        return Learner(params["train.x"] * self.factor, prepared)  # type: ignore[operator]


frame = pd.DataFrame({"half": np.arange(60) / 2, "y": np.arange(60) % 7 + 0.5})
full = sweep(Full(100.0), data=frame, target="y", trials=2, study="full", max_epochs=2, pruner="none")
assert full.best is not None
noted["full"] = {
    "highest": full.best.metrics["highest"],
    "factor": full.best.value / full.best.params["train.x"],  # type: ignore[operator]
    "checkpoint": str(full.best.checkpoint),
}


# an estimator and arrays
def strengths(trial: optuna.Trial) -> None:
    trial.suggest_float("C", 1e-2, 1e2, log=True)


rng = np.random.default_rng(0)
points = rng.normal(size=(90, 3))
labels = (points[:, 0] > 0).astype(int)
model = LogisticRegression()
fitted = sweep(model, strengths, data=(points, labels), trials=2, study="fitted", seed=1)
assert fitted.best is not None
noted["fitted"] = {"best": dict(fitted.best.metrics), "params": [*fitted.best.params]}


# an objective of Optuna's, in a thread
def parabola(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -3, 3)
    return float((x - SCALE) ** 2)


def in_thread() -> None:
    found = sweep(parabola, trials=3, study="parabola", seed=1)
    noted["parabola"] = {"trials": len(found.trials), "params": [*(found.best.params if found.best else ())]}


thread = threading.Thread(target=in_thread)
thread.start()
thread.join()


# callbacks that have had enough
@objective(space=space, metrics={"val_loss": "minimize"})
def slow(run: Run) -> Iterator[Mapping[str, float]]:
    import time

    for epoch in run.epochs:
        time.sleep(0.2)
        yield {"val_loss": 1.0 / epoch}


def raises(trial: Any) -> None:
    raise LookupError(f"trial {trial.number}")


try:
    sweep(slow, trials=50, study="raises", max_epochs=2, callbacks=[raises], pruner="none")
except LookupError as error:
    noted["raises"] = str(error)
enough = sweep(slow, trials=50, study="enough", max_epochs=2, callbacks=[lambda trial: False], pruner="none")
noted["enough"] = [enough.status.state, enough.status.trials["complete"]]


# what cannot be sent
lock = threading.Lock()


@objective(space=space, metrics={"val_loss": "minimize"})
def locked(run: Run) -> Iterator[Mapping[str, float]]:
    with lock:
        yield {"val_loss": 1.0}


try:
    sweep(locked, trials=1, study="locked")
except Exception as error:
    noted["locked"] = [type(error).__name__, str(error)]

Path("noted.json").write_text(json.dumps(noted))
