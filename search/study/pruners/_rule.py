"""The interface of a pruner: one verdict for each report, with its reason."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

import optuna
from optuna.trial import FrozenTrial

Heard: TypeAlias = Callable[[FrozenTrial], Iterable[int]]
"""The steps of a trial at which a rule was asked, in rising order."""


@dataclass(frozen=True, slots=True)
class Pruning:
    """Why a trial was pruned.

    Attributes:
        rule: Name of the pruner.
        step: The trial's step when it was judged.
        value: What was compared, in its natural sign (of wilcoxon: the p-value).
        cutoff: What it had to reach; None where a value that is not a number was enough.
        rank: Place among those it was compared with, 1 the best; None where there is no order.
        of: How many were compared, itself included.
        rung: Step of the rung at which the trial was stopped, of pruners that have rungs.
    """

    rule: str
    step: int
    value: float
    cutoff: float | None = None
    rank: int | None = None
    of: int | None = None
    rung: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready values; what is not finite becomes None."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }


class PruningRule(optuna.pruners.BasePruner):
    """A pruner whose cost per report does not grow with the study.

    It keeps what it needs of earlier reports, so it must see all of them: `judge` for each report of each trial in the
    order they arrive, a trial's steps rising; `settle` for each trial that ended; after a restart `replay` first.

    Args:
        direction: `minimize` or `maximize`.
        max_epochs: The last step; a report there is never pruned, since nothing is left to save.
    """

    name: str

    def __init__(self, *, direction: str, max_epochs: int) -> None:
        self.sign: Final = -1.0 if direction == "maximize" else 1.0  # sign * value: lower is better
        self.max_epochs: Final = max_epochs

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Judge a trial as Optuna asks its pruners to."""
        return self.judge(study, trial) is not None

    def judge(self, study: optuna.Study, trial: FrozenTrial) -> Pruning | None:  # noqa: ARG002 - Optuna's interface
        """Take the last report of a trial in, and say why the trial should be pruned, or None."""
        step = trial.last_step
        if step is None or step >= self.max_epochs:
            return None
        return self.judge_at(step, trial)

    @property
    @abc.abstractmethod
    def first_step(self) -> int:
        """The first step at which a trial can be pruned."""

    @abc.abstractmethod
    def judge_at(self, step: int, trial: FrozenTrial) -> Pruning | None:
        """Judge a trial whose last report is at `step`, which is not the last step."""

    def settle(self, trial: FrozenTrial) -> None:
        """Take in that a trial has ended; most rules learn from reports alone."""

    @abc.abstractmethod
    def replay(self, trials: Iterable[FrozenTrial], heard: Heard | None = None) -> None:
        """Forget everything, then take in the trials of a storage: verdicts go on as if nothing had happened.

        Args:
            trials: All of them, in any state.
            heard: At which steps `judge` was asked, if not at every report before the last step.
        """

    def steps_heard(self, trial: FrozenTrial) -> list[int]:
        """Return the steps at which a trial was judged, if it was judged at every report."""
        return sorted(step for step in trial.intermediate_values if step < self.max_epochs)
