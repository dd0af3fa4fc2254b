"""Columns of a table, made ready for fitting: numbers as float32, text as str, each missing value marked one way."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from search.contract import Task

# Categories beyond the most frequent ones count as rare: an identifier must not become a thousand columns.
MAX_LEVELS: Final = 100

# A category's mean is drawn towards the mean of all rows as if so many more rows had been seen.
_PRIOR_ROWS: Final = 10.0

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that are learned from, by what becomes of them.

    Attributes:
        numeric: Numbers.
        text: Categories.
        dates: Dates that become numbers.
        words: Sentences that become terms.
    """

    numeric: tuple[str, ...]
    text: tuple[str, ...]
    dates: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def as_table(features: pd.DataFrame | Array) -> pd.DataFrame:
    """Return features as a table whose numbers are float32 (missing: NaN) and whose text is str (missing: "").

    Numbers beyond float32, infinities included, count as missing: a served model gets its columns the same way.
    Columns of an array are named x0, x1, ...; images are flattened.
    """
    if isinstance(features, np.ndarray):
        flat = features.reshape(len(features), -1)
        return pd.DataFrame(_float32(flat), columns=[f"x{index}" for index in range(flat.shape[1])])
    cleaned = {str(name): _clean(column) for name, column in features.items()}
    return pd.DataFrame(cleaned, index=features.index)


def useful_columns(table: pd.DataFrame, *, keep_missing: bool) -> Columns:
    """Return the columns of a cleaned training table that hold at least two different values.

    Args:
        table: From `as_table`.
        keep_missing: Whether a missing number stays one, and so is a value of its own.
    """
    numeric = tuple(str(name) for name in table.columns if table[name].dtype == np.float32)
    text = tuple(str(name) for name in table.columns if table[name].dtype != np.float32)
    return Columns(
        numeric=tuple(name for name in numeric if table[name].nunique(dropna=not keep_missing) > 1),
        text=tuple(name for name in text if table[name].nunique() > 1),
    )


def frequent_levels(column: pd.Series[Any], *, at_least: int) -> list[str]:
    """Return the categories with `at_least` training rows, sorted; at most the `MAX_LEVELS` most frequent."""
    counts = column.value_counts()
    most = heapq.nsmallest(MAX_LEVELS, counts.items(), key=lambda item: (-int(item[1]), str(item[0])))
    return sorted(str(level) for level, count in most if int(count) >= at_least)


def order_by_target(column: pd.Series[Any], levels: list[str], target: Array, task: Task) -> list[str]:
    """Return categories in the order of their mean target in train, so that trees can split them at one threshold.

    With several classes the order is that of the first principal direction of the categories' class frequencies
    (Coppersmith, Hong, Hosking 1999).
    """
    if len(levels) < 2:
        return levels
    values = target[:, None].astype(np.float64)
    if task is Task.MULTICLASS:
        values = np.eye(int(target.max()) + 1)[target]
    overall = values.mean(axis=0)
    codes = pd.Index(levels, dtype=object).get_indexer(pd.Index(column.to_numpy(dtype=object)))
    sums = np.stack([values[codes == code].sum(axis=0) for code in range(len(levels))])
    counts = np.array([[(codes == code).sum()] for code in range(len(levels))])
    means = (sums + _PRIOR_ROWS * overall) / (counts + _PRIOR_ROWS) - overall
    if task is Task.MULTICLASS:
        _, _, directions = np.linalg.svd(means * np.sqrt(counts), full_matrices=False)
        means = means @ directions[0][:, None]
    return [levels[index] for index in np.argsort(means[:, 0], kind="stable")]


def _clean(column: pd.Series[Any]) -> Array:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return _float32(column.to_numpy(dtype=np.float64, na_value=np.nan))
    missing = column.isna().to_numpy()
    text = column.astype(str).to_numpy(dtype=object)
    return np.where(missing, "", text)


def _float32(values: Array) -> Array:
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    single[~np.isfinite(single)] = np.nan
    return single
