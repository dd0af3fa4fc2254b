"""Tells when another trial is not worth its cost any more: by its expected improvement over the best so far."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from scipy.special import ndtr
from threadpoolctl import threadpool_limits

from search.plan import SweepPlan
from search.study.constraints import is_infeasible
from search.study.encoding import Encoding, widest
from search.study.gaussian import Process
from search.study.known import is_result
from search.study.record import TrialRecord

LEAST_TRIALS: Final = 20
"""Trials with a result before the first look; twice the number of parameters if that is more."""

EVERY: Final = 5
"""Ended trials between two looks."""

IN_A_ROW: Final = 3
"""Looks in a row that have to find too little."""

MOST_TRIALS: Final = 120
"""Trials that a look learns from: the best, and as many of the others; its cost grows with their cube."""

_ANYWHERE: Final = 1000
_NEARBY: Final = 400
_STEPS: Final = (0.02, 0.1)
"""Points at which the improvement is reckoned: anywhere in the space, and so far from the best trials."""

_WORST_SHOWN: Final = 3.0
"""Worse results than the median by so many times the distance from there to the best count as that."""


class Improvement:
    """Looks every few trials at how much better another one may be expected to be.

    A Gaussian process is fitted to the finished trials; expected improvement is that of Jones et al., "Efficient Global
    Optimization of Expensive Black-Box Functions" (1998), over the best *expected* result and of a result without its
    noise, so that a lucky trial neither hides nor promises anything. It is reckoned at random points that take their
    branch of a conditional space, and their choices, from a trial that was there.

    Args:
        plan: Says what gain is too little, and in which direction.
    """

    def __init__(self, plan: SweepPlan) -> None:
        assert plan.min_gain is not None
        self._gain, self._metric, self._fixed = plan.min_gain, plan.metrics[0], set(plan.fixed)
        self._sign = 1.0 if plan.directions[0] == "minimize" else -1.0
        self._seed = plan.seed
        self._since = 0
        self._low = 0  # looks in a row that found too little

    def after(
        self,
        record: TrialRecord,
        study: optuna.Study,
        *,
        shown: Callable[[FrozenTrial], FrozenTrial | None] | None = None,
    ) -> str | None:
        """Take in that a trial has ended; say why the sweep should stop, or None.

        Args:
            record: The trial.
            study: With it.
            shown: How a trial stands in the space of today, if not as it is; None if it does not.
        """
        self._since += record.same_as is None
        if self._since < EVERY:
            return None
        self._since = 0
        trials = study.get_trials(deepcopy=False)
        if shown is not None:
            trials = [one for trial in trials if (one := shown(trial)) is not None]
        found = self.expected(trials)
        self._low = self._low + 1 if found is not None and found < self._gain else 0
        if self._low < IN_A_ROW:
            return None
        return f"expected improvement of another trial is {found:.2g} {self._metric}, below --min-gain {self._gain:g}"

    def expected(self, trials: list[FrozenTrial]) -> float | None:
        """Return the largest expected improvement that was found, in the metric's unit; None with too few trials."""
        ended = [one for one in trials if is_result(one) and one.params]
        names = {name for one in ended for name in one.params}
        complete = sum(one.state is TrialState.COMPLETE for one in ended)
        if complete < max(LEAST_TRIALS, 2 * len(names - self._fixed)):
            return None
        ended, costs = self._chosen(ended)
        encoding = Encoding(widest(one.distributions for one in ended))
        rows, active = encoding.rows(one.params for one in ended), encoding.active(one.params for one in ended)
        center, scale = float(costs.mean()), float(costs.std())
        if scale == 0.0:
            return 0.0
        there = self._candidates(encoding, rows, active, costs, len(trials))
        with threadpool_limits(1):  # matrices this small take longer on several threads, the more so beside trials
            process = Process.fit(rows, (costs - center) / scale, encoding.groups)
            return float(_expected_improvement(process, there).max() * scale)

    def _chosen(self, ended: list[FrozenTrial]) -> tuple[list[FrozenTrial], np.ndarray[Any, Any]]:
        """Return the trials to learn from and their costs (lower is better), the worst ones drawn in."""
        costs = np.array([self._sign * one.values[0] for one in ended])
        whole = np.array([one.state is TrialState.COMPLETE and not is_infeasible(one.system_attrs) for one in ended])
        median = float(np.median(costs[whole] if whole.any() else costs))
        costs = np.where(whole, costs, np.maximum(costs, median))  # one that was not trained to its end was poor
        best = float(costs.min())
        costs = np.minimum(costs, median + _WORST_SHOWN * max(median - best, 0.0))
        if len(ended) > MOST_TRIALS:
            order = [int(one) for one in np.argsort(costs, kind="stable")]
            best_half, others = order[: MOST_TRIALS // 2], sorted(order[MOST_TRIALS // 2 :])
            places = np.linspace(0, len(others) - 1, MOST_TRIALS // 2).round().astype(int)
            chosen = sorted({*best_half, *(others[int(place)] for place in places)})
            return [ended[one] for one in chosen], costs[chosen]
        return ended, costs

    def _candidates(
        self,
        encoding: Encoding,
        rows: np.ndarray[Any, Any],
        active: np.ndarray[Any, Any],
        costs: np.ndarray[Any, Any],
        count: int,
    ) -> np.ndarray[Any, Any]:
        """Return points of the space, a row each."""
        random = np.random.default_rng((self._seed, count))
        free = encoding.numeric & ~encoding.columns_of(self._fixed)
        pick = random.integers(len(rows), size=_ANYWHERE)
        anywhere = np.where(active[pick] & free, random.random((_ANYWHERE, rows.shape[1])), rows[pick])
        pick = random.choice(np.argsort(costs, kind="stable")[:5], size=_NEARBY)
        far = random.choice(_STEPS, size=(_NEARBY, 1)) * random.normal(size=(_NEARBY, rows.shape[1]))
        nearby = np.where(active[pick] & free, np.clip(rows[pick] + far, 0.0, 1.0), rows[pick])
        return np.concatenate([anywhere, nearby])


def _expected_improvement(process: Process, there: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    mean, deviation = process.predict(there)
    best = float(process.predict(process.rows)[0].min())
    z = (best - mean) / deviation
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return np.asarray((best - mean) * ndtr(z) + deviation * density)
