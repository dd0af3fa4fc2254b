"""Values over a plane of two parameters, smoothed from trials that lie anywhere in it: the `Surface`.

A kernel mean (Nadaraya, "On estimating regression", 1964) on a grid. Trials are first added up in the grid's cells,
so that the time depends on the cells alone; the width of the kernel is the one that predicts left-out trials best.
"""

from __future__ import annotations

from itertools import product
from typing import Final, NamedTuple

import numpy as np

from search.records.history import Floats
from search.report.figures._axis import Axis

CELLS: Final = 40
"""Of the grid along a parameter that is no choice, at most."""

_WIDTHS: Final = (0.025, 0.04, 0.06, 0.09, 0.13, 0.2, 0.3)
"""Of the kernel that are tried on each axis, as shares of it."""

_NEAR: Final = 0.4
"""Weight of trials, in trials at the very place, below which none is near: one at 1.4 times the kernel's width."""


_LITTLE: Final = 1e-6


class Surface(NamedTuple):
    """A smoothed plane.

    Attributes:
        x: (columns,): centres of the cells, on the scale from 0 to 1; of a choice the indices.
        y: (rows,): the same.
        mean: (rows, columns): NaN where no trial is near.
        weight: (rows, columns): trials near a place, each counted by its nearness.
        explained: Share of the variance between left-out trials that their neighbours predict; below 0 if they mislead.
    """

    x: Floats
    y: Floats
    mean: Floats
    weight: Floats
    explained: float


def surface(x_axis: Axis, y_axis: Axis, x: Floats, y: Floats, values: Floats) -> Surface:
    """Return the smoothed mean of finite values.

    Args:
        x_axis: Of the first parameter.
        y_axis: Of the second one.
        x: (trials,): the first parameter; each trial has it.
        y: (trials,): the second one.
        values: (trials,): what is smoothed.
    """
    columns, column = _cells(x_axis, x)
    rows, row = _cells(y_axis, y)
    shape = (len(rows), len(columns))
    cell = row * len(columns) + column
    count = np.bincount(cell, minlength=shape[0] * shape[1]).astype(float).reshape(shape)
    total = np.bincount(cell, values, minlength=shape[0] * shape[1]).reshape(shape)
    spread = float(((values - values.mean()) ** 2).sum())
    best: tuple[float, Floats, Floats] | None = None
    for over, down in product(_kernels(columns, x_axis), _kernels(rows, y_axis)):
        weight, sum_ = down @ count @ over, down @ total @ over
        others = weight.ravel()[cell] - 1  # without the trial itself, which stands in its own cell
        told = np.where(others > _LITTLE, (sum_.ravel()[cell] - values) / np.maximum(others, _LITTLE), values.mean())
        error = float(((values - told) ** 2).sum())
        if best is None or error < best[0]:
            best = error, weight, sum_
    assert best is not None
    error, weight, sum_ = best
    mean = np.where(weight >= _NEAR, sum_ / np.maximum(weight, _NEAR), np.nan)
    return Surface(columns, rows, mean, weight, 1 - error / spread if spread else 0.0)


def _cells(axis: Axis, values: Floats) -> tuple[Floats, np.ndarray]:
    """Return the centres of an axis's cells, and in which one each value lies."""
    if axis.choices:
        return np.arange(len(axis.choices), dtype=float), values.astype(np.int64)
    count = CELLS
    if axis.whole and not axis.log:
        count = int(min(CELLS, axis.high - axis.low + 1))
    units = np.clip(axis.unit(values), 0, 1)
    if count < CELLS:  # one for each whole number
        return np.arange(count) / (count - 1), np.rint(units * (count - 1)).astype(np.int64)
    return (np.arange(count) + 0.5) / count, np.minimum((units * count).astype(np.int64), count - 1)


def _kernels(centres: Floats, axis: Axis) -> list[Floats]:
    """Return how much a trial in one cell counts in another, for each width; choices are nothing to each other."""
    if axis.choices:
        return [np.eye(len(centres))]
    apart = centres[:, None] - centres[None, :]
    return [np.exp(-0.5 * (apart / width) ** 2) for width in _WIDTHS]
