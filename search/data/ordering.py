"""Rows in the order of time: a column of numbers or dates as ranks, cut where no two rows of one time come apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from search.data.roles import parse_dates
from search.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def times_of(column: pd.Series[Any], name: str) -> np.ndarray[Any, Any]:
    """Return a cleaned column as numbers that grow with time.

    Raises:
        InputError: A row has none, or it holds text that is no date.
    """
    missing = column.isna().to_numpy()
    if missing.any():
        raise InputError(
            f"time column {name!r} is empty in {int(missing.sum())} of {len(column)} rows",
            field="--split",
            hint="a row without a time may be from the future: fill it in, or leave the row out",
        )
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.to_numpy(dtype=np.float64)
    found = parse_dates(column)
    stray = found.isna().to_numpy()
    if stray.any():
        first = str(column.iloc[int(stray.argmax())])
        raise InputError(
            f"time column {name!r} holds {first[:40]!r}, which is neither a date nor a number",
            field="--split",
            hint="write dates as 2026-01-31 or 2026-01-31T12:00:00",
        )
    return found.to_numpy().astype("datetime64[us]").astype(np.int64)


def cut_in_order(times: np.ndarray[Any, Any], counts: Sequence[int], name: str) -> np.ndarray[Any, Any]:
    """Return the part of each row, the oldest rows in part 0: about `counts` rows each, rows of one time together.

    Raises:
        InputError: There are fewer different times than parts.
    """
    distinct, ranks = np.unique(times, return_inverse=True)
    if len(distinct) < len(counts):
        raise InputError(
            f"time column {name!r} has {len(distinct)} different times, which cannot make {len(counts)} parts",
            field="--split",
            hint="take a finer time, or fewer parts",
        )
    ends = np.cumsum(np.bincount(ranks))  # rows up to each time
    labels = np.zeros(len(distinct), dtype=np.int64)
    begin = 0
    for part, wanted in enumerate(np.cumsum(counts)[:-1], start=1):
        last = len(distinct) - (len(counts) - part)  # leaves a time for each part to come
        nearest = int(np.abs(ends - wanted).argmin()) + 1
        begin = min(max(nearest, begin + 1), last)
        labels[begin:] = part
    return labels[ranks]
