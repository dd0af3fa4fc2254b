"""What a free worker does next, decided from the record alone: the `Decision`.

Two voices share the decisions. Successive halving by three lets the best third of those at a rung go on (Li et al.,
"A System for Massively Parallel Hyperparameter Tuning", 2020), else begins a point drawn anywhere; it has most of the
say early, when a model of few curves may be in the wrong region, and a fifth of it for good. Otherwise a Gaussian
process over all curves weighs every resting trial against new points (see `process`), by the chance of a new best for
each step that it takes to find out, and one time in eight by what is expected of it alone; where nobody has a chance,
it is halving's turn. Once all trials are begun, those that may still become the best are trained to their end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from search.study.auto.history import FINISH, NO_CHANCE, SAFE, State
from search.study.auto.known import Known, one_thread
from search.study.auto.points import Point, candidates
from search.study.predicted import Predicted

STARTS: Final = 12
"""Points that are spread out over the space before anything is weighed."""

_UNIFORM: Final = 0.05
"""Share of the decisions that begin a point drawn anywhere, whatever is known."""
_EARLY: Final = 4.0
"""How long it is early: until so many times the last step have been trained."""
_HOPE: Final = -4.0
"""Deviations between a candidate and a new best, beyond which it has no chance to speak of (0.003 %)."""
_LEAST_GAIN: Final = 0.01
"""How much better a new best has to be at least, in deviations of what was seen."""
_LIKELIEST: Final = 0.125
"""Share of the model's decisions that are for whoever is expected to be best, whatever its chance and the effort."""
_BLIND: Final = 0.25
"""Share of the points drawn anywhere for which it does not count where trials failed."""
_REDRAWN: Final = 20
"""Of the others: how many are drawn at most until one is not where trials fail."""
_MOST_NEAR: Final = 500
"""The newest trials among which the nearest is looked for."""
HOPELESS: Final = 0.2
"""A trial that is trained to its end rests when its chance of being the best falls below this."""

Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Voices:
    """Who has how much of a say.

    Attributes:
        early: Share of the decisions that are successive halving's at first.
        late: The same later.
    """

    early: float = 0.8
    late: float = 0.2


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done next.

    Attributes:
        number: The resting trial that goes on; None: a new one is begun.
        by: Who decided: `start`, `uniform`, `no-chance` (the same, as the model gave nothing a chance), `safe` (the
            same, where none failed), `halving`, `model` or `near`; `finish` of one that is trained to its end, with a
            look now and then.
        until: The step up to which it is trained.
        point: Parameters of a new trial; None: drawn anywhere.
        predicted: What is expected of it.
        among: How many candidates it was chosen from; None where nothing was weighed.
    """

    number: int | None
    by: str
    until: int
    point: Point | None = None
    predicted: Predicted | None = None
    among: int | None = None


@dataclass(slots=True)
class Situation:
    """Where a decision is due.

    Attributes:
        known: What it rests on.
        voices: Who has how much of a say.
        only_new: Whether a new trial has to be begun.
    """

    known: Known
    voices: Voices = Voices()
    only_new: bool = False

    def decide(self) -> Decision:
        """Return what is done next."""
        history = self.known.history
        random = np.random.default_rng((self.known.seed, history.decisions))
        first = history.ladder.first
        halves, anywhere = random.random(2)
        if len(history) < STARTS:
            return self._halving() or Decision(None, "start", first)
        if not history.structures:  # no trial has come to suggest anything
            return self._halving() or Decision(None, "uniform", first)
        if halves < self._share_of_halving:
            return self._halving() or self._anywhere(random)
        if anywhere < _UNIFORM or not self.known.tells:
            return self._anywhere(random)
        with one_thread():
            return self._weighed(random)

    def likeliest(self, *, at_least_one: bool) -> Decision | None:
        """Return which resting trial is to be trained to its end when nothing new is to begin; None if none is.

        Args:
            at_least_one: Whether somebody has to be, however small the chance of becoming the best; then it is whoever
                is expected to come to most, and nobody looks at it on the way.
        """
        known, resting = self.known, self.known.resting_candidates
        if not len(resting):
            return None
        chances = known.chances(resting)
        if not chances:  # too little is known to rule anybody out
            return self.to_the_end(int(resting[np.argmin(known.lowest[resting])]))
        if not at_least_one:
            able = [number for number, chance in chances.items() if chance.of_best >= HOPELESS]
            best = max(able, key=lambda number: chances[number].of_best, default=None)
            return None if best is None else self.to_the_end(best, chances[best].predicted)
        number, chance = min(chances.items(), key=lambda item: item[1].expected)
        return Decision(number, FINISH, known.history.ladder.last, predicted=chance.predicted)

    def to_the_end(self, number: int, predicted: Predicted | None = None) -> Decision:
        """Return that a trial goes on, as one that is trained to its end, until it is looked at next."""
        history = self.known.history
        until = history.ladder.next_check(int(history.last[number]))
        return Decision(number, FINISH, until, predicted=predicted)

    @property
    def _share_of_halving(self) -> float:
        history = self.known.history
        is_early = float(history.last.sum()) < _EARLY * history.ladder.last
        return self.voices.early if is_early else self.voices.late

    def _halving(self) -> Decision | None:
        """Return the resting trial of the highest rung that is among the best third there; None if there is none.

        Trials are compared within their branch of a conditional space: others learn faster or slower from the start.
        """
        if self.only_new:
            return None
        known, history, ladder = self.known, self.known.history, self.known.history.ladder
        last = history.last[known.resting]
        for rung in reversed(ladder.halving):
            mine = known.resting[(last >= rung) & (last < ladder.next_halving(rung))]
            there = (history.last >= rung) & (history.state != State.HIDDEN)
            costs = known.at_rung(rung)
            ranked = mine[np.lexsort((mine, costs[mine]))]
            best = np.sort(np.unique(history.branches[ranked], return_index=True)[1])  # of each branch
            for number in ranked[best].tolist():
                alike = there & (history.branches == history.branches[number])
                if costs[number] < math.inf and np.sum(costs[alike] < costs[number]) < int(alike.sum()) // 3:
                    return Decision(number, "halving", ladder.next_halving(int(history.last[number])))
        return None

    def _anywhere(self, random: Random, by: str = "uniform") -> Decision:
        """Begin a point drawn anywhere; once trials have failed mostly one whose nearest trial did not.

        Those are of structures and choices that there were; a share stays blind, so that others come, too.
        """
        known, history, first = self.known, self.known.history, self.known.history.ladder.first
        failed = history.failed
        if not failed.any() or random.random() < _BLIND:
            return Decision(None, by, first)
        near = np.flatnonzero(failed | (history.last > 0) & (history.state != State.HIDDEN))[-_MOST_NEAR:]
        drawn = candidates(history, [], known.fixed, random).points
        drawn = [drawn[place] for place in random.permutation(len(drawn))[:_REDRAWN]]
        for point, row in zip(drawn, history.rows(drawn), strict=True):
            away = ((history.points[near] - row) ** 2).sum(axis=1)
            if not failed[near[away == away.min()]].all() and not history.is_tried(point):
                return Decision(None, SAFE, first, dict(point))
        return Decision(None, by, first)

    def _weighed(self, random: Random) -> Decision:
        from scipy.special import log_ndtr

        known, history, ladder = self.known, self.known.history, self.known.history.ladder
        process = known.process
        if process is None:
            return self._anywhere(random)
        wanted = self._horizon(random), 10.0 ** random.uniform(-2.0, 0.0)
        new = candidates(history, known.best.tolist(), known.fixed, random)
        resting = np.zeros(0, int) if self.only_new else known.resting_candidates
        begun = known.modelled
        everyone = np.concatenate([begun, resting])
        none = np.zeros(len(new.points), int)
        done, spared = (np.concatenate([had[everyone], none]) for had in (history.last, history.spared))
        there = known.rows_of(everyone, ladder.last).beside(known.rows_at(new.points, ladder.last))
        for step, gain in (wanted, (ladder.last, _LEAST_GAIN), *self._peak()):
            until = np.clip(np.maximum(step, done + 1), 1, ladder.last)
            mean, spread = process.predict(replace(there, logs=np.log(until)))
            target = min(float(known.values.min()), float(mean[: len(begun)].min(initial=math.inf))) - gain
            odds = (target - mean) / spread
            odds[: len(begun)] = -math.inf
            if odds.max() >= _HOPE:
                break
        else:  # the largest of chances that are all next to none is that of whom the least is known of
            return self._halving() or self._anywhere(random, by=NO_CHANCE)
        effort = until - spared + 1.0
        if known.preparing:
            is_there = np.array([history.preparations.is_there(point) for point in new.points], bool)
            effort[len(everyone) :] += known.preparing * ~is_there
        scores = log_ndtr(odds) - np.log(effort)
        if random.random() < _LIKELIEST:  # a model that is too sure gives it less of a chance than it has
            scores = np.where(np.isfinite(odds), -mean, -math.inf)
        for place in np.argsort(-scores, kind="stable")[: len(scores) - len(begun)]:
            at = int(place)
            told = known.predicted(int(until[at]), float(mean[at]), float(spread[at]), process.noise)
            among = len(resting) + len(new.points)
            if at < len(everyone):
                number = int(everyone[at])
                goes_to = ladder.next_rung(int(history.last[number]))
                return Decision(number, "model", goes_to, predicted=told, among=among)
            point = new.points[at - len(everyone)]
            if not history.is_tried(point):
                by = "near" if at >= len(mean) - new.near else "model"
                return Decision(None, by, ladder.first, dict(point), told, among)
        return self._anywhere(random)

    def _peak(self) -> list[tuple[int, float]]:
        """Return the step of the best report, where no horizon is as early; [] where some are."""
        known, last = self.known, self.known.history.ladder.last
        trials, rungs = known.seen_best
        step = int(known.history.steps[trials, rungs])
        return [(step, _LEAST_GAIN)] if step < (max(2, last // 3) if last > 2 else last) else []

    def _horizon(self, random: Random) -> int:
        """Return the step at which candidates are compared: where curves peak early the last one tells too little."""
        last = self.known.history.ladder.last
        drawn, earlier = random.random(), int(random.integers(max(2, last // 3), last + 1)) if last > 2 else last
        return last if drawn < 0.5 else earlier
