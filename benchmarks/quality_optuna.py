"""Optuna's own samplers and pruners, as searches that are replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

import optuna
from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import GPSampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState

from benchmarks.quality_clock import Job, Search, drawn
from benchmarks.quality_tables import Axis, Table

Sampler: TypeAlias = Callable[[int], optuna.samplers.BaseSampler]
Pruner: TypeAlias = Callable[[int], optuna.pruners.BasePruner]

_SAMPLERS: Final[Mapping[str, Sampler]] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
    "gp": lambda seed: GPSampler(seed=seed),
}
_PRUNERS: Final[Mapping[str, Pruner]] = {
    "": lambda epochs: NopPruner(),
    "median": lambda epochs: MedianPruner(),
    "halving": lambda epochs: SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    "hyperband": lambda epochs: HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3),
}
NAMES: Final = ("random", "random+halving", "tpe", "tpe+median", "tpe+halving", "tpe+hyperband", "gp")


def version(name: str) -> str:
    """Return whose code an arm is."""
    return f"optuna {optuna.__version__}"


def make(name: str, table: Table, seed: int) -> Search:
    """Build the search that is called `SAMPLER` or `SAMPLER+PRUNER`."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler, _, pruner = name.partition("+")
    # Hyperband draws brackets from the study's name
    study = optuna.create_study(
        study_name=str(seed), sampler=_SAMPLERS[sampler](seed), pruner=_PRUNERS[pruner](table.epochs)
    )
    return Optunas(study, partial(suggested, table=table), epochs=table.epochs)


class Optunas:
    """A study, asked and told as Optuna's own loop does.

    Args:
        study: With a sampler and a pruner.
        space: Suggests the parameters of a trial, and returns the row that they are.
        epochs: The last step.
    """

    def __init__(self, study: optuna.Study, space: Callable[[Trial], int], *, epochs: int) -> None:
        self._study, self._space, self._epochs = study, space, epochs

    def ask(self) -> Job:
        trial = self._study.ask()
        return Job(trial, self._space(trial), 0, self._epochs)

    def report(self, job: Job, error: float) -> bool:
        trial: Trial = job.trial
        trial.report(error, job.done)
        if job.done == job.until:
            self._study.tell(trial, error)
            return False
        if trial.should_prune():
            self._study.tell(trial, state=TrialState.PRUNED)
            return False
        return True


def suggested(trial: Trial, table: Table) -> int:
    """Suggest a configuration of a table, one parameter after the other as a space does, and return its row."""
    return drawn(table, partial(_suggest, trial))


def _suggest(trial: Trial, axis: Axis) -> int:
    size = len(axis.values)
    if axis.kind == "categorical":
        return int(trial.suggest_categorical(axis.name, range(size)))
    return trial.suggest_int(axis.name, 0, size - 1)
