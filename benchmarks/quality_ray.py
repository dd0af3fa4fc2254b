"""Ray Tune's own scheduler and searcher, called in the order in which its controller calls them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import optuna
import ray
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks import quality_optuna
from benchmarks.quality_clock import Job, Search, drawn, row_of
from benchmarks.quality_optuna import suggested
from benchmarks.quality_tables import Table

NAMES: Final = ("asha", "optuna+asha")


def version(name: str) -> str:
    """Return whose code an arm is."""
    return f"ray {ray.__version__}, {quality_optuna.version(name)}"


def make(name: str, table: Table, seed: int) -> Search:
    """Build ASHA with uniform configurations, or with those of `OptunaSearch`."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return Tunes(table, seed, by_optuna={"asha": False, "optuna+asha": True}[name])


class Tunes:
    """A scheduler, and a searcher or uniform draws."""

    def __init__(self, table: Table, seed: int, *, by_optuna: bool) -> None:
        np.random.seed(seed)  # the scheduler draws brackets from numpy's global state
        self._table, self._random, self._begun = table, np.random.default_rng(seed), 0
        self._scheduler = ASHAScheduler(
            metric="loss", mode="min", max_t=table.epochs, grace_period=1, reduction_factor=3
        )
        self._searcher = OptunaSearch(space=self._space, metric="loss", mode="min", seed=seed) if by_optuna else None

    def ask(self) -> Job:
        trial = SimpleNamespace(trial_id=str(self._begun))
        self._begun += 1
        if self._searcher is None:
            row = drawn(self._table, lambda axis: int(self._random.integers(len(axis.values))))
        else:
            row = row_of(self._table, self._searcher.suggest(trial.trial_id))
        self._scheduler.on_trial_add(None, trial)
        return Job(trial, row, 0, self._table.epochs)

    def report(self, job: Job, error: float) -> bool:
        result = {"loss": error, "training_iteration": job.done}
        stops: bool = self._scheduler.on_trial_result(None, job.trial, result) == "STOP"
        if self._searcher is not None and stops:
            self._searcher.on_trial_complete(job.trial.trial_id, result)
        elif self._searcher is not None:
            self._searcher.on_trial_result(job.trial.trial_id, result)
        return not stops

    def _space(self, trial: Any) -> None:
        suggested(trial, self._table)
