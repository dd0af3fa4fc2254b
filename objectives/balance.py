"""Class imbalance: how much each class, or row, counts in training."""

from __future__ import annotations

from typing import Any

import numpy as np

from search.contract import Context, Params, Part, Task

from .params import read_choice
from .scoring import class_count

Array = np.ndarray[Any, Any]


def class_weights(params: Params, train: Part, context: Context) -> Array | None:
    """Return the weight of each class as `train.class_weight` asks, or None where all count alike.

    `balanced` gives every class the same total weight; a regression ignores the choice, so that one space serves both.

    Returns:
        (classes,) float64 with mean 1 over the training rows; 0 for a class without a training row.
    """
    choice = read_choice(params, "train.class_weight", ("none", "balanced"), "none")
    if choice == "none" or context.task is Task.REGRESSION:
        return None
    counts = np.bincount(train.target, minlength=class_count(train, context)).astype(np.float64)
    present = counts > 0
    weights = np.zeros_like(counts)
    weights[present] = len(train.target) / (present.sum() * counts[present])
    return weights


def row_weights(params: Params, train: Part, context: Context) -> Array | None:
    """Return the weight of each training row, (rows,), or None where all count alike."""
    weights = class_weights(params, train, context)
    return None if weights is None else weights[train.target]
