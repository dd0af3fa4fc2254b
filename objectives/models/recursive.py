"""A linear model that goes on learning from rows as they come, without a rate to be chosen: the `Recursive`.

Of a number it is recursive least squares with forgetting (Haykin, "Adaptive Filter Theory", chapter 10): exactly the
least squares of all rows, each of which counts less the older it is. Of classes it is a step of Newton's method for
each batch, with the bound of Böhning ("Multinomial logistic regression algorithm", 1992) in place of the second
derivative: no class's curvature is more than half of the columns' second moments, so that a step never goes too far,
and one matrix serves all classes. Both are as good for columns of any scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

MEMORY: Final = 1000.0
"""Rows after which one counts a third: 1 / e."""

_RIDGE: Final = 1e-6
"""Of each column's own moment, beside it: columns that always go together leave open which of them counts."""

Array = np.ndarray[Any, Any]


class Recursive:
    """What is known of the columns' second moments, as a running sum in which older rows count less.

    Args:
        features: (rows, columns) of the training.
    """

    def __init__(self, features: Array) -> None:
        rows = with_one(features)
        self._moments = rows.T @ rows * (MEMORY / len(rows))

    def step(self, coefficients: Array, features: Array, target: Array, weights: Array | None) -> Array:
        """Return coefficients that are better for some rows.

        Args:
            coefficients: (outputs, columns + 1), the intercept last.
            features: (rows, columns).
            target: (rows,) class indices where there are several outputs, else values.
            weights: (rows,) how much each row counts, or None.
        """
        rows = with_one(features)
        counted = rows if weights is None else rows * weights[:, None]
        moments = self._moments * np.exp(-len(rows) / MEMORY) + rows.T @ counted
        if not np.isfinite(moments).all():
            return coefficients
        self._moments = moments
        outputs = rows @ coefficients.T
        if len(coefficients) == 1:
            wrong, bound = target[:, None] - outputs, 1.0
        else:
            wrong, bound = -shares(outputs), 0.5
            wrong[np.arange(len(target)), target] += 1
        size = np.sqrt(np.diag(self._moments))
        size[size == 0] = 1.0  # of a column that was never anything but 0
        related = self._moments / np.outer(size, size) + _RIDGE * np.eye(len(size))
        solved = np.linalg.solve(related, (counted.T @ wrong) / size[:, None]) / size[:, None]
        moved = coefficients + solved.T / bound
        return moved if np.isfinite(moved).all() else coefficients

    def arrays(self) -> dict[str, Array]:
        """Return all that it knows, as `load` takes it."""
        return {"moments": self._moments.copy()}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take what `arrays` returned in place of what is there."""
        self._moments = np.array(arrays["moments"])


def with_one(features: Array) -> Array:
    """Return rows in float64 with a last column of ones."""
    return np.column_stack([features.astype(np.float64), np.ones(len(features))])


def shares(outputs: Array) -> Array:
    """Return the softmax of each row."""
    odds = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))
