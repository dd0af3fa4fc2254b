"""Percentile and median pruning: a trial's best report so far must keep up with what others had at the same step.

The rules of Optuna's `PercentilePruner` and `MedianPruner`; values of COMPLETE trials are kept sorted by step.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from optuna.trial import FrozenTrial, TrialState

from search.study.pruners._rule import Heard, Pruning, PruningRule


class Percentile(PruningRule):
    """Keeps a trial while its best report is within the best `percentile` of COMPLETE trials at the same step.

    Args:
        direction: `minimize` or `maximize`.
        max_epochs: The last step.
        percentile: 25 keeps the best quarter; between 0 and 100.
        n_startup_trials: Nobody is pruned before so many trials are COMPLETE.
        n_warmup_steps: Nobody is pruned before this step.
        interval_steps: Steps between two looks.
        n_min_trials: Nobody is pruned at a step that fewer COMPLETE trials have reported.
    """

    name = "percentile"

    def __init__(
        self,
        *,
        direction: str,
        max_epochs: int,
        percentile: float = 25.0,
        n_startup_trials: int = 5,
        n_warmup_steps: int = 0,
        interval_steps: int = 1,
        n_min_trials: int = 1,
    ) -> None:
        super().__init__(direction=direction, max_epochs=max_epochs)
        if not 0 <= percentile <= 100:
            raise ValueError(f"percentile must be between 0 and 100, got {percentile}")
        if n_startup_trials < 0:
            raise ValueError(f"n_startup_trials must be at least 0, got {n_startup_trials}")
        if n_warmup_steps < 0:
            raise ValueError(f"n_warmup_steps must be at least 0, got {n_warmup_steps}")
        if interval_steps < 1:
            raise ValueError(f"interval_steps must be at least 1, got {interval_steps}")
        if n_min_trials < 1:
            raise ValueError(f"n_min_trials must be at least 1, got {n_min_trials}")
        self._percentile = percentile if direction == "minimize" else 100 - percentile
        self._n_startup_trials = n_startup_trials
        self._n_warmup_steps = n_warmup_steps
        self._interval_steps = interval_steps
        self._n_min_trials = n_min_trials
        self._complete = 0
        self._reports: Counter[int] = Counter()  # of COMPLETE trials at each step, NaN included
        self._values: defaultdict[int, list[float]] = defaultdict(list)  # the same, without NaN, rising

    @property
    def first_step(self) -> int:
        return max(self._n_warmup_steps, 1)

    def judge_at(self, step: int, trial: FrozenTrial) -> Pruning | None:
        if self._complete < max(self._n_startup_trials, 1):
            return None
        if step < self._n_warmup_steps or not self._is_first_since_last_look(step, trial):
            return None
        finite = [value for value in trial.intermediate_values.values() if not math.isnan(value)]
        if not finite:
            return Pruning(self.name, step, math.nan)
        best = min(finite) if self.sign > 0 else max(finite)
        values = self._values[step]
        if self._reports[step] < self._n_min_trials or not values:
            return None
        cutoff = quantile(values, self._percentile / 100)
        if not self.sign * best > self.sign * cutoff:
            return None
        better = bisect_left(values, best) if self.sign > 0 else len(values) - bisect_right(values, best)
        return Pruning(self.name, step, best, cutoff, better + 1, len(values) + 1)

    def settle(self, trial: FrozenTrial) -> None:
        if trial.state is not TrialState.COMPLETE:
            return
        self._complete += 1
        for step, value in trial.intermediate_values.items():
            self._reports[step] += 1
            if not math.isnan(value):
                insort(self._values[step], value)

    def replay(self, trials: Iterable[FrozenTrial], heard: Heard | None = None) -> None:  # noqa: ARG002 - reports alone leave no trace
        self._complete = 0
        self._reports.clear()
        self._values.clear()
        for trial in trials:
            self.settle(trial)

    def _is_first_since_last_look(self, step: int, trial: FrozenTrial) -> bool:
        """Tell whether no earlier report fell into the interval that `step` falls into."""
        begin = step - (step - self._n_warmup_steps) % self._interval_steps
        return all(other < begin for other in trial.intermediate_values if other != step)


class Median(Percentile):
    """Keeps a trial while its best report is no worse than the median of COMPLETE trials at the same step."""

    name = "median"

    def __init__(
        self,
        *,
        direction: str,
        max_epochs: int,
        n_startup_trials: int = 5,
        n_warmup_steps: int = 0,
        interval_steps: int = 1,
        n_min_trials: int = 1,
    ) -> None:
        super().__init__(
            direction=direction,
            max_epochs=max_epochs,
            percentile=50.0,
            n_startup_trials=n_startup_trials,
            n_warmup_steps=n_warmup_steps,
            interval_steps=interval_steps,
            n_min_trials=n_min_trials,
        )


def quantile(rising: Sequence[float], q: float) -> float:
    """Return what `numpy.quantile` gives, to the last bit, without sorting again.

    Args:
        rising: At least one value, sorted.
        q: Between 0 and 1.
    """
    place = (len(rising) - 1) * q
    below = math.floor(place)
    low, high = rising[below], rising[min(below + 1, len(rising) - 1)]
    gap, weight = high - low, place - below
    return high - gap * (1 - weight) if weight >= 0.5 else low + gap * weight
