"""PED-ANOVA: what sets the best trials apart from all of them, parameter by parameter.

Source: Watanabe, Bansal, Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces",
IJCAI 2023. Bandwidth, grid, prior and share of best trials are those of Optuna's `PedAnovaImportanceEvaluator`, so that
both tell the same where both apply.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.records.history import Floats, Ints
from search.records.parameters import Parameter

TOP: Final = 0.1
"""The share of trials that count as the best ones."""

LEAST_TOP: Final = 5
"""Best trials, at least; as Optuna's documentation asks for."""

DRAWS: Final = 100
"""Resamples of the trials, and shuffles of their order."""

_GRID: Final = 50
"""Points of a number's grid, at most."""

_REACH: Final = 8.0
_SLIVER: Final = 1e-12


class Divergences(NamedTuple):
    """How much the best trials' values of parameters differ from all trials' values: Pearson's divergence, 0 or more.

    Attributes:
        value: (parameters,)
        resampled: (parameters, draws): the same of trials drawn with replacement.
        shuffled: (parameters, draws): the same where trials drawn at random are called the best.
    """

    value: Floats
    resampled: Floats
    shuffled: Floats


def top_count(trials: int) -> int:
    """Return how many of so many trials count as the best."""
    return min(trials, max(math.ceil(TOP * trials), LEAST_TOP))


