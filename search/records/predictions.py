"""What a study's search expected of its trials, beside what was seen of them later: the `Predictions`."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.records.history import Floats, History, Ints
from search.study.origin import Origin
from search.study.predicted import Predicted


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Every prediction with which a trial was suggested or taken on, in order of trials, then as they were made.

    What was seen is the trial's last report up to the predicted step, if it was trained so far: where several families
    are searched, not every trial reports at every step. What a guess would have been is the median of that over the
    trials that the study had already. Some of them came to that step only later, so the guess knows rather more than
    the search did.

    Attributes:
        trial: (predictions,): number.
        start: (predictions,): the step at which it rested when it was taken on; 0 of a suggestion.
        step: (predictions,): for which it was predicted.
        value: (predictions,): the predicted median, in natural sign.
        low: (predictions,): of its 95 % interval.
        high: (predictions,): the same.
        seen: (predictions,): in natural sign; NaN of a trial that was not trained so far.
        held: (predictions,): whether that lies within the interval, which may be open at its worse end.
        guess: (predictions,): NaN where nothing was seen, and where no earlier trial was trained so far.
    """

    trial: Ints
    start: Ints
    step: Ints
    value: Floats
    low: Floats
    high: Floats
    seen: Floats
    held: NDArray[np.bool_]
    guess: Floats

    def __len__(self) -> int:
        return len(self.trial)

    @property
    def was_seen(self) -> NDArray[np.bool_]:
        """(predictions,): which can be judged."""
        return np.isfinite(self.seen)


def predictions(history: History) -> Predictions:
    """Return the predictions of a study; they are of its first metric."""
    made = [
        (number, start, known, told)
        for number, origin in sorted(history.origins.items())
        if history.same_as[number] < 0
        for start, known, told in _of(origin, number)
    ]
    whole = np.array([(number, start, known, told.step) for number, start, known, told in made], np.int64)
    trial, start, known, step = whole.reshape(-1, 4).T
    value, low, high = np.array([(told.value, told.low, told.high) for *_, told in made], float).reshape(-1, 3).T
    seen, guess = np.full(len(made), np.nan), np.full(len(made), np.nan)
    for wanted in np.unique(step):
        own = np.flatnonzero(step == wanted)
        there = _seen(history, int(wanted))
        seen[own] = there[trial[own]]
        own = own[np.isfinite(seen[own])]
        guess[own] = _medians_before(there, trial[own], known[own])
    held = np.array([told.holds(one) for (*_, told), one in zip(made, seen.tolist(), strict=True)], bool)
    return Predictions(trial, start, step, value, low, high, seen, held, guess)


def _of(origin: Origin, number: int) -> Iterator[tuple[int, int, Predicted]]:
    """Yield from which step on a trial was to be trained, how many trials there were, and what was predicted."""
    if origin.predicted is not None:
        yield 0, number, origin.predicted
    for one in origin.went_on:
        if one.predicted is not None:
            yield one.start, number if one.at_trials is None else one.at_trials, one.predicted


def _seen(history: History, step: int) -> Floats:
    """(trials,): what each had when it came to a step; NaN where it did not, or had nothing that is finite."""
    reports, found = history.reports, np.full(len(history), np.nan)
    up_to = np.flatnonzero(reports.step <= step)
    values = reports.values[history.metrics[0]][up_to]
    found[reports.trial[up_to]] = values  # in order of steps: the last one stays
    found[(history.epochs < step) | ~np.isfinite(found)] = np.nan
    return found


def _medians_before(values: Floats, trials: Ints, known: Ints) -> Floats:
    """Return for each of some trials the median over others with a number below `known`; NaN where there is none.

    Args:
        values: (all trials,): NaN where a trial has none.
        trials: (n,): their numbers, all of which have a value.
        known: (n,): how many trials there were.
    """
    found, rising, taken = np.full(len(trials), np.nan), list[float](), 0
    numbers = np.flatnonzero(np.isfinite(values))
    for place in np.argsort(known, kind="stable"):
        while taken < len(numbers) and numbers[taken] < known[place]:
            insort(rising, float(values[numbers[taken]]))
            taken += 1
        found[place] = _median(rising, float(values[trials[place]]) if trials[place] < known[place] else None)
    return found


def _median(rising: list[float], without: float | None) -> float:
    """Return the median of sorted values, one of which may be left out; NaN where there is no other."""
    skipped, count = len(rising), len(rising)
    if without is not None:
        skipped, count = bisect_left(rising, without), count - 1
    if not count:
        return np.nan
    two = [rising[place + (place >= skipped)] for place in ((count - 1) // 2, count // 2)]
    return two[0] / 2 + two[1] / 2
