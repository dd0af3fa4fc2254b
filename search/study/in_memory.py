"""A study's storage that lives and dies with this process: no file, no lock, nothing to sync."""

from __future__ import annotations

import contextlib
from typing import cast

from optuna.storages import InMemoryStorage

from search.study.lock import StudyLock
from search.study.storage import StudyStorage


def open_in_memory() -> StudyStorage:
    """Return an empty storage that this process alone can see."""
    unlocked = cast("StudyLock", _Unlocked())
    return StudyStorage(InMemoryStorage(), contextlib.nullcontext, _nothing, (), None, _nothing, unlocked)


class _Unlocked:
    """The lock of what nobody else can reach."""

    def release(self) -> None:
        """Do nothing: there is nothing to let go of."""


def _nothing() -> None:
    """Do nothing: what is in memory needs no sync."""
