"""Outliers: values drawn in, and training rows left out, by what the training rows look like."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.ensemble import IsolationForest
from sklearn.utils.validation import check_is_fitted, validate_data

Array = np.ndarray[Any, Any]

# A normal column's median absolute deviation is 1 / 1.4826 of its standard deviation.
_NORMAL: Final = 1.4826

_TREES: Final = 100
_TREE_ROWS: Final = 256


class Drawn(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Draw values in to `low_` and `high_` of their column; missing values stay."""

    low_: Array
    high_: Array

    def transform(self, features: Any) -> Array:
        check_is_fitted(self)
        return self._held(numbers_of(self, features, reset=False))

    def _held(self, values: Array) -> Array:
        return np.asarray(np.clip(values, self.low_.astype(values.dtype), self.high_.astype(values.dtype)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class Clip(Drawn):
    """Draw values in to two quantiles of the training rows; missing values stay."""

    def __init__(self, tail: float = 0.01) -> None:
        self.tail = tail

    def fit(self, features: Any, y: object = None) -> Clip:
        """Learn the quantiles `tail` and `1 - tail` of each column; an all-missing one cannot come here."""
        values = numbers_of(self, features, reset=True)
        self.low_, self.high_ = np.nanquantile(values, [self.tail, 1 - self.tail], axis=0).astype(values.dtype)
        return self


class RobustClip(Drawn):
    """Draw values in to `limit` robust deviations from the median; a column that is mostly one value is left alone.

    The deviation is the median distance from the median, in units of a normal column's standard deviation.
    """

    def __init__(self, limit: float = 4.0) -> None:
        self.limit = limit

    def fit(self, features: Any, y: object = None) -> RobustClip:
        """Learn the two ends of each column; an all-missing one cannot come here."""
        values = numbers_of(self, features, reset=True)
        middle = np.nanmedian(values, axis=0)
        reach = self.limit * _NORMAL * np.nanmedian(np.abs(values - middle), axis=0)
        reach = np.where(reach > 0, reach, np.inf)
        with np.errstate(over="ignore"):
            self.low_, self.high_ = (middle - reach).astype(values.dtype), (middle + reach).astype(values.dtype)
        return self


class Bound(Drawn):
    """Draw values in to [-limit, limit]; missing values stay."""

    def __init__(self, limit: float = 20.0) -> None:
        self.limit = limit

    def fit(self, features: Any, y: object = None) -> Bound:
        values = numbers_of(self, features, reset=True)
        self.high_ = np.full(values.shape[1], self.limit, dtype=values.dtype)
        self.low_ = -self.high_
        return self


def isolated(numbers: Array, share: float, seed: int) -> Array:
    """Tell which training rows an isolation forest isolates in the fewest cuts (Liu, Ting, Zhou 2008).

    Args:
        numbers: (rows, columns); a missing value counts as the column's median.
        share: Of the rows, rounded down.

    Returns:
        (rows,) bool.
    """
    found = np.zeros(len(numbers), dtype=bool)
    count = int(share * len(numbers))
    if count == 0 or numbers.shape[1] == 0:
        return found
    filled = np.where(np.isnan(numbers), np.nanmedian(numbers, axis=0), numbers)
    forest = IsolationForest(n_estimators=_TREES, max_samples=min(_TREE_ROWS, len(filled)), random_state=seed, n_jobs=1)
    scores = forest.fit(filled).score_samples(filled)
    found[np.argsort(scores, kind="stable")[:count]] = True
    return found


def numbers_of(step: Any, features: Any, *, reset: bool) -> Array:
    """Return what a step is given as an array; infinite values are let in: scaling by a tiny deviation may overflow."""
    return np.asarray(
        validate_data(step, features, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite=False)
    )
