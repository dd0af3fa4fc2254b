"""A trial trained several times as a learner: one unit is one training, and its scores are the mean so far."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from search.blame import Fail
from search.folds import FoldLearner, fold_problem
from search.problem import Problem
from search.trial import TrialSpec

if TYPE_CHECKING:
    from search.session import Setting


class ReplicateLearner(FoldLearner):
    """A learner whose unit is one whole training, with seeds of its own; of a cross-validation, one fold of one.

    The rows that are held back stay the same: what differs is the randomness of the stages.

    Args:
        problem: The objective with its data.
        spec: The trial.
        setting: What of the plan concerns it.
        clock: Monotonic seconds.
        began: When the trial began, by the clock. Its replicates share its time-out.
    """

    def __init__(
        self,
        problem: Problem,
        spec: TrialSpec,
        setting: Setting,
        *,
        clock: Callable[[], float] = time.monotonic,
        began: float | None = None,
    ) -> None:
        folds = problem.folds
        super().__init__(
            setting.replicates * max(1, len(folds)),
            lambda unit: fold_problem(problem, folds[unit % len(folds)]) if folds else problem,
            spec,
            replace(setting, replicates=1),
            clock=clock,
            began=began,
        )
        self._searched = setting.searched.name
        self._folds = max(1, len(folds))
        self._counted = self._folds  # a further replicate predicts the same rows

    def fit_epoch(self) -> Mapping[str, float]:
        """Train the next unit to its end.

        Raises:
            Fail: It failed.
        """
        unit = len(self._scores)
        try:
            return super().fit_epoch()
        except Fail as fail:
            raise Fail(fail.reason, f"{self._called(unit)}: {fail.text.partition(': ')[2]}", fail.trace) from fail

    @property
    def means(self) -> dict[str, float]:
        """The mean of each score, and `<metric>_sd` of the searched one: the deviation between whole replicates."""
        values = [scores[self._searched] for scores in self._scores if self._searched in scores]
        whole = len(values) // self._folds
        means = [sum(values[one * self._folds : (one + 1) * self._folds]) / self._folds for one in range(whole)]
        if whole < 2:
            return super().means
        mean = sum(means) / whole
        spread = math.sqrt(sum((one - mean) ** 2 for one in means) / (whole - 1))
        return {**super().means, f"{self._searched}_sd": spread}

    def _called(self, unit: int) -> str:
        name = f"replicate {unit // self._folds + 1} of {self.budget // self._folds}"
        return name if self._folds == 1 else f"{name}, fold {unit % self._folds + 1} of {self._folds}"
