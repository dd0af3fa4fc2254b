"""Missing numbers: filled from similar rows, and told in columns of their own."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.impute import KNNImputer
from sklearn.utils.validation import check_is_fitted, validate_data

Array = np.ndarray[Any, Any]

# Every row with a gap is compared with every donor; more of them cost time and hardly move a mean of five.
_DONORS: Final = 2000


class Missing(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Tell where values are missing: 1, else 0.

    scikit-learn's `SimpleImputer(add_indicator=True)` does the same, but is exported to ONNX without these columns.
    """

    def fit(self, features: Any, y: object = None) -> Missing:
        _with_gaps(self, features, reset=True)
        return self

    def transform(self, features: Any) -> Array:
        return np.isnan(_with_gaps(self, features, reset=False)).astype(np.float32)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class Neighbours(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fill a missing value with its mean over the most similar training rows.

    Rows are compared in standard deviations of the training rows, so that no column decides by its unit; donors are at
    most 2,000 training rows, drawn by the seed.
    """

    def __init__(self, neighbours: int = 5, seed: int = 0) -> None:
        self.neighbours = neighbours
        self.seed = seed

    def fit(self, features: Any, y: object = None) -> Neighbours:
        values = _with_gaps(self, features, reset=True)
        self.mean_ = np.nan_to_num(_quiet(np.nanmean, values))
        deviation = np.nan_to_num(_quiet(np.nanstd, values))
        self.deviation_ = np.where(deviation > 0, deviation, 1.0)
        donors = values
        if len(values) > _DONORS:
            drawn = np.random.default_rng(self.seed).choice(len(values), _DONORS, replace=False)
            donors = values[np.sort(drawn)]
        # A column that no donor knows is filled with its mean, which is 0 here.
        self.imputer_ = KNNImputer(n_neighbors=self.neighbours, keep_empty_features=True)
        self.imputer_.fit((donors - self.mean_) / self.deviation_)
        return self

    def transform(self, features: Any) -> Array:
        check_is_fitted(self)
        values = _with_gaps(self, features, reset=False)
        filled = self.imputer_.transform((values - self.mean_) / self.deviation_) * self.deviation_ + self.mean_
        return np.where(np.isnan(values), filled.astype(values.dtype), values)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _with_gaps(step: BaseEstimator, features: Any, *, reset: bool) -> Array:
    """Return checked numbers, missing ones among them; `reset` notes their columns, else they have to be the same."""
    return np.asarray(
        validate_data(step, features, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
    )


def _quiet(statistic: Any, values: Array) -> Array:
    """Return a statistic of each column over its known values; NaN, without a warning, where there are none."""
    known = ~np.isnan(values).all(axis=0)
    found = np.full(values.shape[1], np.nan)
    found[known] = statistic(values[:, known], axis=0, dtype=np.float64)
    return found
