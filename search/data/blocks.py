"""What of a data set may not be torn apart, and what is to be alike in all parts, by the scheme of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.contract import Dataset
from search.data.duplicates import Blocks, equal_rows, numbered, tied
from search.data.scheme import Scheme
from search.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

_LEAST_DIFFERENT: Final = 20  # fewer different rows than this are no copies of each other: the table is coarse
_MOST: Final = 0.5  # equal rows that tie more of all rows than this into one block are left out of account
_BINS: Final = 10  # of a regression's target, filled alike in each part
_SHOWN: Final = 200  # columns among which a misspelt one is looked for


def blocks_of(dataset: Dataset, scheme: Scheme, *, parts: int) -> tuple[Blocks, tuple[str, ...]]:
    """Return what may not be torn apart, and a note where equal rows are.

    Equal rows stay together unless that would leave nothing to split: a table of two yes-or-no columns has four
    different rows, which come again and again without being copies.

    Args:
        dataset: All rows.
        scheme: Of the split.
        parts: How many there are to be.

    Raises:
        InputError: There are fewer groups than parts.
    """
    if scheme.kind == "group":
        return _grouped(dataset, scheme, parts)
    blocks = equal_rows(dataset.features)
    sizes = np.bincount(blocks)
    if len(sizes) < _LEAST_DIFFERENT:
        return np.arange(len(blocks)), (f"only {len(sizes)} different rows: equal rows are not kept together",)
    if (most := int(sizes.max())) <= _MOST * len(blocks):
        return blocks, ()
    alone = len(sizes) + np.arange(len(blocks))
    return (
        numbered(np.where(sizes[blocks] == most, alone, blocks)),
        (f"{most} of {len(blocks)} rows are equal to each other: these are not kept together",),
    )


def _grouped(dataset: Dataset, scheme: Scheme, parts: int) -> tuple[Blocks, tuple[str, ...]]:
    groups = numbered(column_of(dataset, scheme))
    if (count := int(groups.max()) + 1) < parts:
        raise InputError(
            f"group column {scheme.column!r} has {count} groups, which cannot make {parts} parts",
            field="--split",
            hint="group by a finer column, or use --split stratified",
        )
    left_out = f"the group column {scheme.column!r} is left out of the features"
    both = tied(groups, equal_rows(dataset.features, without=(scheme.column,)))
    sizes, before = np.bincount(both), np.bincount(groups)
    if len(sizes) >= max(parts, _MOST * count) and int(sizes.max()) <= max(int(before.max()), _MOST * len(both)):
        return both, (left_out,)
    return groups, (
        left_out,
        f"equal rows tie most groups of {scheme.column!r} together: groups are kept whole, equal rows are not",
    )


def strata_of(dataset: Dataset, scheme: Scheme) -> np.ndarray[Any, Any]:
    """Return what is to be alike in all parts: (rows,) the class, or the tenth of the target, as a whole number."""
    if scheme.kind == "random":
        return np.zeros(len(dataset.target), dtype=np.int64)
    return dataset.target if dataset.task.is_classification else _bins(dataset.target)


def column_of(dataset: Dataset, scheme: Scheme) -> pd.Series[Any]:
    """Return the column that a scheme names.

    Raises:
        InputError: There is none.
    """
    features = dataset.features
    if isinstance(features, np.ndarray):
        raise InputError(
            f"--split {scheme.text} needs a table with the column {scheme.column[:60]!r}; {dataset.name} is an array",
            field="--split",
        )
    for position, name in enumerate(features.columns):
        if str(name) == scheme.column:
            if scheme.kind == "group" and features.shape[1] == 1:
                raise InputError(
                    f"{dataset.name} has no feature besides the group column {scheme.column[:60]!r}", field="--split"
                )
            return features.iloc[:, position]
    raise InputError(
        f"{dataset.name} has no feature column {scheme.column[:60]!r} to split by",
        field="--split",
        hint=did_you_mean(scheme.column, map(str, features.columns[:_SHOWN])),
    )


def _bins(target: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the tenth of the data that each value belongs to, 0 to 9."""
    ranks = np.empty(len(target), dtype=np.int64)
    ranks[np.argsort(target, kind="stable")] = np.arange(len(target))
    return ranks * _BINS // len(target)
