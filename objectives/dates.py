"""Dates as numbers: their parts, their places in the cycles of year, week and day, and the days since the first."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

Array = np.ndarray[Any, Any]

# Tried in this order on the training rows; the first that reads most of them reads all others too, so that what a row
# becomes depends on no other row of its table.
FORMATS: Final = (
    "ISO8601",
    *(
        f"{day}{time}"
        for day in ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y")
        for time in ("", " %H:%M", " %H:%M:%S")
    ),
    "%d-%b-%Y",
    "%d %b %Y",
    "%b %d, %Y",
    "%B %d, %Y",
)

_PARTS: Final = ("year", "month", "day", "day_of_week", "hour", "days")
_CYCLES: Final = ("year", "week", "day")


class DateParts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn columns of dates, as text, into numbers; what is no date is missing. Times of day are those of UTC.

    Parts that are the same in all training rows (the hour of plain dates) are left out.

    Args:
        cycles: Add sine and cosine of the places in year, week and day, so that December lies beside January.
    """

    def __init__(self, cycles: bool = False) -> None:
        self.cycles = cycles

    def fit(self, features: pd.DataFrame, y: object = None) -> DateParts:
        self.feature_names_in_ = np.array([str(name) for name in features.columns], dtype=object)
        self.n_features_in_ = features.shape[1]
        columns = [features.iloc[:, index] for index in range(self.n_features_in_)]
        self.formats_ = [best_format(column) for column in columns]
        moments = [read_dates(column, one) for column, one in zip(columns, self.formats_, strict=True)]
        self.first_ = [one.min() for one in moments]
        self.kept_ = []
        for found, first in zip(moments, self.first_, strict=True):
            parts = _numbers(found, first, cycles=self.cycles)
            self.kept_.append([name for name, values in parts.items() if _varies(values)])
        return self

    def transform(self, features: pd.DataFrame) -> Array:
        """Return (rows, parts) float32."""
        check_is_fitted(self)
        made = [np.empty((len(features), 0))]
        for index, (one, first, kept) in enumerate(zip(self.formats_, self.first_, self.kept_, strict=True)):
            parts = _numbers(read_dates(features.iloc[:, index], one), first, cycles=self.cycles)
            made += [parts[name][:, None] for name in kept]
        return np.hstack(made).astype(np.float32)

    def get_feature_names_out(self, input_features: object = None) -> Array:
        check_is_fitted(self)
        pairs = zip(self.feature_names_in_, self.kept_, strict=True)
        return np.array([f"{column}_{part}" for column, kept in pairs for part in kept], dtype=object)


def read_dates(column: pd.Series[Any], one: str) -> pd.DatetimeIndex:
    """Read texts of one format; what is none, the empty text included, is missing."""
    return pd.DatetimeIndex(pd.to_datetime(column.to_numpy(dtype=object), format=one, errors="coerce", utc=True))


def best_format(column: pd.Series[Any]) -> str:
    """Return the format that reads most of the training rows."""
    given = column[column.to_numpy(dtype=object) != ""]
    best, read = FORMATS[0], -1
    for one in FORMATS:
        count = len(read_dates(given, one).dropna())
        if count > read:
            best, read = one, count
        if read == len(given):
            break
    return best


def has_two_dates(column: pd.Series[Any]) -> bool:
    """Tell whether a column of the training rows holds at least two different dates."""
    return bool(read_dates(column, best_format(column)).nunique() > 1)


def _numbers(moments: pd.DatetimeIndex, first: pd.Timestamp, *, cycles: bool) -> dict[str, Array]:
    since = moments - first
    parts: dict[str, Array] = {name: np.asarray(getattr(moments, name), dtype=np.float64) for name in _PARTS[:-1]}
    parts["days"] = np.asarray(since.total_seconds(), dtype=np.float64) / 86_400
    if not cycles:
        return parts
    places = {
        "year": (parts["month"] - 1 + (parts["day"] - 1) / 31) / 12,
        "week": parts["day_of_week"] / 7,
        "day": parts["hour"] / 24,
    }
    for name in _CYCLES:
        parts[f"sine of {name}"] = np.sin(2 * np.pi * places[name])
        parts[f"cosine of {name}"] = np.cos(2 * np.pi * places[name])
    return parts


def _varies(values: Array) -> bool:
    known = values[~np.isnan(values)]
    return bool(len(known)) and bool((known != known[0]).any())
