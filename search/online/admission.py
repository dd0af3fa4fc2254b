"""What becomes of a labelled row: it is learnt, protected, held or put aside (`Fate`)."""

from __future__ import annotations

from enum import StrEnum

from search.online.guards import is_holdout
from search.online.kept import Row
from search.online.state import State


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
    if state.ranges.outside(row.columns)[0]:  # as they are by now: the row may have been shown long ago
        return Fate.OUTSIDE
    if held:
        return Fate.HELD
    if not state.shares.admits(row.source):
        return Fate.SHARE
    if is_holdout(state.salt + row.id):
        return Fate.HOLDOUT
    return Fate.PAUSED if state.paused else Fate.LEARN
