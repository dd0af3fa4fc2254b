"""What a free worker does next, decided from the record alone: the `Decision`.

Two voices share the decisions. Successive halving by three lets the best third of those at a rung go on (Li et al.,
"A System for Massively Parallel Hyperparameter Tuning", 2020), else begins a point drawn anywhere; it has most of the
say early, when a model of few curves may be in the wrong region, and a fifth of it for good. Otherwise a Gaussian
process over all curves weighs every resting trial against new points (see `process`), by the chance of a new best for
each step that it takes to find out. A third may be asked for: one trial at a time, of more workers some, is trained to
its end at once, as long as it may still become the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Final

import numpy as np

from search.study.auto.history import Array, History, State
from search.study.auto.points import Point, candidates
from search.study.auto.process import Numbers, Process, Rows, fitted
from search.study.auto.scale import Scale
from search.study.predicted import Predicted

STARTS: Final = 12
"""Points that are spread out over the space before anything is weighed."""

_MOST_ROWS: Final = 300
_MOST_FITTED: Final = 200
_MOST_RESTING: Final = 200
_UNIFORM: Final = 0.05
"""Share of the decisions that begin a point drawn anywhere, whatever is known."""
_EARLY: Final = 4.0
"""How long it is early: until so many times the last step have been trained."""
_LEAST_SEEN: Final = 20
"""Reports before a trial is trained to its end at once."""
HOPELESS: Final = 0.2
"""A trial that is trained to its end rests when its chance of being the best falls below this."""
_WORKERS_EACH: Final = 4
"""One trial in so many that run is trained to its end."""
_BEST: Final = 10
"""Trials whose neighbourhood is searched."""
_NORMAL_95: Final = 1.959964

Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Voices:
    """Who has how much of a say.

    Attributes:
        early: Share of the decisions that are successive halving's at first.
        late: The same later.
        finish: Whether some trials are trained to their end at once.
    """

    early: float = 0.8
    late: float = 0.2
    finish: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done next.

    Attributes:
        number: The resting trial that goes on; None: a new one is begun.
        by: Who decided: `start`, `uniform`, `halving`, `model` or `near`.
        until: The step up to which it is trained.
        finish: Whether it is trained to its end, with a look now and then.
        point: Parameters of a new trial; None: drawn anywhere.
        predicted: What is expected of it.
        among: How many candidates it was chosen from; None where nothing was weighed.
    """

    number: int | None
    by: str
    until: int
    finish: bool = False
    point: Point | None = None
    predicted: Predicted | None = None
    among: int | None = None


@dataclass(frozen=True, slots=True)
class Chance:
    """What becomes of a trial, as of now.

    Attributes:
        of_best: Probability that it becomes the best.
        to_beat: The cost that it has to be below for that.
        predicted: Its last step; None of several metrics.
    """

    of_best: float
    to_beat: float | None
    predicted: Predicted | None


