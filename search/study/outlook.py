"""What more trials of a study are expected to gain, by a process over those that have ended: the `Outlook`."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from optuna.trial import FrozenTrial, TrialState
from scipy.special import ndtr
from threadpoolctl import threadpool_limits

from search.plan import SweepPlan
from search.study.constraints import is_infeasible
from search.study.encoding import Encoding, widest
from search.study.gaussian import Process
from search.study.known import is_result

LEAST_TRIALS: Final = 20
"""Completed trials before the first look; twice as many as a trial has free parameters if that is more."""

MOST_TRIALS: Final = 120
"""Trials that a look learns from: the best, and as many of the others; its cost grows with their cube."""

AHEAD: Final = 10
"""Trials that `Outlook.ahead` looks ahead."""

_ANYWHERE: Final = 1000
_NEARBY: Final = 400
_STEPS: Final = (0.02, 0.1)
"""Points at which the improvement is reckoned: anywhere in the space, and so far from the best trials."""

PROMISING: Final = 200
"""Of those points, the best, among which the next trials are chosen."""

DRAWS: Final = 256
"""Functions that they are judged by."""

_WORST_SHOWN: Final = 0.5
"""Worse results than the median by so many times the distance from there to the best count as that.

How poor the poor ones are says nothing of how good the good ones can get, and would be taken for the size of what is to
be gained."""


class Outlook(NamedTuple):
    """What is expected of more trials, in the metric's unit.

    Attributes:
        next: Largest expected improvement of another trial that was found.
        ahead: That of the next `AHEAD` trials together.
        noise: Standard deviation of a result around what is expected of its parameters.
    """

    next: float
    ahead: float
    noise: float


class Foresight:
    """Reckons how much better another trial, and some more, may be expected to be.

    A Gaussian process is fitted to the finished trials; expected improvement is that of Jones et al., "Efficient Global
    Optimization of Expensive Black-Box Functions" (1998), over the best *expected* result and of a result without its
    noise, so that a lucky trial neither hides nor promises anything. It is reckoned at random points that take their
    branch of a conditional space, and their choices, from a trial that was there. Several trials are chosen one after
    the other, each for what it adds to those before in functions that the process allows (Wilson, Hutter, Deisenroth,
    "Maximizing Acquisition Functions for Bayesian Optimization", 2018).

    Args:
        plan: Says in which direction, and what is fixed.
    """

    def __init__(self, plan: SweepPlan) -> None:
        self._fixed, self._seed = set(plan.fixed), plan.seed
        self._sign = 1.0 if plan.directions[0] == "minimize" else -1.0

    def of(self, trials: list[FrozenTrial]) -> Outlook | None:
        """Return what is expected after these trials; None with too few of them."""
        ended = [one for one in trials if is_finite(one) and one.params]
        free = max((len(one.params.keys() - self._fixed) for one in ended), default=0)
        complete = sum(one.state is TrialState.COMPLETE for one in ended)
        if complete < max(LEAST_TRIALS, 2 * free):
            return None
        ended, costs = self._chosen(ended)
        encoding = Encoding(widest(one.distributions for one in ended))
        rows, active = encoding.rows(one.params for one in ended), encoding.active(one.params for one in ended)
        center, scale = float(costs.mean()), float(costs.std())
        if scale == 0.0:
            return Outlook(0.0, 0.0, 0.0)
        there = self._candidates(encoding, rows, active, costs, len(trials))
        with threadpool_limits(1):  # matrices this small take longer on several threads, the more so beside trials
            process = Process.fit(rows, (costs - center) / scale, encoding.groups)
            improvement = _expected_improvement(process, there)
            promising = there[np.argsort(-improvement, kind="stable")[:PROMISING]]
            drawn = process.draw(promising, DRAWS, np.random.default_rng((self._seed, len(trials), AHEAD)))
            ahead = of_several(np.maximum(_best_expected(process) - drawn, 0.0))
        found = float(improvement.max())
        return Outlook(found * scale, max(found, ahead) * scale, math.sqrt(process.noise) * scale)

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


def is_finite(trial: FrozenTrial) -> bool:
    """Tell whether a trial came to a result of its own that can be reckoned with; other programs may store infinity."""
    return is_result(trial) and math.isfinite(trial.values[0])


def _expected_improvement(process: Process, there: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    mean, deviation = process.predict(there)
    best = _best_expected(process)
    z = (best - mean) / deviation
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return np.asarray((best - mean) * ndtr(z) + deviation * density)


def of_several(gains: np.ndarray[Any, Any]) -> float:
    """Return the expected gain of `AHEAD` trials, chosen one after the other.

    Args:
        gains: Of each trial in each of some draws, (draws, trials), none below 0.
    """
    reached = np.zeros(len(gains))
    for _ in range(AHEAD):
        best = int(np.maximum(gains, reached[:, None]).mean(axis=0).argmax())
        reached = np.maximum(reached, gains[:, best])
    return float(reached.mean())


def _best_expected(process: Process) -> float:
    return float(process.predict(process.rows)[0].min())
