"""Puts values in order: the ranks of a column, ties shared."""

from __future__ import annotations

from typing import Any

import numpy as np


def ranks(values: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(rows,): the rank of each value from 0, the lowest; equal ones share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    mean: np.ndarray[Any, np.dtype[np.float64]] = np.cumsum(count) - (count + 1) / 2
    return mean[place]