@dataclass
class Situation:
    """All that a decision rests on.

    Attributes:
        history: All trials.
        numbers: Of the process, fitted before.
        fitted_rows: How many rows those were fitted to; 0: never.
        keep: Stores both, whenever they are fitted anew.
        seed: Of the sweep.
        sign: 1 where lower is better, else -1.
        fixed: Parameters that the user fixed.
        voices: Who has how much of a say.
        arriving: A trial that has come to where it is judged, and would rest.
        only_new: Whether a new trial has to be begun.
    """

    history: History
    numbers: Numbers
    fitted_rows: int
    keep: Callable[[Numbers, int], None]
    seed: int
    sign: float = 1.0
    fixed: Mapping[str, Any] = field(default_factory=dict)
    voices: Voices = Voices()
    arriving: int | None = None
    only_new: bool = False

    def decide(self) -> Decision:
        """Return what is done next."""
        random = np.random.default_rng((self.seed, self.history.decisions))
        first = self.history.ladder.first
        halves, anywhere = random.random(2)
        if len(self.history) < STARTS:
            goes_on = None if self.only_new else self._halving()
            return goes_on or Decision(None, "start", first)
        if halves < self._share_of_halving:
            goes_on = None if self.only_new else self._halving()
            return goes_on or Decision(None, "uniform", first)
        if anywhere < _UNIFORM or len(self._seen) < STARTS:
            return Decision(None, "uniform", first)
        with _one_thread():
            return self._weighed(random)

    def likeliest(self, *, at_least_one: bool) -> Decision | None:
        """Return which resting trial is to be trained to its end when nothing new can be begun; None if none is.

        Args:
            at_least_one: Whether somebody has to be, however small the chance of becoming the best.
        """
        resting = self._resting_candidates
        chances = self.chances(resting)
        if not chances:
            lowest = int(resting[np.argmin(self._lowest[resting])]) if at_least_one and len(resting) else None
            return None if lowest is None else self.to_the_end(lowest)
        best = max(resting.tolist(), key=lambda number: chances[number].of_best)
        if not at_least_one and chances[best].of_best < HOPELESS:
            return None
        return self.to_the_end(best, chances[best].predicted)

    def to_the_end(self, number: int, predicted: Predicted | None = None) -> Decision:
        """Return that a trial goes on, as one that is trained to its end."""
        until = self.history.ladder.next_check(int(self.history.last[number]))
        return Decision(number, "finish", until, finish=True, predicted=predicted)

    def chances(self, numbers: Array) -> dict[int, Chance]:
        """Return what becomes of each of these trials; {} while too little is known."""
        from scipy.special import ndtr

        if len(self._seen) < STARTS or not len(numbers):
            return {}
        with _one_thread():
            process = self._process
            if process is None:
                return {}
            last, begun = self.history.ladder.last, self._modelled
            leads, _ = process.predict(self._rows_of(begun, last))
            parts = np.array_split(numbers, -(-len(numbers) // 500))
            found = [process.predict(self._rows_of(part, last)) for part in parts]
        mean, spread = (np.concatenate(one) for one in zip(*found, strict=True))
        order = np.argsort(leads, kind="stable")
        lowest, seen = [begun[place] for place in order[:2]], float(self._values.min())
        told: dict[int, Chance] = {}
        for number, its_mean, its_spread in zip(numbers.tolist(), mean.tolist(), spread.tolist(), strict=True):
            other = order[1 if len(order) > 1 and lowest[0] == number else 0]  # the best of the others
            leader = min(seen, float(leads[other]) if begun[other] != number else math.inf)
            of_best = float(ndtr((leader - its_mean) / its_spread))
            to_beat = self.sign * self._scale.back(leader) if self._is_single else None
            told[number] = Chance(of_best, to_beat, self._predicted(last, its_mean, its_spread, process.noise))
        return told

    # --- successive halving ---

    @cached_property
    def _share_of_halving(self) -> float:
        is_early = float(self.history.last.sum()) < _EARLY * self.history.ladder.last
        return self.voices.early if is_early else self.voices.late

    def _halving(self) -> Decision | None:
        """Return the resting trial of the highest rung that is among the best third there; None if there is none."""
        history, ladder = self.history, self.history.ladder
        resting = self._resting
        for rung in reversed(ladder.halving):
            there = history.last >= rung
            mine = resting[(history.last[resting] >= rung) & (history.last[resting] < ladder.next_halving(rung))]
            there &= history.state != State.HIDDEN
            if not len(mine):
                continue
            costs = self._at_rung(rung)
            best = mine[np.lexsort((mine, costs[mine]))[0]]
            if math.isfinite(costs[best]) and np.sum(costs[there] < costs[best]) < int(there.sum()) // 3:
                return Decision(int(best), "halving", ladder.next_halving(int(history.last[best])))
        return None

    def _at_rung(self, rung: int) -> Array:
        """Return each trial's first cost at a rung or after it."""
        found = np.full(len(self.history), math.nan)
        for place in range(self.history.ladder.rung_of(rung), self._costs.shape[1]):
            found = np.where(np.isnan(found), self._costs[:, place], found)
        return np.where(np.isnan(found), math.inf, found)

    # --- the model ---

    def _weighed(self, random: Random) -> Decision:
        from scipy.special import log_ndtr

        history, ladder, process = self.history, self.history.ladder, self._process
        if process is None:
            return Decision(None, "uniform", ladder.first)
        finish = self._is_to_finish
        horizon = self._horizon(random, finish=finish)
        ease = 10.0 ** random.uniform(-2.0, -0.5 if finish else 0.0)
        new = candidates(history, self._best.tolist(), self.fixed, random)
        resting = np.zeros(0, int) if self.only_new else self._resting_candidates
        begun = self._modelled
        everyone = np.concatenate([begun, resting])
        done = np.concatenate([history.last[everyone], np.zeros(len(new.points), int)])
        until = np.clip(np.maximum(horizon, done + 1), 1, ladder.last)
        fresh = Rows(history.rows(new.points), np.zeros(len(new.points)), -1 - np.arange(len(new.points)))
        rows = self._rows_of(everyone, ladder.last)
        points = np.concatenate([rows.points, fresh.points])
        trials = np.concatenate([rows.trials, fresh.trials])
        mean, spread = process.predict(Rows(points, np.log(until), trials))
        target = min(float(self._values.min()), float(mean[: len(begun)].min(initial=math.inf))) - ease
        scores = log_ndtr((target - mean) / spread) - np.log(until - done + 1.0)
        scores[: len(begun)] = -math.inf
        for place in np.argsort(-scores, kind="stable"):
            at = int(place)
            told = self._predicted(int(until[at]), float(mean[at]), float(spread[at]), process.noise)
            among = len(resting) + len(new.points)
            if at < len(everyone):
                number = int(everyone[at])
                goes_to = (ladder.next_check if finish else ladder.next_rung)(int(history.last[number]))
                return Decision(number, "model", goes_to, finish, predicted=told, among=among)
            point = new.points[at - len(everyone)]
            if not history.is_tried(point):
                by = "near" if at >= len(mean) - new.near else "model"
                goes_to = ladder.next_check(0) if finish else ladder.first
                return Decision(None, by, goes_to, finish, dict(point), told, among)
        return Decision(None, "uniform", ladder.first)

    def _horizon(self, random: Random, *, finish: bool) -> int:
        """Return the step at which candidates are compared: where curves peak early the last one tells too little."""
        last = self.history.ladder.last
        drawn, earlier = random.random(), int(random.integers(max(2, last // 3), last + 1)) if last > 2 else last
        return last if finish or drawn < 0.5 else earlier

    @property
    def _is_to_finish(self) -> bool:
        """Tell whether who is chosen now is trained to its end."""
        if not self.voices.finish or len(self._seen) < _LEAST_SEEN:
            return False
        held = self.history.state == State.HELD
        if self.arriving is not None:
            held = held.copy()
            held[self.arriving] = False
        return int((self.history.finishes & held).sum()) < max(1, (int(held.sum()) + 1) // _WORKERS_EACH)

    @cached_property
    def _process(self) -> Process | None:
        """The process after all that is known; None if its rows do not go with its numbers."""
        rows, names, groups = self._rows, self.history.names, self.history.groups
        if self._is_to_be_fitted:
            chosen = self._to_fit
            self.numbers = fitted(self.numbers, rows.only(chosen), self._values[chosen], names, groups)
            self.fitted_rows = len(self._seen)
            self.keep(self.numbers, self.fitted_rows)
        try:
            return Process(self.numbers, rows, self._values, names, groups)
        except np.linalg.LinAlgError:
            return None

    @property
    def _is_to_be_fitted(self) -> bool:
        seen, before = len(self._seen), self.fitted_rows
        return not before or (before < _MOST_ROWS and seen >= before * 1.25 + 4)

    @property
    def _to_fit(self) -> Array:
        """Places of the rows that it is fitted to, evenly drawn from all."""
        count = len(self._rows)
        return np.unique(np.linspace(0, count - 1, min(count, _MOST_FITTED)).round().astype(int))

    # --- what is known ---

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
        low, high = np.nanmin(told, axis=(0, 1)), np.nanquantile(told, 0.75, axis=(0, 1))
        shares = weights * (costs - low) / np.where(high > low, high - low, 1.0)
        return np.asarray(shares.max(axis=2) + 0.05 * shares.sum(axis=2))

    @property
    def _is_single(self) -> bool:
        return bool(self.history.costs.shape[2] == 1)

    @cached_property
    def _lowest(self) -> Array:
        """Each trial's lowest cost; infinite where there is none."""
        found = np.where(np.isnan(self._costs), math.inf, self._costs).min(axis=1)
        return np.where(self.history.state == State.HIDDEN, math.inf, found)

    @cached_property
    def _seen(self) -> Array:
        """(reports, 2): trial and rung of every report."""
        return np.argwhere(~np.isnan(self._costs) & (self.history.state != State.HIDDEN)[:, None])

    @cached_property
    def _chosen(self) -> Array:
        """(rows, 2): trial and rung of the reports that the process sees: those of the best trials, and some others."""
        seen = self._seen
        if len(seen) <= _MOST_ROWS:
            return seen
        order = np.argsort(self._lowest[seen[:, 0]], kind="stable")
        most = _MOST_ROWS * 2 // 3
        rest = np.sort(order[most:])
        others = rest[np.linspace(0, len(rest) - 1, _MOST_ROWS - most).round().astype(int)]
        return np.asarray(seen[np.concatenate([np.sort(order[:most]), others])])

    @cached_property
    def _rows(self) -> Rows:
        trials, rungs = self._chosen.T
        return Rows(self.history.points[trials], np.log(np.maximum(self.history.steps[trials, rungs], 1)), trials)

    @cached_property
    def _scaled(self) -> tuple[Scale, Array]:
        trials, rungs = self._chosen.T
        return Scale.of(self._costs[trials, rungs])

    @property
    def _scale(self) -> Scale:
        return self._scaled[0]

    @property
    def _values(self) -> Array:
        return self._scaled[1]

    @cached_property
    def _modelled(self) -> Array:
        """Trials that the process has a row of."""
        return np.unique(self._chosen[:, 0])

    @cached_property
    def _best(self) -> Array:
        begun = self._modelled
        return begun[np.lexsort((begun, self._lowest[begun]))[:_BEST]]

    @property
    def resting(self) -> list[int]:
        """The trials that rest."""
        return [int(one) for one in self._resting]

    def is_among_the_best_third(self, number: int) -> bool:
        """Tell whether a trial is among the best third of those that came as far."""
        costs = self._at_rung(int(self.history.last[number]))
        there = np.isfinite(costs) & (self.history.state != State.HIDDEN)
        return bool(np.sum(costs[there] < costs[number]) < max(int(there.sum()) // 3, 1))

    @cached_property
    def _resting(self) -> Array:
        rests = self.history.state == State.RESTING
        if self.arriving is not None:
            rests = rests.copy()
            rests[self.arriving] = True
        return np.flatnonzero(rests & (self.history.last < self.history.ladder.last))

    @cached_property
    def _resting_candidates(self) -> Array:
        """Those that are weighed: of many, the best by their lowest cost, and the newest."""
        resting = self._resting
        if len(resting) <= _MOST_RESTING:
            return resting
        best = resting[np.argsort(self._lowest[resting], kind="stable")[: _MOST_RESTING * 3 // 4]]
        return np.unique(np.concatenate([best, resting[-(_MOST_RESTING // 4) :]]))

    def _rows_of(self, numbers: Array, step: int) -> Rows:
        return Rows(self.history.points[numbers], np.full(len(numbers), math.log(step)), numbers)

    def _predicted(self, step: int, mean: float, spread: float, noise: float) -> Predicted | None:
        if not self._is_single:
            return None
        around = _NORMAL_95 * math.sqrt(spread**2 + noise)
        low, value, high = (self._scale.back(one) for one in (mean - around, mean, mean + around))
        if self.sign < 0:
            low, value, high = -high, -value, -low
        return Predicted(step, value, low, high)


def _one_thread() -> Any:
    """Matrices this small take longer on several threads, the more so beside trials."""
    return _pools().limit(limits=1)


@cache
def _pools() -> Any:
    import scipy.linalg  # noqa: F401 - whose threads are limited
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
