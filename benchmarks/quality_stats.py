"""What runs come to: how long until good, how far from the best meanwhile, and ours against the best peer.

Everything is computed from the changes of what a search would return (see `quality_clock`), so that rows stay of use
when a figure is defined anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from benchmarks.quality_runs import Row, Setting, aims
from benchmarks.quality_tables import Table

Array: TypeAlias = np.ndarray[Any, Any]

FROM_EPOCHS: Final = 27
"""The anytime curve begins here: before a first training is through, what is returned is a matter of draws."""
MARKS: Final = 30
"""Points of the anytime curve."""
RESAMPLES: Final = 2000
LEAST_SEEDS: Final = 20
"""A peer of fewer seeds in common with ours is shown, but is nobody's best peer, unless ours has no more either."""

_ROUNDING: Final = 1e-6
"""Rows hold test errors to seven digits."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """All runs of one arm on one table, in order of seeds.

    Attributes:
        arm: The search.
        seeds: That it was run with.
        first: Epochs (or seconds) until what would be returned first met the loose and the tight target, infinite
            where it did not, (seeds, 2).
        for_good: The same, from when on it met them to the end.
        regrets: Test error above the table's best at each of the marks, (seeds, marks).
        area: Mean of that over the marks, which are evenly spaced in the logarithm, (seeds,).
        ask_ms: Mean processor time of an answer to a free worker, over runs.
        ask_p99_ms: Median over runs of its 99th percentile.
        report_ms: Mean processor time of a verdict.
        trials: Mean number of configurations.
    """

    arm: str
    seeds: tuple[int, ...]
    first: Array
    for_good: Array
    regrets: Array
    area: Array
    ask_ms: float
    ask_p99_ms: float
    report_ms: float
    trials: float

    def on(self, seeds: Iterable[int]) -> list[int]:
        """Return where these seeds stand."""
        place = {seed: index for index, seed in enumerate(self.seeds)}
        return [place[seed] for seed in seeds]


def marks(setting: Setting) -> Array:
    """Return the moments of the anytime curve, evenly spaced in the logarithm."""
    unit = 1.0 if setting.epoch_s is None else setting.epoch_s / setting.workers
    return unit * np.geomspace(FROM_EPOCHS, setting.budget, MARKS)


def scores(arm: str, rows: Iterable[Row], table: Table, setting: Setting) -> Scores:
    """Sum up the runs of an arm on a table."""
    ordered = sorted(rows, key=lambda row: row.seed)
    at = marks(setting)
    best, targets = float(table.returned.min()), aims(table)
    traces = [_trace(row) for row in ordered]
    regrets = np.array([errors[np.searchsorted(when, at, side="right") - 1] - best for when, errors in traces])
    return Scores(
        arm,
        tuple(row.seed for row in ordered),
        np.array([[_first(*trace, target) for target in targets] for trace in traces]),
        np.array([[_for_good(*trace, target) for target in targets] for trace in traces]),
        regrets,
        regrets.mean(axis=1),
        float(np.mean([row.ask_ms for row in ordered])),
        float(np.median([row.ask_p99_ms for row in ordered])),
        float(np.mean([row.report_ms for row in ordered])),
        float(np.mean([row.trials for row in ordered])),
    )


def _trace(row: Row) -> tuple[Array, Array]:
    """Return when what would be returned changed, and its test errors."""
    changes = np.array(row.changes)
    return changes[:, 0 if row.epoch_s is None else 1], changes[:, 2]


def _first(when: Array, errors: Array, target: float) -> float:
    met = np.flatnonzero(errors <= target + _ROUNDING)
    return float(when[met[0]]) if len(met) else math.inf


def _for_good(when: Array, errors: Array, target: float) -> float:
    missed = np.flatnonzero(errors > target + _ROUNDING)
    since = missed[-1] + 1 if len(missed) else 0
    return float(when[since]) if since < len(when) else math.inf


def quantile(values: Array, share: float) -> float:
    """Return a value of which this share is not above it; infinite ones count."""
    return float(np.quantile(values, share, method="inverted_cdf"))


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours against a peer, on the same seeds.

    Attributes:
        peer: The arm with the lowest median.
        seeds: In common.
        ours: Median until the target, infinite for never.
        theirs: The same.
        ratio: Of the medians, a miss as the budget: an upper bound where only they missed, a lower one where we did.
        low: Lower end of the 95 % interval of the ratio, by resampling seeds.
        high: Upper end.
        means: Ratio of the geometric means, a miss as the budget again.
        means_low: Lower end of its interval.
        means_high: Upper end.
        our_misses: Runs that did not get there.
        their_misses: The same.
    """

    peer: str
    seeds: int
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    means: float
    means_low: float
    means_high: float
    our_misses: int
    their_misses: int


def against(ours: Scores, peers: Sequence[Scores], target: int, *, limit: float, good: bool = False) -> Ratio | None:
    """Compare with the peer of the lowest median on the seeds in common; None without any.

    Args:
        ours: An arm.
        peers: The others.
        target: 0 the loose one, 1 the tight one.
        limit: What a miss counts as: the budget.
        good: Whether targets have to be met for good.
    """
    pairs = [(peer, sorted({*ours.seeds} & {*peer.seeds})) for peer in peers]
    least = min(LEAST_SEEDS, len(ours.seeds))
    pairs = [(peer, seeds) for peer, seeds in pairs if len(seeds) >= least]
    if not pairs:
        return None

    def until(one: Scores, seeds: list[int]) -> Array:
        return np.asarray((one.for_good if good else one.first)[one.on(seeds), target])

    def rank(pair: tuple[Scores, list[int]]) -> tuple[float, float]:
        theirs = until(*pair)
        return quantile(theirs, 0.5), float(np.log(np.minimum(theirs, limit)).mean())

    peer, seeds = min(pairs, key=rank)
    return _ratio(peer.arm, until(ours, seeds), until(peer, seeds), limit)


def _ratio(peer: str, ours: Array, theirs: Array, limit: float) -> Ratio:
    drawn = np.random.default_rng(0).integers(len(ours), size=(RESAMPLES, len(ours)))
    mine, other = np.minimum(ours, limit), np.minimum(theirs, limit)
    medians = _median(mine[drawn]) / _median(other[drawn])
    log = np.log(mine) - np.log(other)
    means = np.exp(log[drawn].mean(axis=1))
    return Ratio(
        peer=peer,
        seeds=len(ours),
        ours=quantile(ours, 0.5),
        theirs=quantile(theirs, 0.5),
        ratio=quantile(mine, 0.5) / quantile(other, 0.5),
        low=quantile(medians, 0.025),
        high=quantile(medians, 0.975),
        means=float(np.exp(log.mean())),
        means_low=quantile(means, 0.025),
        means_high=quantile(means, 0.975),
        our_misses=int(np.isinf(ours).sum()),
        their_misses=int(np.isinf(theirs).sum()),
    )


def _median(values: Array) -> Array:
    """Return the lower median of each row."""
    middle = (values.shape[1] - 1) // 2
    return np.asarray(np.partition(values, middle, axis=1)[:, middle])
