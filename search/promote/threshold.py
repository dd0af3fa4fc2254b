"""What the two kinds of mistakes cost, and from which probability on the second class is given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from search.errors import InputError
from search.promote.calibrating import halves
from search.promote.intervals import wilson
from search.promote.measures import Judged

Array = np.ndarray[Any, Any]

_FIELD: Final = "--cost"


@dataclass(frozen=True, slots=True)
class Costs:
    """Of mistakes about two classes, in any unit.

    Attributes:
        missed: Of taking the second class for the first: `fn`.
        alarm: Of taking the first class for the second: `fp`.
    """

    missed: float
    alarm: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.missed + self.alarm) and self.missed > 0 and self.alarm > 0):
            said = f"{_FIELD} takes what a missed second class and a false alarm cost, got {self.text}"
            raise InputError(said, field=_FIELD, hint="try fn=5,fp=1")

    @classmethod
    def parse(cls, text: str) -> Costs:
        """Read `fn=5,fp=1`.

        Raises:
            InputError: It is not that.
        """
        told = dict(part.partition("=")[::2] for part in text.replace(" ", "").split(","))
        try:
            missed, alarm = float(told.pop("fn")), float(told.pop("fp"))
        except (KeyError, ValueError):
            missed = alarm = math.nan
        if told or math.isnan(missed + alarm):
            said = f"{_FIELD} takes what a missed second class and a false alarm cost, got {text[:60]!r}"
            raise InputError(said, field=_FIELD, hint="try fn=5,fp=1")
        return cls(missed, alarm)

    @property
    def text(self) -> str:
        return f"fn={self.missed:g},fp={self.alarm:g}"

    @property
    def known_best(self) -> float:
        """The threshold of probabilities that are right: Elkan, "The Foundations of Cost-Sensitive Learning", 2001."""
        return self.alarm / (self.alarm + self.missed)

    def of(self, probabilities: Array, target: Array, threshold: float | None) -> Array:
        """Return what each row costs, (rows,).

        Args:
            probabilities: (rows, 2).
            target: (rows,) class indices.
            threshold: The second class is given from it on; None: from more than the first one's probability on.
        """
        given = probabilities[:, 1] > probabilities[:, 0] if threshold is None else probabilities[:, 1] >= threshold
        positive = target == 1
        return np.asarray(self.missed * (positive & ~given) + self.alarm * (~positive & given))


@dataclass(frozen=True, slots=True)
class Cost:
    """What mistakes cost on some rows.

    Attributes:
        mean: Of a row.
        low, high: Of it, at 95 %: Wilson's intervals of both shares of mistakes, joined as Zou and Donner (2008) do.
        costs: Of either mistake.
    """

    mean: float
    low: float
    high: float
    costs: Costs

    @property
    def sentence(self) -> str:
        told = f"a row costs {self.mean:.4g} on the test rows (95% {self.low:.4g} to {self.high:.4g})"
        return f"{told}, at {self.costs.text}"


def mean_cost(costs: Costs, judged: Judged) -> Cost:
    """Return what a model's mistakes cost on the rows that it is judged by."""
    each, mean, below, above = costs.of(judged.prediction, judged.target, judged.threshold), 0.0, 0.0, 0.0
    for label, cost in ((1, costs.missed), (0, costs.alarm)):
        wrong, rows = int(((judged.target == label) & (each > 0)).sum()), len(each)
        share, limits = wrong / rows, wilson(wrong, rows)
        mean += cost * share
        below, above = math.hypot(below, cost * (share - limits.low)), math.hypot(above, cost * (limits.high - share))
    return Cost(mean, max(0.0, mean - below), mean + above, costs)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A threshold, and what it costs on the validation rows.

    Attributes:
        threshold: Probability from which on the second class is given; a float32, as in the graph.
        costs: Of mistakes.
        cost: Mean of a row.
        plain: The same where the likelier class is given.
        known_best: The same with the threshold of probabilities that are right.
        held_out: The same where each half of the rows has the threshold of the other half.
    """

    threshold: float
    costs: Costs
    cost: float
    plain: float
    known_best: float
    held_out: float

    def sentence(self, second: str) -> str:
        """Say it for people; `second` is the name of the second class."""
        return (
            f"{second[:40]!r} is given from its probability of {self.threshold:.4g} on: a validation row costs "
            f"{self.cost:.4g} ({self.held_out:.4g} on halves held out), {self.plain:.4g} with the likelier class, and "
            f"{self.known_best:.4g} with {self.costs.known_best:.4g}, the best threshold of exact probabilities"
        )


def threshold(probabilities: Array, target: Array, costs: Costs) -> Chosen:
    """Choose the threshold of the least mean cost on the validation rows; of equally good ones the middle.

    Args:
        probabilities: (rows, 2) of the validation rows, from a model that was not trained on them.
        target: (rows,) class indices.
        costs: Of mistakes.
    """
    half = halves(target)
    held = np.empty(len(target))
    for fitted, other in ((half, ~half), (~half, half)):
        found = _cheapest(probabilities[fitted], target[fitted], costs) if fitted.any() else costs.known_best
        held[other] = costs.of(probabilities[other], target[other], found)
    best = _cheapest(probabilities, target, costs)
    means = [float(costs.of(probabilities, target, one).mean()) for one in (best, None, costs.known_best)]
    return Chosen(best, costs, means[0], means[1], means[2], float(held.mean()))


def _cheapest(probabilities: Array, target: Array, costs: Costs) -> float:
    """Return the middle of the widest range of thresholds that cost least."""
    second = probabilities[:, 1].astype(np.float32)
    edges = np.unique(second)
    place = np.searchsorted(edges, second)
    positives = np.bincount(place, weights=target == 1, minlength=len(edges))
    negatives = np.bincount(place, weights=target != 1, minlength=len(edges))
    # The cost of a threshold in (edges[i-1], edges[i]]: whoever lies below is taken for the first class.
    missed = np.concatenate([[0.0], np.cumsum(positives)])
    alarms = negatives.sum() - np.concatenate([[0.0], np.cumsum(negatives)])
    total = costs.missed * missed + costs.alarm * alarms
    if edges[-1] >= 1:
        total = total[:-1]  # nothing lies above a probability of 1
    ends = np.concatenate([[0.0], edges, [1.0]])
    best = np.isclose(total, total.min(), rtol=1e-12, atol=0).astype(np.int8)
    turns = np.flatnonzero(np.diff(best, prepend=0, append=0)).reshape(-1, 2)  # where ranges begin and end
    low, high = max(((ends[first], ends[last]) for first, last in turns), key=lambda one: one[1] - one[0])
    middle = np.float32((float(low) + float(high)) / 2)
    return float(middle if middle > low or low == 0 else np.float32(high))
