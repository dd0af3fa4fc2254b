"""Folds: the train and validation rows of a split, cut into K parts that each validate once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from search.contract import Dataset, Part
from search.data.blocks import column_of, strata_of
from search.data.dealing import deal, generator
from search.data.duplicates import Blocks, numbered
from search.data.scheme import Scheme
from search.errors import InputError

Rows = np.ndarray[Any, np.dtype[np.int64]]

_STREAM: Final = 1  # of the seed: the split itself draws from another, so that folds change nothing of it


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Rows to train on and rows to validate on, by their place among the train rows followed by the validation rows.

    Attributes:
        train: (rows,) places, ascending.
        validation: (rows,) places, ascending.
    """

    train: Rows
    validation: Rows

    def parts(self, train: Part, validation: Part) -> tuple[Part, Part]:
        """Return what the fold trains and validates on, of the two parts of the split."""
        joined = _joined(train, validation)
        return _taken(joined, self.train), _taken(joined, self.validation)

    def digest(self) -> str:
        """Return a hash of the fold, as 64 hex digits."""
        return digest_of(self.train, self.validation)


def make_folds(
    dataset: Dataset, train: Rows, validation: Rows, scheme: Scheme, blocks: Blocks | None, *, seed: int
) -> tuple[Fold, ...]:
    """Cut the train and validation rows of a data set into `scheme.folds` folds.

    Equal rows and groups stay together, and each fold has its share of every class, as in the split. By time the rows
    are cut into one more span than there are folds: each fold trains on all spans up to one, and validates on the next.

    Args:
        dataset: All rows.
        train: (rows,) indices.
        validation: (rows,) indices.
        scheme: Of the split.
        blocks: What the split kept together; None by time.
        seed: Of the sweep.

    Raises:
        InputError: There are fewer rows, groups or times than folds.
    """
    k, rows = scheme.folds, np.concatenate([train, validation])
    if len(rows) < 2 * k:
        raise InputError(
            f"--folds {k} needs at least {2 * k} rows to train and validate on; {dataset.name} has {len(rows)} of them",
            field="--folds",
        )
    features: Any = dataset.features
    chosen = features[rows] if isinstance(features, np.ndarray) else features.iloc[rows]
    part = replace(dataset, features=chosen, target=dataset.target[rows])
    if blocks is None:
        return _in_order(part, scheme)
    together = numbered(blocks[rows])
    if (count := int(together.max()) + 1) < k:
        what = f"groups of {scheme.column!r}" if scheme.kind == "group" else "different rows"
        raise InputError(
            f"--folds {k} needs at least {k} {what} to train and validate on; there are {count}",
            field="--folds",
            hint=f"try --folds {count}" if count > 1 else "",
        )
    counts = _even(len(rows), k)
    labels = deal(together, strata_of(part, scheme), counts, generator([seed, _STREAM]), rare_first=False)
    return tuple(Fold(np.flatnonzero(labels != number), np.flatnonzero(labels == number)) for number in range(k))


def digest_of(*parts: Rows, beside: object = None) -> str:
    """Return a hash of row numbers, part by part, and of what JSON-ready stands beside, as 64 hex digits."""
    digest = hashlib.sha256(json.dumps([[len(part) for part in parts], beside]).encode())
    for rows in parts:
        digest.update(np.ascontiguousarray(rows, dtype="<i8").data)
    return digest.hexdigest()


def _in_order(part: Dataset, scheme: Scheme) -> tuple[Fold, ...]:
    from search.data.ordering import cut_in_order, times_of

    times = times_of(column_of(part, scheme), scheme.column)
    spans = _even(len(times), scheme.folds + 1)
    labels = cut_in_order(times, spans, scheme.column)
    return tuple(Fold(np.flatnonzero(labels < span), np.flatnonzero(labels == span)) for span in range(1, len(spans)))


def _even(rows: int, parts: int) -> Sequence[int]:
    return [rows * (number + 1) // parts - rows * number // parts for number in range(parts)]


def _joined(train: Part, validation: Part) -> Part:
    target = np.concatenate([train.target, validation.target])
    if isinstance(train.features, np.ndarray):
        return Part(np.concatenate([train.features, validation.features]), target)
    import pandas as pd

    return Part(pd.concat([train.features, validation.features], ignore_index=True), target)


def _taken(part: Part, places: Rows) -> Part:
    features = part.features
    chosen = features[places] if isinstance(features, np.ndarray) else features.iloc[places].reset_index(drop=True)
    return Part(chosen, part.target[places])
