"""What a sweep may spend, what it has spent, and the sentence that says which limit ended it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from search.plan import SweepPlan


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of a sweep over the study's whole life; None means no limit."""

    trials: int | None = None
    seconds: float | None = None
    epochs: int | None = None
    cpu_hours: float | None = None
    gpu_hours: float | None = None
    max_failures: int | None = None
    plateau: int | None = None
    until: float | None = None
    maximize: bool = False

    @property
    def limits_costs(self) -> bool:
        """Whether there is a limit of what the sweep may cost, however many trials that is."""
        return any((self.seconds, self.epochs, self.cpu_hours, self.gpu_hours))

    @classmethod
    def of(cls, plan: SweepPlan) -> Budget:
        """Return the limits that a plan sets."""
        return cls(
            trials=plan.trials,
            seconds=plan.time_s,
            epochs=plan.epochs,
            cpu_hours=plan.cpu_hours,
            gpu_hours=plan.gpu_hours,
            max_failures=plan.max_failures,
            plateau=plan.plateau,
            until=plan.until,
            maximize=plan.directions[0] == "maximize",
        )


@dataclass(frozen=True, slots=True)
class Spent:
    """What has been spent.

    Attributes:
        trials: Ended trials that count: COMPLETE, PRUNED, and FAIL of the configuration.
        seconds: Time that all runs of the sweep took.
        epochs: Steps reported on the sweep's scale.
        trial_s: Seconds that trials held their workers.
        gpu_s: Those times the GPUs that each had; None where all have what the plan says.
        failures_in_a_row: FAIL trials of the configuration since the last one that was none.
        lost_in_a_row: Trials given up because their workers were lost, since the last one that ended otherwise.
        since_best: Ended trials since the best one, and younger ones that rest.
        best: Value of the best one, None before there is any.
    """

    trials: int = 0
    seconds: float = 0.0
    epochs: int = 0
    trial_s: float = 0.0
    gpu_s: float | None = None
    failures_in_a_row: int = 0
    lost_in_a_row: int = 0
    since_best: int = 0
    best: float | None = None


_LATE: Final = 0.5
"""Share of a limit that is used before anybody asks what is left."""

LOST_LIMIT = 5
"""Trials in a row whose workers died on every attempt before the sweep is given up."""


def exhausted(budget: Budget, spent: Spent, *, cpus: float, gpus: float) -> str | None:
    """Say which limit has been reached, be it an end or a cost; running trials should stop.

    Args:
        budget: The limits.
        spent: What has been spent.
        cpus: Of each trial.
        gpus: Of each trial.
    """
    return reached(budget, spent) or next(iter(used_up(budget, spent, cpus=cpus, gpus=gpus).values()), None)


def reached(budget: Budget, spent: Spent) -> str | None:
    """Say why the search has come to its end, whatever more it might cost, if it has."""
    if budget.until is not None and spent.best is not None:
        reached = spent.best >= budget.until if budget.maximize else spent.best <= budget.until
        if reached:
            return f"the best is {spent.best:.6g}, which reaches --until {budget.until:g}"
    if budget.trials is not None and spent.trials >= budget.trials:
        if spent.trials > budget.trials:  # an edit has set the limit below what there was
            return f"{spent.trials} trials, and --trials is {budget.trials}"
        return f"{spent.trials} of {budget.trials} trials"
    if budget.plateau is not None and spent.since_best >= budget.plateau:
        return f"the best has not moved for {spent.since_best} trials"
    return None


def used_up(budget: Budget, spent: Spent, *, cpus: float, gpus: float) -> dict[str, str]:
    """Say what there is no more of, by limit: its name in a plan; the arguments are those of `exhausted`."""
    found = {}
    if budget.seconds is not None and spent.seconds >= budget.seconds:
        found["time_s"] = f"the time budget of {budget.seconds:g} s is used up"
    if budget.epochs is not None and spent.epochs >= budget.epochs:
        found["epochs"] = f"{spent.epochs} of {budget.epochs} epochs"
    hours = spent.trial_s / 3600
    if budget.cpu_hours is not None and hours * cpus >= budget.cpu_hours:
        found["cpu_hours"] = f"{hours * cpus:.3g} of {budget.cpu_hours:g} CPU hours"
    gpu_hours = hours * gpus if spent.gpu_s is None else spent.gpu_s / 3600
    if budget.gpu_hours is not None and gpu_hours >= budget.gpu_hours:
        found["gpu_hours"] = f"{gpu_hours:.3g} of {budget.gpu_hours:g} GPU hours"
    return found


def steps_left(budget: Budget, spent: Spent, *, cpus: float, gpus: float) -> tuple[float, float]:
    """Estimate how many more steps of all trials together fit into what the sweep may still cost.

    What a step costs is what those up to now have cost on average.

    Args:
        budget: The limits.
        spent: What has been spent.
        cpus: Of each trial.
        gpus: Of each trial.

    Returns:
        By the limits that a trial that waits does not use, and by all; infinity while less than half of each limit is
        used, or where there is none.
    """
    gpu_s = spent.trial_s * gpus if spent.gpu_s is None else spent.gpu_s
    shared = (
        (spent.epochs, budget.epochs),
        (spent.trial_s * cpus / 3600, budget.cpu_hours),
        (gpu_s / 3600, budget.gpu_hours),
    )
    lefts = [_steps_left(spent.epochs, used, limit) for used, limit in shared]
    return min(lefts), min(*lefts, _steps_left(spent.epochs, spent.seconds, budget.seconds))


def _steps_left(steps: int, used: float, limit: float | None) -> float:
    return steps * (limit / used - 1) if limit and used >= _LATE * limit else math.inf


def hopeless(budget: Budget, spent: Spent) -> str | None:
    """Say why going on is pointless, if it is."""
    if budget.max_failures is not None and spent.failures_in_a_row >= budget.max_failures:
        return f"{spent.failures_in_a_row} trials in a row failed"
    if spent.lost_in_a_row >= LOST_LIMIT:
        return f"the workers of {spent.lost_in_a_row} trials in a row were lost on every attempt"
    return None


def room_for_one(budget: Budget, spent: Spent, *, besides: int) -> bool:
    """Tell whether one more trial can be given out beside so many that have not ended, which will count, too."""
    return budget.trials is None or spent.trials + besides < budget.trials
