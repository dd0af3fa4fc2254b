"""What a column holds, in a few facts: the `ColumnProfile`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from search.contract import Role
from search.data.roles import parse_dates, role_of

QUANTILES: Final = (0.01, 0.25, 0.5, 0.75, 0.99)
MAX_SAMPLE: Final = 200_000
"""Quantiles of a column with more rows are those of so many, spread evenly."""

_SHOWN: Final = 5  # levels
_ROBUST_Z: Final = 5.0
_FENCES: Final = 3.0  # interquartile ranges beyond the quartiles
_NORMAL_MAD: Final = 1.4826  # what turns a median absolute deviation into the deviation of a normal distribution


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What a column holds.

    Attributes:
        name: Of the column.
        role: What it is for.
        type: `number` or `text`.
        missing: Rows without a value.
        distinct: Different values.
        least, greatest: Of numbers; None for text, and where there is none.
        mean: Of numbers.
        quantiles: Of numbers, at `QUANTILES`.
        outliers: Numbers more than five robust deviations from the median, or three interquartile ranges beyond the
            quartiles.
        zeros: Numbers that are 0.
        first, last: Of dates, as ISO text.
        top: The most frequent values of text, or of a column of two values, with their rows.
    """

    name: str
    role: Role
    type: str
    missing: int
    distinct: int
    least: float | None = None
    greatest: float | None = None
    mean: float | None = None
    quantiles: tuple[float, ...] = ()
    outliers: int = 0
    zeros: int = 0
    first: str | None = None
    last: str | None = None
    top: tuple[tuple[str, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON-ready values."""
        return asdict(self) | {"quantiles": list(self.quantiles), "top": [list(pair) for pair in self.top]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ColumnProfile:
        """Return what `to_json` described."""
        top = tuple((str(level), int(rows)) for level, rows in values["top"])
        role, quantiles = Role(values["role"]), tuple(values["quantiles"])
        return cls(**{**values, "role": role, "quantiles": quantiles, "top": top})

    @property
    def range(self) -> str:
        """What its values are, for people, in a few words."""
        if self.first is not None:
            return f"{self.first} to {self.last}"
        if self.top:
            return ", ".join(f"{level} {rows}" for level, rows in self.top)
        if self.least is None or self.greatest is None:
            return ""
        if self.least == self.greatest:
            return f"{self.least:g}"
        return f"{self.least:g} to {self.greatest:g}, median {self.quantiles[2]:g}"


def profile_column(name: str, column: pd.Series[Any]) -> ColumnProfile:
    """Return what a cleaned column holds.

    Args:
        name: Of the column.
        column: float64, or text.
    """
    role = role_of(column)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return _profile_numbers(name, role, column.to_numpy(dtype=np.float64))
    return _profile_text(name, role, column)


def _profile_numbers(name: str, role: Role, values: np.ndarray[Any, Any]) -> ColumnProfile:
    present = values[~np.isnan(values)]
    missing = len(values) - len(present)
    if not len(present):
        return ColumnProfile(name, role, "number", missing, 0)
    levels = pd.unique(present)
    top: tuple[tuple[str, int], ...] = ()
    if len(levels) == 2:
        top = tuple((f"{level:g}", int((present == level).sum())) for level in np.sort(levels))
    sample = spread_evenly(present, MAX_SAMPLE)
    quantiles = np.quantile(sample, QUANTILES, method="nearest")  # between two large values there may be none
    return ColumnProfile(
        name,
        role,
        "number",
        missing,
        len(levels),
        least=float(present.min()),
        greatest=float(present.max()),
        mean=_mean(present),
        quantiles=tuple(float(value) for value in quantiles),
        outliers=_outliers(present, sample, quantiles) if len(levels) > 2 else 0,
        zeros=int((present == 0).sum()),
        top=top,
    )


def _mean(present: np.ndarray[Any, Any]) -> float:
    size = float(np.abs(present).max())
    # a sum may be beyond the largest float where no value is
    return float((present / size).mean()) * size if size > 1e300 else float(present.mean())


def _outliers(present: np.ndarray[Any, Any], sample: np.ndarray[Any, Any], quantiles: np.ndarray[Any, Any]) -> int:
    """Count values far out; where more than half of all are equal, no distance is far."""
    low, median, high = quantiles[1:4]
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = _NORMAL_MAD * float(np.median(np.abs(sample - median)))
        far = np.zeros(len(present), dtype=bool)
        if 0 < deviation < np.inf:
            far |= np.abs(present - median) > _ROBUST_Z * deviation
        if 0 < high - low < np.inf:
            reach = _FENCES * (high - low)
            far |= (present < low - reach) | (present > high + reach)
    return int(far.sum())


def _profile_text(name: str, role: Role, column: pd.Series[Any]) -> ColumnProfile:
    codes, levels = pd.factorize(column)
    missing = int((codes < 0).sum())
    if role is Role.DATE:
        moments = parse_dates(column).dropna()
        first, last = (_day(moment) for moment in (moments.min(), moments.max()))
        return ColumnProfile(name, role, "text", missing, len(levels), first=first, last=last)
    top: tuple[tuple[str, int], ...] = ()
    if role in (Role.BOOLEAN, Role.CATEGORY, Role.CONSTANT) and len(levels):
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        order = np.argsort(-counts, kind="stable")[:_SHOWN]
        top = tuple((str(levels[index]), int(counts[index])) for index in order)
    return ColumnProfile(name, role, "text", missing, len(levels), top=top)


def _day(moment: pd.Timestamp) -> str:
    text = moment.isoformat(timespec="seconds")
    return text.removesuffix("T00:00:00")


def spread_evenly(values: Any, most: int) -> Any:
    """Return at most so many rows from all over a column or a table; they are the same each time."""
    if len(values) <= most:
        return values
    rows = np.linspace(0, len(values) - 1, most).astype(np.int64)
    return values[rows] if isinstance(values, np.ndarray) else values.iloc[rows]
