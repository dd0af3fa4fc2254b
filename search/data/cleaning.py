"""Columns made fit for learning: numbers as float64, everything else as text, each missing value marked one way."""

from __future__ import annotations

import datetime
import decimal
import numbers
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from search.errors import InputError

TEXT: Final = pd.StringDtype(na_value=np.nan)
"""The type of a text column: compact, and a missing value is NaN as in every other column."""

_DATES: Final = (datetime.date, datetime.time)  # a datetime is a date
_MOSTLY: Final = 0.95
_SAMPLE: Final = 1000  # rows that show whether a long column is of plain text


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    """A column after cleaning, and what was done to it, in one sentence or none."""

    values: pd.Series[Any]
    note: str = ""


def clean(name: str, column: pd.Series[Any]) -> Cleaned:
    """Return a column as float64 (missing: NaN) or as `TEXT` (missing: NaN).

    Truth values become 0 and 1, durations seconds, dates ISO text. An infinite number counts as missing, and so does an
    empty text. A column without one value is numeric. A column that holds numbers and text is text.

    Args:
        name: For messages.
        column: As it was read.

    Raises:
        InputError: It holds values that are neither numbers nor text.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.dtype.categories.dtype if column.notna().all() else object)
    if pd.api.types.is_complex_dtype(column.dtype):
        raise _strange(name, 0j)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return _numbers(name, column.to_numpy(dtype=np.float64, na_value=np.nan))
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        return _numbers(name, column.dt.total_seconds().to_numpy(dtype=np.float64))
    if pd.api.types.is_string_dtype(column.dtype) and column.dtype != object:
        return _texts(name, column.astype(TEXT))
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
        return _datetimes(name, column)
    return _objects(name, column)


def _datetimes(name: str, column: pd.Series[Any]) -> Cleaned:
    """Write dates without a zone as `isoformat` does, all at once where none has a fraction of a second."""
    values = column.to_numpy()
    seconds = values.astype("datetime64[s]")
    missing = np.isnat(values)
    if not (missing | (seconds == values)).all():
        return _objects(name, column)
    texts = pd.Series(np.datetime_as_string(seconds), dtype=TEXT)
    return _texts(name, texts.mask(missing))


def _objects(name: str, column: pd.Series[Any]) -> Cleaned:
    """Clean a column of Python objects; what kind it is only shows in the values."""
    values = column.to_numpy(dtype=object)
    present = column.notna().to_numpy()
    kinds = set(map(type, values[present]))
    if all(issubclass(kind, (numbers.Real, decimal.Decimal, np.bool_)) for kind in kinds):
        plain = np.full(len(values), np.nan)
        plain[present] = [_float(value) for value in values[present]]
        return _numbers(name, plain)
    texts = np.full(len(values), None, dtype=object)
    texts[present] = [_text(name, value) for value in values[present]]
    return _texts(name, pd.Series(texts, dtype=TEXT))


def _numbers(name: str, values: np.ndarray[Any, Any]) -> Cleaned:
    infinite = np.isinf(values)
    if not infinite.any():
        return Cleaned(pd.Series(values, copy=False))
    count = int(infinite.sum())
    return Cleaned(
        pd.Series(np.where(infinite, np.nan, values)), f"column {name!r}: {count} infinite values count as missing"
    )


def _texts(name: str, texts: pd.Series[Any]) -> Cleaned:
    texts = texts.reset_index(drop=True)
    texts = texts.mask((texts == "").fillna(False).astype(bool))
    present = texts.dropna()
    if present.empty:
        return Cleaned(pd.Series(np.full(len(texts), np.nan)))
    if pd.to_numeric(present.head(_SAMPLE), errors="coerce").isna().mean() > 0.5:
        return Cleaned(texts)
    stray = pd.to_numeric(present, errors="coerce").isna()
    if 0 < stray.sum() <= (1 - _MOSTLY) * len(present):
        first = str(present[stray].iloc[0])
        share = f"{len(present) - stray.sum()} of {len(present)} are numbers"
        return Cleaned(texts, f"column {name!r} is read as text because of {first[:40]!r}: {share}")
    return Cleaned(texts)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond the largest float
        return np.inf


def _text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, _DATES):
        return value.isoformat()
    if isinstance(value, (numbers.Real, decimal.Decimal, np.bool_)):
        return str(value)
    raise _strange(name, value)


def _strange(name: str, value: object) -> InputError:
    return InputError(
        f"column {name!r} holds {type(value).__name__} values; a table has numbers, text and dates", field=name
    )
