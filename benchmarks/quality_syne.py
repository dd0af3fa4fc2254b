"""Syne Tune's own schedulers, called in the order in which its tuner calls them; needs `quality-peers.txt`."""

from __future__ import annotations

import logging
import warnings
from datetime import datetime
from importlib import metadata
from typing import Any, Final

import numpy as np
from syne_tune.backend.trial_status import Trial  # type: ignore[import-not-found]
from syne_tune.optimizer import baselines  # type: ignore[import-not-found]

from benchmarks.quality_clock import Job, Search, row_of
from benchmarks.quality_synespace import space
from benchmarks.quality_tables import Table

_SCHEDULERS: Final = {"asha": "ASHA", "bohb": "BOHB", "bore": "ASHABORE", "cqr": "ASHACQR"}
NAMES: Final = tuple(_SCHEDULERS)


def version(name: str) -> str:
    """Return whose code an arm is."""
    return f"syne-tune {metadata.version('syne-tune')}"


def make(name: str, table: Table, seed: int) -> Search:
    """Build one of Syne Tune's multi-fidelity baselines with its defaults, the first rung after one epoch."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    np.random.seed(seed)  # brackets are drawn from numpy's global state
    kind = getattr(baselines, _SCHEDULERS[name])
    scheduler = kind(space(table), metric="loss", time_attr="epoch", max_t=table.epochs, random_seed=seed)
    return Synes(scheduler, table)


class Synes:
    """A scheduler that stops trials."""

    def __init__(self, scheduler: Any, table: Table) -> None:
        self._scheduler, self._table, self._begun = scheduler, table, 0

    def ask(self) -> Job | None:
        suggestion = self._scheduler.suggest()
        if suggestion is None:
            return None
        trial = Trial(trial_id=self._begun, config=suggestion.config, creation_time=datetime.now())
        self._begun += 1
        self._scheduler.on_trial_add(trial)
        return Job(trial, row_of(self._table, trial.config), 0, self._table.epochs)

    def report(self, job: Job, error: float) -> bool:
        result = {"loss": error, "epoch": job.done}
        decision = self._scheduler.on_trial_result(job.trial, result)
        if job.done == job.until:
            self._scheduler.on_trial_complete(job.trial, result)
            return False
        if decision == "STOP":
            self._scheduler.on_trial_remove(job.trial)
        return bool(decision != "STOP")
