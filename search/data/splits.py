"""Split a data set into train, validation and a sealed test part."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from search.contract import Dataset, Part
from search.data.blocks import blocks_of, column_of, strata_of
from search.data.dealing import deal, generator
from search.data.folding import Fold, Rows, digest_of, make_folds
from search.data.scheme import Scheme
from search.errors import InputError, SurroundingsError
from search.paths import write_atomic

MIN_ROWS: Final = 20
"""Fewer rows than this cannot be split into parts that mean anything."""

_AUTO: Final = Scheme()


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

    def counts(self, rows: int) -> tuple[int, int, int]:
        """Return how many of so many rows each part gets, one at least."""
        validation = max(1, round(rows * self.validation))
        test = max(1, round(rows * self.test))
        return rows - validation - test, validation, test


class SealedTest:
    """The test rows. They come out through `open` alone, which takes a reason.

    What was opened when, by whichever study, stands in the ledger of the results folder and nowhere else.

    Attributes:
        openings: The reason of each opening of this object.
    """

    __slots__ = ("__left_out", "__rows", "openings")

    def __init__(self, rows: Rows, left_out: Sequence[str] = ()) -> None:
        self.__rows = rows
        self.__left_out = tuple(left_out)
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
        return _part(dataset, self.__rows, self.__left_out)

    def _sealed(self) -> Rows:
        """Return the row numbers, for a file or a hash that holds them; they show nothing of what is in the rows."""
        return self.__rows


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Which rows of a data set belong to which part.

    Attributes:
        train: (rows,) indices, ascending.
        validation: (rows,) indices, ascending.
        test: Sealed.
        left_out: Columns that no part has: the one that tells the groups.
        folds: Of the train and validation rows, where a cross-validation was asked for.
        notes: What people should know of how it came about, a sentence each.
    """

    train: Rows
    validation: Rows
    test: SealedTest
    left_out: tuple[str, ...] = ()
    folds: tuple[Fold, ...] = ()
    notes: tuple[str, ...] = ()

    def parts(self, dataset: Dataset) -> tuple[Part, Part]:
        """Return the train and the validation rows of the data set that was split."""
        rows = len(self.train) + len(self.validation) + len(self.test)
        if len(dataset.target) != rows:
            raise ValueError(f"this split is of {rows} rows, {dataset.name} has {len(dataset.target)}")
        return _part(dataset, self.train, self.left_out), _part(dataset, self.validation, self.left_out)

    def digest(self) -> str:
        """Return a hash of which row is where, folds included, as 64 hex digits."""
        folds = [array for fold in self.folds for array in (fold.train, fold.validation)]
        return digest_of(self.train, self.validation, self.test._sealed(), *folds, beside=self.left_out)

    def save(self, path: Path) -> None:
        """Write the split to an `.npz` file, whole or not at all."""
        told = {"left_out": self.left_out, "folds": len(self.folds), "notes": self.notes}
        arrays: dict[str, Any] = {"train": self.train, "validation": self.validation, "test": self.test._sealed()}
        for number, fold in enumerate(self.folds):
            arrays |= {f"fold{number}_train": fold.train, f"fold{number}_validation": fold.validation}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, told=np.frombuffer(json.dumps(told).encode(), dtype=np.uint8), **arrays)
        write_atomic(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read what `save` wrote.

        Raises:
            SurroundingsError: The file is missing or damaged.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                told = json.loads(stored["told"].tobytes())
                train, validation, test = (stored[name] for name in ("train", "validation", "test"))
                folds = tuple(
                    Fold(stored[f"fold{number}_train"], stored[f"fold{number}_validation"])
                    for number in range(told["folds"])
                )
            left_out = tuple(told["left_out"])
            sealed = SealedTest(test, left_out)
            return cls(train, validation, sealed, left_out, folds, tuple(told["notes"]))
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            raise SurroundingsError(
                f"the stored split {path.name} cannot be read: {' '.join(str(error).split())[:80]}", field="split"
            ) from error


def split(dataset: Dataset, *, seed: int, fractions: Fractions = Fractions(), scheme: Scheme = _AUTO) -> Split:
    """Split by the seed and the data alone: the same rows in any process and with any version of the libraries.

    Rows that are equal in every feature are in one part, whatever their targets. But for `random` and `time`, each part
    gets its share of every class, or of every tenth of a regression's target, and a class too rare to be shared out is
    in train; only where there are more classes than training rows are some left to chance.

    Args:
        dataset: All rows.
        seed: Of the sweep.
        fractions: The share of each part.
        scheme: How rows are shared out.

    Raises:
        InputError: There are fewer than `MIN_ROWS` rows, or the scheme does not fit the data.
    """
    rows = len(dataset.target)
    if rows < MIN_ROWS:
        raise InputError(f"{dataset.name} has {rows} rows; training needs at least {MIN_ROWS}", field="data")
    counts = fractions.counts(rows)
    blocks, notes = (None, ()) if scheme.kind == "time" else blocks_of(dataset, scheme, parts=len(counts))
    if blocks is None:
        from search.data.ordering import cut_in_order, times_of

        labels = cut_in_order(times_of(column_of(dataset, scheme), scheme.column), counts, scheme.column)
    else:
        rare_first = dataset.task.is_classification and scheme.kind != "random"
        labels = deal(blocks, strata_of(dataset, scheme), counts, generator(seed), rare_first=rare_first)
    train, validation, test = (np.flatnonzero(labels == part) for part in range(3))
    _check_classes(dataset, train, scheme)
    folds = make_folds(dataset, train, validation, scheme, blocks, seed=seed) if scheme.folds else ()
    left_out = (scheme.column,) if scheme.kind == "group" else ()
    return Split(train, validation, SealedTest(test, left_out), left_out, folds, notes)


def _check_classes(dataset: Dataset, train: Rows, scheme: Scheme) -> None:
    if dataset.task.is_classification and len(np.unique(dataset.target[train])) < 2:
        name = dataset.classes[int(dataset.target[train[0]])] if dataset.classes else str(dataset.target[train[0]])
        raise InputError(
            f"--split {scheme.text} leaves one class in train ({name[:40]!r}); a classifier needs two",
            field="--split",
            hint="split by another column, or use --split stratified",
        )


def _part(dataset: Dataset, rows: Rows, left_out: Sequence[str] = ()) -> Part:
    features = dataset.features
    if isinstance(features, np.ndarray):
        return Part(features[rows], dataset.target[rows])
    kept = [position for position, name in enumerate(features.columns) if str(name) not in left_out]
    chosen = features.iloc[rows] if len(kept) == features.shape[1] else features.iloc[rows, kept]
    return Part(chosen.reset_index(drop=True), dataset.target[rows])
