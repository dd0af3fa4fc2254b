"""Of a large study, the trials whose curves and words the page carries: `chosen`."""

from __future__ import annotations

from typing import Final

import numpy as np

from search.records.history import History, Ints

MOST_VALUES: Final = 200_000
"""Values of curves that the page carries at most."""

MOST_TRIALS: Final = 10_000
"""Trials with words of their ends, at most."""

RULE: Final = "the best, those that failed first, those that run, and the rest spread evenly over their numbers"


def chosen(history: History, most_values: int = MOST_VALUES) -> Ints:
    """Return numbers of trials, ascending: all of them, or as many as there is room for, by `RULE`."""
    count = len(history)
    mean = max(1.0, len(history.reports.step) / max(1, count))
    room = min(MOST_TRIALS, int(most_values / mean))
    if count <= room:
        return np.arange(count)
    first = [
        ranked(history)[: room // 4],
        np.flatnonzero(history.are("fail"))[: room // 8],
        np.flatnonzero(history.are("running", "paused"))[: room // 8],
    ]
    found = np.unique(np.concatenate([*first, np.array(history.front[: room // 8], np.int64)]))
    rest = np.setdiff1d(np.arange(count), found, assume_unique=True)
    spread = rest[np.linspace(0, len(rest) - 1, room - len(found)).astype(np.int64)]
    return np.union1d(found, spread)


def ranked(history: History) -> Ints:
    """Return the numbers of trials that completed and keep to their constraints, the best first."""
    fit = np.flatnonzero(history.candidates)
    return fit[np.argsort(history.losses[fit], kind="stable")]


def note(history: History, numbers: Ints) -> str:
    """Say whose curves and words are there; "" if all are."""
    if len(numbers) == len(history):
        return ""
    return f"Curves and words of {len(numbers):,} of {len(history):,} trials are in the page: {RULE}."
