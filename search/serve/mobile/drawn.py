"""Rows that are drawn from a signature: what a model is compared on where nobody gives data."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from search.bundle.signature import Input, Kind, Signature

Array = np.ndarray[Any, Any]

UNSEEN: Final = 0.05
"""Share of texts that training never saw."""


def drawn(signature: Signature, rows: int, seed: int = 0) -> dict[str, Array]:
    """Return columns of rows: numbers anywhere in the range that training saw, any of the known texts, blurred spots.

    Values are missing as often as they were in training. Columns are independent of each other, so rows are stranger
    than real ones: what a model says of them changes more than what it says of data.
    """
    random = np.random.default_rng(seed)
    makers = {Kind.NUMBER: _numbers, Kind.TEXT: _texts, Kind.IMAGE: _images}
    return {one.name: makers[one.kind](one, rows, random) for one in signature.inputs if one.used}


def _numbers(one: Input, rows: int, random: np.random.Generator) -> Array:
    low, high = (0.0 if end is None else end for end in (one.low, one.high))
    values = random.uniform(low, high, rows)
    values = np.rint(values) if one.whole else values
    values[random.random(rows) < one.missing] = np.nan
    return values.astype(np.float32)


def _texts(one: Input, rows: int, random: np.random.Generator) -> Array:
    known = np.array([*one.levels, "", "never seen"], dtype=object)
    level = random.integers(0, max(1, len(one.levels)), rows)
    level[random.random(rows) < UNSEEN] = len(known) - 1
    level[random.random(rows) < one.missing] = len(known) - 2
    return known[level]


def _images(one: Input, rows: int, random: np.random.Generator) -> Array:
    channels, height, width = one.shape
    total = np.zeros((rows, channels, height, width), np.float32)
    for spots in (2, 4, 8):
        coarse = random.random((rows, channels, min(spots, height), min(spots, width)), dtype=np.float32)
        down, across = (
            np.arange(size) * spot // size for size, spot in zip((height, width), coarse.shape[2:], strict=True)
        )
        total += coarse[:, :, down][:, :, :, across]
    return np.clip((total / 3 - 0.5) * 2.5 + 0.5, 0, 1).astype(np.float32)
