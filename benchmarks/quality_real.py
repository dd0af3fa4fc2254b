"""Real rows for the tables that results are told of; they come with scikit-learn."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_digits, load_sample_images, make_friedman1

from benchmarks.quality_problems import Array, Problem, problem

_GRAY: Final = (0.299, 0.587, 0.114)


def digits() -> Problem:
    """Return scans of 8 x 8."""
    x, y = load_digits(return_X_y=True)
    return problem("scikit-learn's digits", x, y, training=300, validation=400, noise=0.15, pixels=True)


def tiles(training: int = 1000, validation: int = 1000) -> Problem:
    """Return which part of which photograph a tile of 4 x 4 colours is from."""
    x, y = _tiles(size=4, rows=2, columns=3)
    told = "parts of two photographs, 12 classes, from 4 x 4 colours"
    return _cut(told, x, y, training=training, validation=validation)


def photographs(training: int, validation: int) -> Problem:
    """Return which of two photographs a tile of 4 x 4 colours is from."""
    x, y = _tiles(size=4, rows=1, columns=1)
    return _cut("two photographs, from 4 x 4 colours", x, y, training=training, validation=validation, noise=0.2)


def squares() -> Problem:
    """Return which part of which photograph 6 x 6 grays are from."""
    x, y = _tiles(size=6, rows=2, columns=2)
    x = x.reshape(len(x), -1, 3) @ np.array(_GRAY)
    told = "parts of two photographs, 8 classes, from 6 x 6 grays"
    return _cut(told, x, y, training=800, validation=5000, tested=6000)


def blue(training: int = 1000, validation: int = 1000) -> Problem:
    """Return how much bluer than red a pixel is, from 25 grays around it."""
    x, y = [], []
    for photo in _photos():
        around = sliding_window_view(photo @ np.array(_GRAY), (13, 13))[::3, ::3, ::3, ::3]
        x.append(around.reshape(-1, 25))
        y.append((photo[..., 2] - photo[..., 0])[6:-6:3, 6:-6:3].ravel())
    order = np.random.default_rng(2).permutation(sum(map(len, y)))
    told = "blue less red of a pixel of two photographs, from 25 grays around it"
    return _cut(told, np.concatenate(x)[order], np.concatenate(y)[order], training=training, validation=validation)


def friedman(rows: int = 7000, training: int = 500, validation: int = 800) -> Problem:
    """Return Friedman's first function, with more numbers that tell nothing and more noise."""
    x, y = make_friedman1(rows, n_features=12, noise=1.5, random_state=13)
    y = y + 4 * np.sin(8 * x[:, 5]) * x[:, 6]
    told = "generated, Friedman's function and a wave, 12 numbers"
    return problem(told, x, y, training=training, validation=validation)


def _cut(
    told: str, x: Array, y: Array, *, training: int, validation: int, tested: int = 8000, noise: float = 0.0
) -> Problem:
    """Return a problem of the first rows of photographs, which are in random order."""
    rows = slice(training + validation + tested)
    return problem(told, x[rows], y[rows], training=training, validation=validation, noise=noise, pixels=True)


@cache
def _photos() -> list[Array]:
    return [photo / 255.0 for photo in load_sample_images().images]


def _tiles(*, size: int, rows: int, columns: int) -> tuple[Array, Array]:
    """Return tiles that do not overlap, in random order, and the number of the part that each is from."""
    x, y = [], []
    for number, photo in enumerate(_photos()):
        tiles = sliding_window_view(photo, (size, size, 3))[::size, ::size, 0].reshape(-1, size * size * 3)
        down, across = (len(range(0, length - size + 1, size)) for length in photo.shape[:2])
        row, column = np.divmod(np.arange(down * across), across)
        x.append(tiles.reshape(down * across, -1))
        y.append((number * rows + row * rows // down) * columns + column * columns // across)
    order = np.random.default_rng(1).permutation(sum(map(len, y)))
    return np.concatenate(x)[order], np.concatenate(y)[order]
