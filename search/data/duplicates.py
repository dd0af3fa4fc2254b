"""Rows that belong together: equal in every feature, or of one group. A *block* is what no split may tear apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Blocks = np.ndarray[Any, np.dtype[np.int64]]
"""(rows,) the block of each row, numbered by first appearance: what a hash or a group is called does not count."""


def equal_rows(features: pd.DataFrame | np.ndarray[Any, Any], *, without: Sequence[str] = ()) -> Blocks:
    """Return the blocks of rows that are equal in every feature: a missing value equals another, -0 equals 0.

    Two rows that differ share a block with a chance of one in 10^7 for a million rows: the comparison is by 64-bit
    hashes.

    Args:
        features: A table, or an array whose first axis is rows.
        without: Columns that do not count.
    """
    if isinstance(features, np.ndarray):
        return numbered(_array_hashes(features))
    kept = [position for position, name in enumerate(features.columns) if str(name) not in without]
    if not kept:  # nothing is left to be equal in
        return np.arange(len(features), dtype=np.int64)
    return numbered(_table_hashes(features.iloc[:, kept]))


def tied(first: Blocks, second: Blocks) -> Blocks:
    """Return the blocks that come of tying two kinds of blocks together wherever they share a row."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left, right = int(first.max()) + 1, int(second.max()) + 1
    ones = np.ones(len(first), dtype=np.int8)
    graph = coo_array((ones, (first, left + second)), shape=(left + right, left + right))
    _, component = connected_components(graph, directed=False)
    return numbered(component[first])


def tied_counts(blocks: Blocks, target: np.ndarray[Any, Any] | None) -> tuple[int, int]:
    """Return how many rows are copies of an earlier one, and how many have an equal one with another target.

    Args:
        blocks: Of rows with equal features.
        target: (rows,), or None where there is none.
    """
    if target is None:
        return len(blocks) - int(blocks.max()) - 1, 0
    both = numbered(blocks * np.int64(len(blocks)) + numbered(target))
    targets = np.bincount(blocks[np.unique(both, return_index=True)[1]])
    return len(blocks) - int(both.max()) - 1, int((targets[blocks] > 1).sum())


def numbered(values: Any) -> Blocks:
    """Return equal values as equal numbers, 0, 1, ... by first appearance; a missing value is one of its own each."""
    import pandas as pd

    codes = np.asarray(pd.factorize(values)[0], dtype=np.int64)
    missing = codes < 0
    if missing.any():
        codes[missing] = codes.max() + 1 + np.arange(int(missing.sum()))
        codes = np.asarray(pd.factorize(codes)[0], dtype=np.int64)
    return codes


def _table_hashes(table: pd.DataFrame) -> np.ndarray[Any, Any]:
    import pandas as pd
    from pandas.util import hash_array

    whole = np.zeros(len(table), dtype=np.uint64)
    for _, column in table.items():
        if isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
            hashes = hash_array(column.to_numpy() + column.dtype.type(0))  # -0 becomes 0
        elif isinstance(column.dtype, np.dtype) and column.dtype.kind in "biu":
            hashes = hash_array(column.to_numpy())
        else:
            # equality is all that counts, and whole numbers are hashed faster than text, lists included
            plain = column.map(repr, na_action="ignore") if column.dtype == object else column
            hashes = hash_array(np.asarray(pd.factorize(plain)[0], dtype=np.int64))
        whole = whole * np.uint64(0x9E3779B97F4A7C15) + hashes  # wraps around, as a hash does
        whole ^= whole >> np.uint64(29)
    return whole


def _array_hashes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    rows = np.empty(len(array), dtype=np.uint64)
    for number, row in enumerate(array):
        plain = row + row.dtype.type(0) if row.dtype.kind == "f" else row
        digest = hashlib.blake2b(plain.tobytes(), digest_size=8).digest()
        rows[number] = int.from_bytes(digest, "little")
    return rows
