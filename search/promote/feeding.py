"""Raw rows of a data set as the columns that a bundle's model takes: what a client would send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.bundle.signature import IMAGE, Kind, Signature

if TYPE_CHECKING:
    import pandas as pd

    from search.bundle.model import Model

Array = np.ndarray[Any, Any]

_AT_ONCE: Final = 10_000
"""Rows: bounds memory."""


def columns_of(features: pd.DataFrame | Array, signature: Signature) -> dict[str, Array]:
    """Return rows by column: float32 with NaN, or str with "" where a value is missing; images float32 in [0, 1].

    Raises:
        KeyError: A column that the model reads is not there.
    """
    if isinstance(features, np.ndarray):
        if signature.takes_images:
            return {IMAGE: _pixels(features)}
        flat = features.reshape(len(features), -1)
        return {f"x{index}": _single(flat[:, index]) for index in range(flat.shape[1])}
    named = {str(name): column for name, column in features.items()}
    return {
        one.name: _single(named[one.name].to_numpy(np.float64, na_value=np.nan))
        if one.kind is Kind.NUMBER
        else _text(named[one.name])
        for one in signature.inputs
        if one.used
    }


def rows_of(features: pd.DataFrame | Array, rows: slice) -> pd.DataFrame | Array:
    """Return some rows of a data set, as they are."""
    return features[rows] if isinstance(features, np.ndarray) else features.iloc[rows]


def answers_of(model: Model, features: pd.DataFrame | Array) -> Array:
    """Return what a bundle's model says of raw rows, a block at a time: (rows, classes) or (rows,), float32.

    Raises:
        KeyError: A column that the model reads is not there.
    """
    found = []
    for begun in range(0, len(features), _AT_ONCE):
        said = model.run(columns_of(rows_of(features, slice(begun, begun + _AT_ONCE)), model.signature))
        found.append(said.value if said.probabilities is None else said.probabilities)
    return np.concatenate([one for one in found if one is not None])


def _pixels(images: Array) -> Array:
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    return images.astype(np.float32, copy=False)


def _single(values: Array) -> Array:
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    single[~np.isfinite(single)] = np.nan
    return single


def _text(column: pd.Series[Any]) -> Array:
    return np.where(column.isna().to_numpy(), "", column.astype(str).to_numpy(dtype=object)).astype(object)
