"""Which training rows are learned from: all, or those that are no duplicate and no outlier."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from search.contract import Context

from .choices import Preprocessing
from .outliers import isolated

Array = np.ndarray[Any, Any]


def kept_rows(choices: Preprocessing, table: pd.DataFrame, target: Array, context: Context) -> Array:
    """Tell which training rows stay.

    Args:
        table: The cleaned training rows.

    Returns:
        (rows,) bool.

    Raises:
        ValueError: None would stay.
    """
    kept = np.ones(len(table), dtype=bool)
    if choices.duplicates == "drop":
        kept = ~repeated(table, target)
    if choices.outliers == "drop":
        numbers = table.loc[kept].select_dtypes(np.float32)
        numbers = numbers.loc[:, numbers.notna().any()]
        gone = isolated(numbers.to_numpy(), choices.outlier_share, context.seed % 2**32)
        if context.task.is_classification:
            gone &= ~_of_a_lost_class(gone, target[kept])
        kept[np.flatnonzero(kept)[gone]] = False
    if not kept.any():
        raise ValueError("no training row is left to learn from; nothing can be prepared")
    return kept


def repeated(table: pd.DataFrame, target: Array) -> Array:
    """Tell which rows equal an earlier one in every column and in the target; (rows,) bool."""
    whole = table.set_axis(range(table.shape[1]), axis=1).reset_index(drop=True)
    return whole.assign(target=target).duplicated().to_numpy()


def _of_a_lost_class(gone: Array, target: Array) -> Array:
    """Tell which rows are of a class that would lose all its rows: an outlier is no reason to forget a class."""
    left = np.unique(target[~gone])
    return ~np.isin(target, left)