def divergences(
    parameters: Sequence[Parameter],
    rank: Ints,
    valued: NDArray[np.bool_],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Divergences:
    """Return how much each parameter sets the best trials apart.

    Args:
        parameters: Over trials in order of `rank`, which all have them.
        rank: (trials,): ascending; equal ones are best together or not at all.
        valued: (trials,): which may be among the best at all; those that may not come last.
        draws: Resamples, and shuffles.
        seed: Of both.

    Returns:
        Zeros where no trial may be among the best.
    """
    dice = np.random.default_rng(seed)
    trials, count = len(rank), top_count(len(rank))
    last_alike = np.searchsorted(rank, rank, side="right") - 1  # (trials,): where those of this rank end
    limit = int(valued.sum()) - 1
    found = Divergences(np.zeros(len(parameters)), *(np.zeros((len(parameters), draws)) for _ in range(2)))
    if limit < 0:
        return found
    best = np.arange(trials) <= min(last_alike[count - 1], limit)
    drawn = dice.integers(0, trials, (draws, trials))
    times = _counts(drawn, trials)
    ends = np.minimum(last_alike[(times.cumsum(axis=1) >= count).argmax(axis=1)], limit)
    draw, place = np.nonzero(drawn <= ends[:, None])
    drawn_best = drawn[draw, place]
    chosen = int(best.sum())
    random = dice.random((draws, trials)).argpartition(chosen - 1, axis=1)[:, :chosen]
    for index, one in enumerate(parameters):
        size, cell = _cells(one)
        everywhere = np.bincount(cell, minlength=size)[None]
        tops = [
            np.bincount(cell[best], minlength=size)[None],
            np.bincount(draw * size + cell[drawn_best], minlength=draws * size).reshape(draws, size),
            _counts(cell[random], size),
        ]
        every = np.vstack([everywhere, _counts(cell[drawn], size)])
        top, local = _densities(np.vstack(tops), one.is_choice), _densities(every, one.is_choice)
        found.value[index] = _divergence(top[0], local[0])
        found.resampled[index] = _divergence(top[1 : draws + 1], local[1:])
        found.shuffled[index] = _divergence(top[draws + 1 :], local[0])
    return found


def _divergence(top: Floats, local: Floats) -> Floats:
    """Return Pearson's divergence of densities on a grid, over the last axis."""
    top, local = top + _SLIVER, local + _SLIVER
    found: Floats = ((top - local) ** 2 / local).sum(axis=-1)
    return found


def _counts(cells: Ints, size: int) -> Ints:
    """(rows, size): how often each cell is in each row."""
    rows = len(cells)
    flat = cells + np.arange(rows)[:, None] * size
    found: Ints = np.bincount(flat.ravel(), minlength=rows * size).reshape(rows, size)
    return found


def _cells(parameter: Parameter) -> tuple[int, Ints]:
    """Return how many cells the grid of a parameter has, and the cell of each trial."""
    if parameter.is_choice:
        return len(parameter.choices), parameter.values.astype(np.int64)
    size = _grid(parameter)
    nearest = np.ceil(parameter.unit() * (size - 1) - 0.5).astype(np.int64)  # half-way goes down, as in Optuna
    return size, np.clip(nearest, 0, size - 1)


def _grid(parameter: Parameter) -> int:
    """Return the points of a number's grid: every value it can have, where those are few."""
    span = float(parameter.high - parameter.low)
    if parameter.log:
        return min(_GRID, math.ceil(math.log2(span + 1)) + 1) if parameter.kind == "int" else _GRID
    values = np.unique(parameter.values)
    if len(values) >= _GRID:
        return _GRID
    step = float(np.diff(np.unique([parameter.low, *values, parameter.high])).min())
    steps = (values - parameter.low) / step
    if np.allclose(steps, np.rint(steps), rtol=0, atol=1e-6) and step > 0:
        return min(_GRID, round(span / step) + 1)
    return min(_GRID, round(span) + 1) if parameter.kind == "int" else _GRID


def _densities(counts: Ints, is_choice: bool) -> Floats:
    """(rows, cells): how likely each cell is, smoothed, with one trial's worth of a prior that is nearly flat."""
    trials = counts.sum(axis=1, keepdims=True)
    size = counts.shape[1]
    if is_choice:
        kernels = (counts > 0).sum(axis=1, keepdims=True) + 1
        mixed = (counts + trials / kernels) / (1 + size / kernels)
        dense: Floats = (mixed + 1 / size) / (trials + 1)
        return dense
    smooth = _smoothed(counts / 1.0, _bandwidths(counts))
    middle = (np.arange(size + 1) - 0.5 - (size - 1) / 2) / size
    prior = np.diff(_below(middle))
    found: Floats = (smooth + prior / prior.sum()) / (trials + 1)
    return found


def _bandwidths(counts: Ints) -> Floats:
    """(rows,): by Scott's rule, in cells.

    Source: Scott, "Multivariate Density Estimation", 1992.
    """
    cells = np.arange(counts.shape[1])
    trials = counts.sum(axis=1)
    known = np.maximum(trials, 1)
    mean = counts @ cells / known
    spread = np.sqrt(((cells - mean[:, None]) ** 2 * counts).sum(axis=1) / np.maximum(1, trials - 1))
    below = counts.cumsum(axis=1)
    low = (below >= np.maximum(trials // 4, 1)[:, None]).argmax(axis=1)
    high = (below > (trials * 3 // 4)[:, None]).argmax(axis=1)
    found: Floats = np.maximum(1.059 * np.minimum((high - low) / 1.34, spread) * known**-0.2, 0.5 / 1.64)
    return found


def _smoothed(counts: Floats, widths: Floats) -> Floats:
    """(rows, cells): each count spread by a normal distribution that is cut off at the grid's ends."""
    size = counts.shape[1]
    edges = _below((np.arange(-size, size + 1) + 0.5) / widths[:, None])  # (rows, 2 size + 1)
    mass = np.diff(edges)  # (rows, 2 size): [:, size - 1 + distance]
    cells = np.arange(size)
    inside = edges[:, 2 * size - 1 - cells] - edges[:, size - 1 - cells]
    weights = counts / inside
    found = np.zeros_like(counts)
    for cell in range(size):
        found += weights[:, cell, None] * mass[:, size - 1 - cell : 2 * size - 1 - cell]
    return found


def _below(x: Floats) -> Floats:
    """Return the normal distribution's share below x, to 1e-9."""
    grid, shares = _table()
    found: Floats = np.interp(x, grid, shares)
    return found


@lru_cache(maxsize=1)
def _table() -> tuple[Floats, Floats]:
    grid = np.linspace(-_REACH, _REACH, 80_001)
    return grid, np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in grid.tolist()])
