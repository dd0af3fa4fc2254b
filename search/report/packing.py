"""Numbers as the page carries them: `rounded`, few digits, so that a large study stays a small file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

DIGITS: Final = 5
"""Digits that count of every number that the page carries, but for those in its words."""

Packed: TypeAlias = int | float | str | None
"""A number; None for NaN, `"inf"` and `"-inf"` for what JSON cannot write."""

_EXACT: Final = 15
"""Powers of ten up to here are whole floats, so that a division by one rounds right."""


def rounded(values: Sequence[float] | NDArray[Any], digits: int = DIGITS) -> list[Packed]:
    """Return numbers with so many digits that count, ready for JSON.

    Args:
        values: (n,): any numbers.
        digits: That are kept.
    """
    given = np.asarray(values, float)
    with np.errstate(all="ignore"):
        size = np.floor(np.log10(np.abs(given)))
        places = digits - 1 - size
        plain = np.isfinite(places) & (np.abs(places) <= _EXACT)
        up = 10.0 ** np.where(plain, np.maximum(places, 0), 0)
        down = 10.0 ** np.where(plain, np.maximum(-places, 0), 0)
        shown = np.round(given * up / down) * down / up
    listed: list[Packed] = [_short(one) for one in shown.tolist()]
    for place in np.flatnonzero(~plain & (given != 0)):
        listed[place] = one_number(float(given[place]), digits)
    return listed


def one_number(value: float, digits: int = DIGITS) -> Packed:
    """Return one number like `rounded`."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return _short(float(f"{value:.{digits}g}"))


def cell(value: Any) -> Packed:
    """Return a cell of a figure's table: a number as it is carried, anything else as text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return one_number(float(value), DIGITS + 1)
    return str(value)


def cells(values: Iterable[Any]) -> list[Packed]:
    """Return a column of a figure's table."""
    return [cell(value) for value in values]


def _short(value: float) -> int | float:
    """Write 3.0 as 3."""
    return int(value) if value.is_integer() and abs(value) < 10**_EXACT else value
