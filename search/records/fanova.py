"""fANOVA: the share of the values' variance that each parameter explains alone, and that pairs explain together.

Source: Hutter, Hoos, Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter Importance", ICML 2014. A forest
of 64 trees is fitted to the trials. A tree is a partition of the space into boxes, so its marginals and their variances
are exact sums over boxes, with every value of a parameter as likely as any other on the parameter's own scale: a
logarithmic one counts by its logarithm, and a choice has only its own values (Optuna's counts both otherwise).

A forest fits noise, too. So its shares count as far as it predicts trials that it has not seen: by the R² of each
trial's value under those trees whose resample is without that trial (Breiman, "Random Forests", 2001).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.records.history import Floats, Ints
from search.records.parameters import Parameter

TREES: Final = 64

FENCE: Final = 2.0
"""A loss counts at most so many times as far above the median as the best tenth begins below it."""

_SHUFFLES: Final = 4
"""Forests on shuffled values, which together have as many trees."""

_LEAVES: Final = 200
"""Leaves of a tree, about, where trials are many: more of them would fit noise."""

_FAR: Final = 10.0
"""The fence on the good side, as far from the median: no honest value is beyond it."""


class Shares(NamedTuple):
    """Shares of the variance, tree by tree; each tree is grown on a resample of the trials.

    Attributes:
        alone: (trees, parameters): what a parameter explains by itself.
        shuffled: (trees, parameters): what it would get of the variance that the forest does not predict, if that fell
            to parameters as in trees grown on shuffled values.
    """

    alone: Floats
    shuffled: Floats


def fenced(loss: Floats) -> Floats:
    """Return losses with those clipped that are far off, so that a few that diverged do not rule all.

    The fence stands `FENCE` times as far above the median as the best tenth begins below it: it does not move, however
    far off bad values are and as long as they are not half of all. Where the best half is all alike the upper quarter
    is measured instead.

    Args:
        loss: (trials,): less is better; without NaN.

    Returns:
        (trials,): in units of that distance, 0 at the median.
    """
    finite = loss[np.isfinite(loss)]
    if not len(finite):
        return np.zeros(len(loss))
    lowest, tenth, middle, quarter, highest = np.quantile(finite, (0, 0.1, 0.5, 0.75, 1), method="inverted_cdf")
    for low, high in ((tenth, middle), (middle, quarter), (lowest, highest)):
        spread = high / 2 - low / 2  # halves, since the whole may be more than a float holds
        if spread > 0:
            scaled = np.clip(loss, -1e307, 1e307) / spread / 2 - middle / spread / 2
            clipped: Floats = np.clip(scaled, -_FAR, FENCE)
            return clipped
    return np.zeros(len(loss))


def shares(parameters: Sequence[Parameter], loss: Floats, *, seed: int = 0) -> tuple[Shares, Forest]:
    """Return how much of the variance each parameter explains.

    Args:
        parameters: Over the same trials, which all have them.
        loss: (trials,): finite, `fenced`.
        seed: Of the forest and of the shuffles.
    """
    dice = np.random.default_rng(seed)
    forest = Forest.grown(parameters, loss, TREES, seed, tested=True)
    chance = [
        Forest.grown(parameters, dice.permutation(loss), TREES // _SHUFFLES, seed + 1 + turn).alone()
        for turn in range(_SHUFFLES)
    ]
    return Shares(forest.alone(), (1 - forest.predicted) * np.concatenate(chance)), forest


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """A tree as boxes.

    Attributes:
        low: (boxes, columns): lower ends, on a scale from 0 to 1.
        high: (boxes, columns): upper ends.
        value: (boxes,): the loss there.
        places: The columns of each parameter.
        choices: How many values each parameter has, if it is a choice; else 0.
        extent: (boxes, parameters): the share of the parameter's values that a box takes.
        mean: Over the whole space.
        variance: Over the whole space.
    """

    low: Floats
    high: Floats
    value: Floats
    places: Sequence[slice]
    choices: Sequence[int]
    extent: Floats
    mean: float
    variance: float

    @classmethod
    def of(cls, grown: Any, places: Sequence[slice], choices: Sequence[int]) -> Tree:
        """Take a tree of scikit-learn's apart."""
        low, high, leaves = _boxes(grown)
        value = grown.value[leaves].reshape(-1).astype(float)
        extent = np.empty((len(leaves), len(places)))
        for index, (place, count) in enumerate(zip(places, choices, strict=True)):
            if count:
                extent[:, index] = _allowed(low[:, place], high[:, place]).mean(axis=1)
            else:
                extent[:, index] = (high - low)[:, place.start]
        weight = extent.prod(axis=1)
        mean = float(weight @ value)
        return cls(low, high, value, places, choices, extent, mean, float(weight @ (value - mean) ** 2))

    def cells(self, index: int) -> tuple[Floats, Floats]:
        """Return the cells into which the tree cuts a parameter.

        Returns:
            (cells,): their sizes; (boxes, cells): 1 where a box takes one, else 0.
        """
        place, count = self.places[index], self.choices[index]
        if count:
            return np.full(count, 1 / count), _allowed(self.low[:, place], self.high[:, place]).astype(float)
        low, high = self.low[:, place.start], self.high[:, place.start]
        ends = np.unique(np.concatenate([low, high]))
        takes = (low[:, None] <= ends[:-1]) & (ends[:-1] < high[:, None])
        return np.diff(ends), takes.astype(float)

    def of_one(self, index: int) -> float:
        """Return the variance of a parameter's marginal."""
        sizes, takes = self.cells(index)
        marginal = self._weights(index) @ takes - self.mean
        return float(sizes @ marginal**2)

    def of_pair(self, first: int, second: int) -> float:
        """Return the variance of the marginal of two parameters, their own included."""
        sizes, takes = self.cells(first)
        others, taken = self.cells(second)
        marginal = (takes * self._weights(first, second)[:, None]).T @ taken - self.mean
        return float(sizes @ marginal**2 @ others)

    def _weights(self, *marginal: int) -> Floats:
        """(boxes,): values times the share of all other parameters' space that a box takes."""
        others = np.delete(self.extent, marginal, axis=1)
        found: Floats = self.value * others.prod(axis=1)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Trees over the same parameters.

    Attributes:
        trees: Those that have any variance.
        parameters: How many there are.
        predicted: The share of the values' variance that it predicts on trials it has not seen; 1 if not tested.
    """

    trees: tuple[Tree, ...]
    parameters: int
    predicted: float

    @classmethod
    def grown(
        cls, parameters: Sequence[Parameter], loss: Floats, trees: int, seed: int, *, tested: bool = False
    ) -> Forest:
        """Fit a forest, each tree to a resample of the trials."""
        from sklearn.ensemble import RandomForestRegressor

        columns, places, choices = _encoded(parameters)
        leaf = max(1, len(loss) // _LEAVES)
        forest = RandomForestRegressor(n_estimators=trees, min_samples_leaf=leaf, oob_score=tested, random_state=seed)
        forest.fit(columns, loss)
        made = (Tree.of(one.tree_, places, choices) for one in forest.estimators_)
        predicted = min(1.0, max(0.0, float(forest.oob_score_))) if tested and loss.var() > 0 else float(not tested)
        return cls(tuple(tree for tree in made if tree.variance > 0), len(parameters), predicted)

    def alone(self) -> Floats:
        """(trees, parameters): the share of the variance that each explains by itself."""
        found = [[tree.of_one(index) / tree.variance for index in range(self.parameters)] for tree in self.trees]
        return self.predicted * np.array(found).reshape(len(self.trees), self.parameters)

    def together(self, first: int, second: int) -> Floats:
        """(trees,): the share that two explain together, beyond what they do alone."""
        found = [
            (tree.of_pair(first, second) - tree.of_one(first) - tree.of_one(second)) / tree.variance
            for tree in self.trees
        ]
        beyond: Floats = self.predicted * np.maximum(0.0, np.array(found))
        return beyond


def _encoded(parameters: Sequence[Parameter]) -> tuple[Floats, list[slice], list[int]]:
    """Return the columns that trees are grown on: a number has one, from 0 to 1, a choice one for each value."""
    columns, places, choices, start = [], [], [], 0
    for one in parameters:
        made = one.unit()[:, None]
        if one.is_choice:
            made = (one.values[:, None] == np.arange(len(one.choices))).astype(float)
        columns.append(made)
        places.append(slice(start, start + made.shape[1]))
        choices.append(len(one.choices))
        start += made.shape[1]
    return np.concatenate(columns, axis=1), places, choices


def _boxes(grown: Any) -> tuple[Floats, Floats, Ints]:
    """Return the lower and upper ends of a tree's leaves, (leaves, columns), and the numbers of those leaves."""
    low, high = np.zeros((grown.node_count, grown.n_features)), np.ones((grown.node_count, grown.n_features))
    left, right = grown.children_left, grown.children_right
    level = np.zeros(1, np.int64)
    while len(level := level[left[level] >= 0]):
        feature, cut = grown.feature[level], grown.threshold[level]
        for children, ends in ((left[level], high), (right[level], low)):
            low[children], high[children] = low[level], high[level]
            ends[children, feature] = cut
        level = np.concatenate([left[level], right[level]])
    leaves = np.flatnonzero(left < 0)
    return low[leaves], high[leaves], leaves


def _allowed(low: Floats, high: Floats) -> NDArray[np.bool_]:
    """(boxes, choices): which choices boxes take, from their ends in the columns that say of a choice that it is."""
    off, on = low <= 0, high >= 1  # whether a column may be 0, and 1
    may_all_be_off = off.sum(axis=1, keepdims=True)
    others_may_be_off = may_all_be_off - off == low.shape[1] - 1
    found: NDArray[np.bool_] = on & others_may_be_off
    return found
