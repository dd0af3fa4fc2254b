"""What becomes of a labelled row: it is learnt, protected, held or put aside (`Fate`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np

from search.online.guards import is_holdout
from search.online.kept import Row
from search.online.state import State

_EXTREME: Final = 0.1
"""Share of odd values at either end that the range is not widened by."""


class Fate(StrEnum):
    """What becomes of a row; the values are for people."""

    LEARN = "it is learnt"
    TRUSTED = "an administrator labelled it"
    HOLDOUT = "one row in twenty is never learnt"
    OUTSIDE = "outside the ranges that were seen"
    HELD = "labels have suddenly other shares"
    SHARE = "its source has had its share of the newest rows"
    PAUSED = "learning is paused"

    @property
    def counts(self) -> bool:
        """Whether the row may speak for or against a model."""
        return self in (Fate.LEARN, Fate.HOLDOUT, Fate.PAUSED)


def fate_of(state: State, row: Row, *, trusted: bool, held: bool) -> Fate:
    """Return what becomes of a row.

    Args:
        state: Has the guards, which take note of the row.
        row: Labelled.
        trusted: Whether an administrator labelled it.
        held: Whether labels have shifted suddenly.
    """
    if trusted:
        return Fate.TRUSTED
    if is_outside(state, row):  # as ranges are by now: the row may have been shown long ago
        return Fate.OUTSIDE
    if held:
        return Fate.HELD
    if not state.shares.admits(row.source):
        return Fate.SHARE
    if is_holdout(state.salt + row.id):
        return Fate.HOLDOUT
    return Fate.PAUSED if state.paused else Fate.LEARN


def is_outside(state: State, row: Row) -> bool:
    """Tell whether a row lies outside the ranges that were seen, or its value does, widened by as much on each side."""
    if state.target_range is not None:
        low, high = state.target_range
        if not low - (high - low) <= row.target <= high + (high - low):
            return True
    return bool(state.ranges.outside(row.columns)[0])


def widen_target(state: State, values: list[float]) -> None:
    """Widen the range of values by those that many rows have had, but for the outer ones."""
    if state.target_range is not None and values:
        low, high = np.quantile(values, [_EXTREME, 1 - _EXTREME]).tolist()
        state.target_range = [min(state.target_range[0], low), max(state.target_range[1], high)]
