"""Columns that say nearly the same as another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from search.data.columns import spread_evenly

_ROWS: Final = 5_000  # that are compared
_COLUMNS: Final = 1_000  # that are compared with each other
_SAME: Final = 0.999  # correlation
_REPEAT: Final = 0.9  # share of different values from which on any two columns map one to one, or nearly


def near_duplicates(table: pd.DataFrame, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of columns, the first one first: numbers with a correlation of 0.999, text that maps one to one.

    Texts that hardly repeat, such as ids and dates, map one to one by chance: of them only copies are pairs.

    Args:
        table: Cleaned.
        names: The columns to compare; the first thousand are.
    """
    sample = spread_evenly(table, _ROWS)
    sample.columns = sample.columns.astype(str)
    numbers: list[str] = []
    texts: list[str] = []
    for name in names[:_COLUMNS]:
        column = sample[name]
        plain = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"
        (numbers if plain else texts).append(str(name))
    order = {name: position for position, name in enumerate(names)}
    pairs = [*_same_numbers(sample[numbers]), *_same_texts(sample[texts])]
    return sorted(pairs, key=lambda pair: (order[pair[1]], order[pair[0]]))


def _same_numbers(table: pd.DataFrame) -> list[tuple[str, str]]:
    if table.shape[1] < 2:
        return []
    values = table.to_numpy(dtype=np.float64)
    missing = np.isnan(values)
    # ranks would hide that a column is a power of another, which a tree does not mind but a linear model does
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        means = np.divide(
            np.where(missing, 0, values).sum(axis=0), np.maximum(1, (~missing).sum(axis=0)), dtype=np.float64
        )
        centred = np.where(missing, 0, values - means)
        centred /= np.sqrt((centred**2).sum(axis=0))
        related = np.abs(centred.T @ centred)
    return _first_of_each(list(table.columns), np.nan_to_num(related) >= _SAME)


def _same_texts(table: pd.DataFrame) -> list[tuple[str, str]]:
    seen: dict[bytes, str] = {}
    pairs = []
    codes: Any
    for name, column in table.items():
        codes, levels = pd.factorize(column)
        if len(levels) < _REPEAT * np.count_nonzero(codes >= 0):
            key = codes.astype(np.int64).tobytes()
        else:
            key = b"copy" + pd.util.hash_pandas_object(column, index=False).to_numpy().tobytes()
        if key in seen and codes.max() > 0:
            pairs.append((seen[key], str(name)))
        else:
            seen[key] = str(name)
    return pairs


def _first_of_each(names: list[str], alike: np.ndarray[Any, Any]) -> list[tuple[str, str]]:
    """Return each column with the first one before it that is like it."""
    pairs = []
    for position in range(1, len(names)):
        before = np.flatnonzero(alike[position, :position])
        if len(before):
            pairs.append((names[int(before[0])], names[position]))
    return pairs
