"""All that a decision of `auto` rests on: the trials as a process sees them, and what it says of them, the `Known`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Final

import numpy as np

from search.study.auto.history import Array, History, State
from search.study.auto.points import Point
from search.study.auto.process import Numbers, Process, Rows, fitted
from search.study.auto.scale import Scale, width_of
from search.study.front import dominated
from search.study.predicted import Predicted

FEWEST: Final = 12
"""Reports before anything is weighed."""

_MOST_ROWS: Final = 300
_MOST_FITTED: Final = 200
_MOST_RESTING: Final = 200
_BEST: Final = 10
"""Trials whose neighbourhood is searched."""
_NORMAL_95: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Chance:
    """What becomes of a trial, as of now.

    Attributes:
        of_best: Probability that it becomes the best: by its last step, or by what it has seen; with several metrics 1
            of those that are on the front as it stands.
        expected: What it comes to as the process sees it; lower is better.
        to_beat: The value that it has to be better than for that; None of several metrics.
        predicted: Its last step; None of several metrics.
    """

    of_best: float
    expected: float
    to_beat: float | None
    predicted: Predicted | None


@dataclass
class Known:
    """What is known of a study.

    Attributes:
        history: All trials.
        numbers: Of the process, fitted before.
        fitted_rows: How many reports there were when those were fitted; 0: they never were.
        keep: Stores both, whenever they are fitted anew.
        seed: Of the sweep.
        sign: 1 where lower is better, else -1.
        fixed: Parameters that the user fixed.
        arriving: A trial that has come to where it is judged, and would rest.
        preparing: Steps that preparing rows anew takes as long as.
        best_counts: Whether a trial's value is the best that it reports, rather than the last.
    """

    history: History
    numbers: Numbers
    fitted_rows: int
    keep: Callable[[Numbers, int], None]
    seed: int
    sign: float = 1.0
    fixed: Mapping[str, Any] = field(default_factory=dict)
    arriving: int | None = None
    preparing: int = 0
    best_counts: bool = False

    @property
    def tells(self) -> bool:
        """Whether enough was reported to weigh anything."""
        return len(self.seen) >= FEWEST and bool(np.isfinite(self.lowest).any())

    @cached_property
    def process(self) -> Process | None:
        """The process after all that is known; None if its rows do not go with its numbers."""
        rows, names, groups = self.rows, self.history.names, self.history.groups
        if self._is_to_be_fitted:
            chosen = self._to_fit
            self.numbers = fitted(self.numbers, rows.only(chosen), self.values[chosen], names, groups)
            self.fitted_rows = len(self.seen)
            self.keep(self.numbers, self.fitted_rows)
        try:
            return Process(self.numbers, rows, self.values, names, groups)
        except np.linalg.LinAlgError:
            return None

    @property
    def is_weighed(self) -> bool:
        """Whether the process has been asked already: what it says of one more trial costs little then."""
        return "process" in self.__dict__

    @property
    def _is_to_be_fitted(self) -> bool:
        seen, before = len(self.seen), self.fitted_rows
        return not before or seen >= before * 1.25 + 4

    @property
    def _to_fit(self) -> Array:
        """Places of the rows that it is fitted to, evenly drawn from all."""
        count = len(self.rows)
        return np.unique(np.linspace(0, count - 1, min(count, _MOST_FITTED)).round().astype(int))

    def chances(self, numbers: Array) -> dict[int, Chance]:
        """Return what becomes of each of these trials; {} while too little is known."""
        from scipy.special import ndtr

        if not self.tells or not len(numbers):
            return {}
        with one_thread():
            process = self.process
            if process is None:
                return {}
            last, begun = self.history.ladder.last, self.modelled
            leads, _ = process.predict(self.rows_of(begun, last))
            leads = np.where(self.history.lost[begun], math.inf, leads)
            parts = np.array_split(numbers, -(-len(numbers) // 500))
            found = [process.predict(self.rows_of(part, last)) for part in parts]
        mean, spread = (np.concatenate(one) for one in zip(*found, strict=True))
        order = np.argsort(leads, kind="stable")
        expected = begun[order[:2]]  # to be the best ones
        told: dict[int, Chance] = {}
        front = self._are_on_the_front(numbers)
        asked = zip(numbers.tolist(), mean.tolist(), spread.tolist(), front, strict=True)
        for number, its_mean, its_spread, is_on_it in asked:
            other = order[1 if len(order) > 1 and expected[0] == number else 0]  # the best of the others
            had, others = self._had(number)
            leader = min(others, float(leads[other]) if begun[other] != number else math.inf)
            of_best = 1.0 if had < leader or is_on_it else float(ndtr((leader - its_mean) / its_spread))
            is_known = self._is_single and math.isfinite(leader)
            to_beat = self.sign * self.scale.back(leader) if is_known else None
            predicted = self.predicted(last, its_mean, its_spread, process.noise)
            told[number] = Chance(of_best, min(its_mean, had), to_beat, predicted)
        return told

    def _had(self, number: int) -> tuple[float, float]:
        """Return the place on the scale of what a trial comes to at least, and the lowest that others have seen.

        Of equals the first one is the best. Where the last report counts, nothing is certain, and all have seen.
        """
        places, order = self._places
        if not self.best_counts:
            return math.inf, float(self.values.min())
        others = order[1 if order[0] == number else 0] if len(order) > 1 else number
        had, lowest = float(places[number]), float(places[others]) if others != number else math.inf
        return had, math.nextafter(lowest, math.inf) if had == lowest and number == order[0] else lowest

    @cached_property
    def _places(self) -> tuple[Array, Array]:
        """Each trial's lowest cost as a place on the scale; the two that have the lowest, of equals who ended."""
        may_win = np.isfinite(self.lowest) & ~self.history.lost
        places = np.where(may_win, self.scale.at(self.lowest), math.inf)
        goes_on = self.history.state != State.ENDED
        return places, np.lexsort((goes_on, places))[:2]

    def _are_on_the_front(self, numbers: Array) -> list[bool]:
        """Tell which trials no other one dominates, by what they come to if they end now; of one metric none."""
        if self._is_single:
            return [False] * len(numbers)
        costs = self.history.costs
        first = np.where(np.isnan(costs[:, :, 0]), math.inf, costs[:, :, 0])
        told = ~np.isnan(costs[:, :, 0])
        last = costs.shape[1] - 1 - np.argmax(told[:, ::-1], axis=1)
        rungs = np.argmin(first, axis=1) if self.best_counts else last  # a trial's values are those of one step
        values = costs[np.arange(len(costs)), rungs]
        values = np.where(np.isnan(values) | self.history.lost[:, None], math.inf, values)
        mine, others = values[numbers], values[self.history.state != State.HIDDEN]
        is_worse = dominated(mine, others) | ~np.isfinite(mine).all(axis=1)
        return [not one for one in is_worse.tolist()]

    def is_among_the_best_third(self, number: int) -> bool:
        """Tell whether a trial is among the best third of those that came as far."""
        costs = self.at_rung(int(self.history.last[number]))
        there = np.isfinite(costs) & (self.history.state != State.HIDDEN)
        return bool(np.sum(costs[there] < costs[number]) < max(int(there.sum()) // 3, 1))

    def at_rung(self, rung: int) -> Array:
        """Return each trial's first cost at a rung or after it."""
        found = np.full(len(self.history), math.nan)
        for place in range(self.history.ladder.rung_of(rung), self._costs.shape[1]):
            found = np.where(np.isnan(found), self._costs[:, place], found)
        return np.where(np.isnan(found), math.inf, found)

    @cached_property
    def _costs(self) -> Array:
        """(trials, rungs): one cost of each report; of several metrics weighed at random, another way each decision.

        As in Knowles, "ParEGO" (2006): the augmented Chebyshev distance from the best of each metric.
        """
        costs = self.history.costs
        if self._is_single:
            return costs[:, :, 0]
        random = np.random.default_rng((self.seed, self.history.decisions, costs.shape[2]))
        weights = random.dirichlet(np.ones(costs.shape[2]))
        told = np.where(np.isfinite(costs), costs, math.nan)
        if np.isnan(told).all():
            return costs[:, :, 0]
        columns = [found if len(found := one[np.isfinite(one)]) else np.zeros(1) for one in np.moveaxis(told, 2, 0)]
        shares = weights * (costs - [one.min() for one in columns]) / [width_of(one) for one in columns]
        return np.asarray(shares.max(axis=2) + 0.05 * shares.sum(axis=2))

    @property
    def _is_single(self) -> bool:
        return bool(self.history.costs.shape[2] == 1)

    @cached_property
    def lowest(self) -> Array:
        """Each trial's lowest cost; infinite where there is none."""
        found = np.where(np.isnan(self._costs), math.inf, self._costs).min(axis=1)
        return np.where(self.history.state == State.HIDDEN, math.inf, found)

    @cached_property
    def seen(self) -> Array:
        """(reports, 2): trial and rung of every report."""
        return np.argwhere(~np.isnan(self._costs) & (self.history.state != State.HIDDEN)[:, None])

    @property
    def seen_best(self) -> tuple[int, int]:
        """Trial and rung of the best report."""
        trial, rung = self._chosen[int(np.argmin(self.values))].tolist()
        return trial, rung

    @cached_property
    def _chosen(self) -> Array:
        """(rows, 2): trial and rung of the reports that the process sees: those of the best trials, and some others."""
        seen = self.seen
        if len(seen) <= _MOST_ROWS:
            return seen
        most = _MOST_ROWS // 3
        trials, firsts, counts = np.unique(seen[:, 0], return_index=True, return_counts=True)
        order = np.argsort(self.lowest[trials], kind="stable")[:most]  # each has a row at least
        best = np.concatenate([np.arange(firsts[one], firsts[one] + counts[one]) for one in order])[:most]
        is_best = np.zeros(len(seen), bool)
        is_best[best] = True
        rest = np.flatnonzero(~is_best)
        others = rest[np.linspace(0, len(rest) - 1, _MOST_ROWS - most).round().astype(int)]
        return np.asarray(seen[np.concatenate([np.sort(best), others])])

    @cached_property
    def rows(self) -> Rows:
        trials, rungs = self._chosen.T
        logs = np.log(np.maximum(self.history.steps[trials, rungs], 1))
        return Rows(self.history.points[trials], logs, trials, self.history.branches[trials])

    @cached_property
    def _scaled(self) -> tuple[Scale, Array]:
        trials, rungs = self._chosen.T
        return Scale.of(self._costs[trials, rungs])

    @property
    def scale(self) -> Scale:
        return self._scaled[0]

    @property
    def values(self) -> Array:
        return self._scaled[1]

    @cached_property
    def modelled(self) -> Array:
        """Trials that the process has a row of."""
        return np.unique(self._chosen[:, 0])

    @cached_property
    def best(self) -> Array:
        begun = self.modelled
        return begun[np.lexsort((begun, self.lowest[begun]))[:_BEST]]

    @cached_property
    def resting(self) -> Array:
        rests = self.history.state == State.RESTING
        if self.arriving is not None:
            rests = rests.copy()
            rests[self.arriving] = True
        return np.flatnonzero(rests & (self.history.last < self.history.ladder.last))

    @cached_property
    def resting_candidates(self) -> Array:
        """Those that are weighed: of many, the best by their lowest cost, and the newest."""
        resting = self.resting
        if len(resting) <= _MOST_RESTING:
            return resting
        best = resting[np.argsort(self.lowest[resting], kind="stable")[: _MOST_RESTING * 3 // 4]]
        return np.unique(np.concatenate([best, resting[-(_MOST_RESTING // 4) :]]))

    def rows_of(self, numbers: Array, step: int) -> Rows:
        logs = np.full(len(numbers), math.log(step))
        return Rows(self.history.points[numbers], logs, numbers, self.history.branches[numbers])

    def rows_at(self, points: Sequence[Point], step: int) -> Rows:
        """Return rows of points that nobody tried, each a trial of its own."""
        count = len(points)
        branches = np.array([self.history.branch_of(point) for point in points], int)
        return Rows(self.history.rows(points), np.full(count, math.log(step)), -1 - np.arange(count), branches)

    def predicted(self, step: int, mean: float, spread: float, noise: float) -> Predicted | None:
        if not self._is_single:
            return None
        around = _NORMAL_95 * math.sqrt(spread**2 + noise)
        low, value, high = (self.scale.back(one) for one in (mean - around, mean, mean + around))
        if self.sign < 0:
            low, value, high = -high, -value, -low
        is_open = self.scale.is_poor(mean + around)
        return Predicted(step, value, low, high, open_end=("low" if self.sign < 0 else "high") if is_open else "")


def one_thread() -> Any:
    """Matrices this small take longer on several threads, the more so beside trials."""
    return _pools().limit(limits=1)


@cache
def _pools() -> Any:
    import scipy.linalg  # noqa: F401 - whose threads are limited
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
