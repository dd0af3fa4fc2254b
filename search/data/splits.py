"""Split a data set into train, validation and a sealed test part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from search.contract import Dataset, Part
from search.errors import InputError

MIN_ROWS: Final = 20
"""Fewer rows than this cannot be split into parts that mean anything."""

_BINS: Final = 10  # of a regression's target, filled alike in each part

Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Fractions:
    """The share of each part; the shares sum to 1."""

    train: float = 0.6
    validation: float = 0.2
    test: float = 0.2

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
            raise ValueError(f"fractions must be above 0 and sum to 1, got {shares}")


class SealedTest:
    """The test rows. They come out through `open` alone, which keeps the reason.

    Attributes:
        openings: The reason of each opening so far.
    """

    __slots__ = ("__rows", "openings")

    def __init__(self, rows: Rows) -> None:
        self.__rows = rows
        self.openings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.__rows)

    def __repr__(self) -> str:
        return f"<{len(self)} sealed test rows, opened {len(self.openings)} times>"

    def open(self, dataset: Dataset, reason: str) -> Part:
        """Return the test rows of `dataset`, and remember why.

        Raises:
            ValueError: No reason is given.
        """
        if not reason.strip():
            raise ValueError("opening the test part needs a reason")
        self.openings = (*self.openings, reason)
        return _part(dataset, self.__rows)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Which rows of a data set belong to which part.

    Attributes:
        train: (rows,) indices, ascending.
        validation: (rows,) indices, ascending.
        test: Sealed.
    """

    train: Rows
    validation: Rows
    test: SealedTest

    def parts(self, dataset: Dataset) -> tuple[Part, Part]:
        """Return the train and the validation rows of the data set that was split."""
        rows = len(self.train) + len(self.validation) + len(self.test)
        if len(dataset.target) != rows:
            raise ValueError(f"this split is of {rows} rows, {dataset.name} has {len(dataset.target)}")
        return _part(dataset, self.train), _part(dataset, self.validation)


def split(dataset: Dataset, *, seed: int, fractions: Fractions = Fractions()) -> Split:
    """Split by the seed and the target alone: the same rows in any process and with any version of the libraries.

    Each part gets its share of every class, or of every tenth of a regression's target. A class too rare to be shared
    out is in train; only where there are more classes than training rows are some left to chance.

    Raises:
        InputError: There are fewer than `MIN_ROWS` rows.
    """
    target = dataset.target
    rows = len(target)
    if rows < MIN_ROWS:
        raise InputError(f"{dataset.name} has {rows} rows; training needs at least {MIN_ROWS}", field="data")
    # numpy promises the stream of this generator for ever; that of its newer interface may change
    random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))
    strata = target if dataset.task.is_classification else _bins(target)

    order = random.permutation(rows)
    order = order[np.argsort(strata[order], kind="stable")]
    counts = _counts(rows, fractions)
    kept = np.zeros(rows, dtype=bool)
    if dataset.task.is_classification:
        first = np.flatnonzero(np.r_[True, np.diff(strata[order]) != 0])
        if len(first) <= counts[0]:
            kept[first] = True  # one row of each class is in train
    free = order[~kept]
    labels = _spread([counts[0] - int(kept.sum()), *counts[1:]], random)
    train = np.concatenate([order[kept], free[labels == 0]])
    return Split(np.sort(train), np.sort(free[labels == 1]), SealedTest(np.sort(free[labels == 2])))


def _counts(rows: int, fractions: Fractions) -> tuple[int, int, int]:
    validation = max(1, round(rows * fractions.validation))
    test = max(1, round(rows * fractions.test))
    return rows - validation - test, validation, test


def _bins(target: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the tenth of the data that each value belongs to, 0 to 9."""
    ranks = np.empty(len(target), dtype=np.int64)
    ranks[np.argsort(target, kind="stable")] = np.arange(len(target))
    return ranks * _BINS // len(target)


def _spread(counts: Sequence[int], random: np.random.RandomState) -> np.ndarray[Any, Any]:
    """Return labels 0, 1, ..., `counts[i]` times i, each as evenly spaced as can be."""
    total = sum(counts)
    labels = np.zeros(total, dtype=np.int64)
    free = np.arange(total)
    for label, count in enumerate(counts[1:], start=1):
        # Bresenham's line from a random start; whole numbers, so that the count comes out exactly
        marks = (random.randint(len(free)) + np.arange(len(free) + 1) * count) // len(free)
        chosen = np.diff(marks) > 0
        labels[free[chosen]] = label
        free = free[~chosen]
    return labels


def _part(dataset: Dataset, rows: Rows) -> Part:
    features = dataset.features
    chosen = features[rows] if isinstance(features, np.ndarray) else features.iloc[rows].reset_index(drop=True)
    return Part(chosen, dataset.target[rows])
