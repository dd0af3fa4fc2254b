"""MOBSTER as the last Syne Tune that has it does it: a Gaussian process over rungs; needs `quality-mobster.txt`."""

from __future__ import annotations

import logging
import warnings
from datetime import datetime
from importlib import metadata
from typing import Any, Final

from syne_tune.backend.trial_status import Trial  # type: ignore[import-not-found]
from syne_tune.optimizer import legacy_baselines  # type: ignore[import-not-found]

from benchmarks.quality_clock import Job, Search, row_of
from benchmarks.quality_synespace import space
from benchmarks.quality_tables import Table

_KINDS: Final = {"stop": "stopping", "promote": "promotion"}
NAMES: Final = tuple(_KINDS)


def version(name: str) -> str:
    """Return whose code an arm is."""
    return f"syne-tune {metadata.version('syne-tune')}"


def make(name: str, table: Table, seed: int) -> Search:
    """Build MOBSTER, whose trials are stopped at rungs, or rest there until they are promoted."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    scheduler = legacy_baselines.MOBSTER(
        {**space(table), "epochs": table.epochs},
        metric="loss",
        resource_attr="epoch",
        max_resource_attr="epochs",
        mode="min",
        type=_KINDS[name],
        random_seed=seed,
        search_options={"debug_log": False},
    )
    return Mobsters(scheduler, table)


class Mobsters:
    """A scheduler of the old interface, which may take a trial on again."""

    def __init__(self, scheduler: Any, table: Table) -> None:
        self._scheduler, self._table, self._begun = scheduler, table, 0
        self._paused: dict[int, Job] = {}

    def ask(self) -> Job | None:
        suggestion = self._scheduler.suggest(self._begun)
        if suggestion is None:
            return None
        if not suggestion.spawn_new_trial_id:
            job = self._paused.pop(int(suggestion.checkpoint_trial_id))
            if suggestion.config is not None:
                job.trial.config = suggestion.config
            return job
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
        if decision == "CONTINUE":
            return True
        self._scheduler.on_trial_remove(job.trial)
        if decision == "PAUSE":
            self._paused[job.trial.trial_id] = job
        return False
