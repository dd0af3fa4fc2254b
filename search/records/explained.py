"""What share of the variance parameters explain in a study, by fANOVA, also those that only some trials have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np

from search.records import fanova
from search.records.history import Floats, Ints
from search.records.importances import LEVEL, Importance
from search.records.judged import LEAST_TRIALS, Judged, evenly
from search.records.parameters import Parameter

SAMPLE: Final = 1_000
"""Trials a forest is grown on, at most."""

PART: Final = 500
"""Trials of a forest for parameters that only some trials have, at most."""

MOST: Final = 24
"""Parameters of a forest, at most: those that PED-ANOVA puts first."""

FORESTS: Final = 7
"""Sets of parameters that the same trials have, each with a forest of its own, at most; those of most trials."""

_UNLIKELY: Final = 0.95
_PAIRED: Final = 3
"""Parameters that pairs are made of."""

_WORTH: Final = 0.01


@dataclass(frozen=True, slots=True)
class Explained:
    """Shares of the variance.

    Attributes:
        alone: By parameter; those that were not reckoned are missing.
        together: By pair: what two explain beyond what each does alone, with both ends of its interval.
        trials: That the forest was grown on.
        of: With a value.
        predicted: The share of the variance that the forest predicts on trials it has not seen.
    """

    alone: Mapping[str, Importance]
    together: Mapping[tuple[str, str], tuple[float, float, float]]
    trials: int
    of: int
    predicted: float


def explained(judged: Judged, importances: Sequence[Importance], sample: int = SAMPLE) -> Explained:
    """Return what the parameters explain that were judged.

    Trials without a value are left out: failed ones. One that was pruned or rests counts with its last value. Values
    that are far off are clipped (`fanova.fenced`). A parameter that only some trials have is judged by a forest of
    its own, on those trials; its share of their variance becomes one of the variance of all by the law of total
    variance. An interval holds nine of ten trees.

    Args:
        judged: The trials.
        importances: The parameters, most important first.
        sample: Trials of the forest for what all trials have, at most.
    """
    finite = np.isfinite(judged.loss)
    of = int(finite.sum())
    loss = np.zeros(len(judged))
    loss[finite] = fanova.fenced(judged.loss[finite])
    whole = float(loss[finite].var()) if of else 0.0
    places = {one.name: place for place, one in enumerate(importances[:MOST])}
    chosen = sorted((one for one in judged.judgeable if one.name in places), key=lambda one: places[one.name])
    found = Explained({}, {}, min(of, sample), of, 0.0)
    alone: dict[str, Importance] = {}
    groups = [(rows[finite[rows]], {one.name for one in group} & places.keys()) for rows, group in judged.groups()]
    for rows, names in [one for one in groups if one[1] and len(one[0]) >= LEAST_TRIALS][:FORESTS]:
        is_of_all = len(rows) == of
        taken = rows[evenly(len(rows), sample if is_of_all else min(sample, PART))]
        features = _features(chosen, taken)
        if not names & features.keys():
            continue
        shares, forest = fanova.shares([*features.values()], loss[taken])
        if not forest.trees:
            continue
        weight = len(rows) / of * float(loss[rows].var()) / whole
        for column, name in enumerate(features):
            if name in names:
                one = importances[places[name]]
                alone[name] = _weighed(one, len(rows), weight, shares.alone[:, column], shares.shuffled[:, column])
        if is_of_all:
            pairs = _pairs(forest, [*features], shares.alone.mean(axis=0))
            found = replace(found, together=pairs, trials=len(taken), predicted=forest.predicted)
    return replace(found, alone=alone)


def _weighed(one: Importance, trials: int, weight: float, trees: Floats, shuffled: Floats) -> Importance:
    """Return what a parameter explains of the variance of all trials, from what it explains of that of its own."""
    low, high = _ends(trees)
    shares = np.clip(weight * np.array([trees.mean(), low, high, _quantile(shuffled, _UNLIKELY)]), 0.0, 1.0)
    return Importance(one.name, one.condition, trials, *shares.tolist())


def _features(parameters: Sequence[Parameter], rows: Ints) -> dict[str, Parameter]:
    """Return those parameters that all these trials have, and in which they differ."""
    cut = (replace(one, values=one.values[rows]) for one in parameters if one.active[rows].all())
    return {one.name: one for one in cut if one.varies}


def _pairs(
    forest: fanova.Forest, names: Sequence[str], shares: Floats
) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Return what the first few parameters explain in pairs, where that is worth a word."""
    leading = np.argsort(-shares, kind="stable")[:_PAIRED].tolist()
    found = {}
    for first, second in combinations(leading, 2):
        trees = forest.together(first, second)
        low, high = _ends(trees)
        if low >= _WORTH:
            found[names[first], names[second]] = (float(trees.mean()), low, high)
    return found


def _ends(trees: Floats) -> tuple[float, float]:
    return _quantile(trees, (1 - LEVEL) / 2), _quantile(trees, (1 + LEVEL) / 2)


def _quantile(values: Floats, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else 0.0
