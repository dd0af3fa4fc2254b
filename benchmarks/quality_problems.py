"""What the models of the tables are trained on: generated rows, and how real ones are cut."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sklearn.datasets import make_classification

from benchmarks.quality_tables import EPOCHS, Value

Array: TypeAlias = np.ndarray[Any, Any]
Configuration: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Errors (configurations, epochs) and modelled seconds of an epoch (configurations,)."""

    val: Array
    test: Array
    seconds: Array

    @classmethod
    def empty(cls, count: int) -> Curves:
        val, test = np.zeros((2, count, EPOCHS), np.float32)
        return cls(val, test, np.zeros(count, np.float32))

    def put(self, rows: Sequence[int], other: Curves) -> None:
        """Set some configurations' curves."""
        self.val[rows], self.test[rows], self.seconds[rows] = other.val, other.test, other.seconds


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Rows to learn from, to choose by and to be judged by, in this order.

    Attributes:
        told: What is predicted from what, in words.
        x: (rows, features), float32, of mean 0 and deviation 1.
        y: Labels, int64, or a target of mean 0 and deviation 1, float32.
        training: How many rows are trained on.
        validation: How many rows after them give the errors that a search sees; the rest are test rows.
    """

    told: str
    x: Array
    y: Array
    training: int
    validation: int

    @property
    def classes(self) -> int:
        """How many labels there are; 0: a regression."""
        return 0 if self.y.dtype.kind == "f" else int(self.y.max()) + 1

    @property
    def outputs(self) -> int:
        return self.classes or 1

    @property
    def side(self) -> int:
        """Pixels along a side of a square image."""
        return math.isqrt(self.x.shape[1])

    @property
    def validated(self) -> range:
        return range(self.training, self.training + self.validation)

    @property
    def tested(self) -> range:
        return range(self.training + self.validation, len(self.x))

    def errors(self, sums: Array, part: range) -> Array:
        """Return errors from sums over the rows of a part: of wrong labels, or of squared differences.

        A share of wrong labels, or a root mean square as a share of the target's deviation; never above that of a
        constant guess, which is what a model that diverged gets.
        """
        y = self.y[part.start : part.stop]
        if self.classes:
            guess = np.bincount(self.y[: self.training]).argmax()
            errors, constant = sums / len(part), float(np.mean(y != guess))
        else:
            errors, constant = np.sqrt(sums / len(part)) / y.std(), 1.0
        return np.minimum(np.nan_to_num(errors, nan=constant, posinf=constant), constant)


def problem(
    told: str, x: Array, y: Array, *, training: int, validation: int, noise: float = 0.0, pixels: bool = False
) -> Problem:
    """Shuffle and scale rows.

    Args:
        told: What is predicted from what, in words.
        x: Features.
        y: Labels, or a target.
        training: Rows to train on.
        validation: Rows after them to choose by.
        noise: Share of training labels that are replaced at random.
        pixels: Whether one scale fits all features, some of which hardly ever change.
    """
    random = np.random.default_rng(0)
    order = random.permutation(len(x))
    x, y = x[order].astype(np.float32), y[order]
    axis = None if pixels else 0
    x = (x - x[:training].mean(axis=axis)) / (x[:training].std(axis=axis) + 1e-6)
    if y.dtype.kind == "f":
        y = ((y - y[:training].mean()) / y[:training].std()).astype(np.float32)
    else:
        y = y.astype(np.int64)
        wrong = random.permutation(training)[: int(noise * training)]
        y[wrong] = random.integers(0, y.max() + 1, len(wrong))
    told += f"; {training:,} training rows" + f", {noise:.0%} of their labels random" * (noise > 0)
    return Problem(told, x, y, training, validation)


def clusters() -> Problem:
    """Return ten classes of two clusters each among 32 numbers."""
    x, y = make_classification(
        7600,
        32,
        n_informative=12,
        n_redundant=8,
        n_classes=8,
        n_clusters_per_class=2,
        class_sep=1.6,
        flip_y=0.0,
        random_state=3,
    )
    return problem("generated clusters, 8 classes, 32 numbers", x, y, training=600, validation=1000, noise=0.15)


def textures() -> Problem:
    """Return 8 x 8 images of waves, whose direction is the class and whose phase is anything."""
    random = np.random.default_rng(5)
    count, side, classes = 6500, 8, 6
    y = random.integers(0, classes, count)
    angle = (np.pi * (y + random.normal(0, 0.12, count)) / classes)[:, None, None]
    across, down = np.meshgrid(np.arange(side), np.arange(side))
    place = np.cos(angle) * across + np.sin(angle) * down
    length = random.uniform(2.5, 5.0, (count, 1, 1))
    waves = np.sin(2 * np.pi * (place / length + random.random((count, 1, 1))))
    x = waves + random.normal(0, 1.0, waves.shape)
    return problem(
        "generated textures of 8 x 8, 6 directions", x.reshape(count, -1), y, training=500, validation=1000, noise=0.1
    )


def hills(rows: int = 7000, training: int = 1000, validation: int = 1000) -> Problem:
    """Return a target that steps and bends over eight of twenty numbers, under noise."""
    random = np.random.default_rng(7)
    x = random.normal(size=(rows, 20))
    y = 2.0 * (x[:, 0] * x[:, 1] > 0) + np.sin(3 * x[:, 2]) + np.abs(x[:, 3]) * (x[:, 4] > 0.5)
    y += 0.7 * x[:, 5] - 1.5 * (np.abs(x[:, 6]) < 0.5) * (x[:, 7] > 0) + random.normal(0, 0.6, len(x))
    told = "generated steps and bends over 8 of 20 numbers"
    return problem(told, x, y, training=training, validation=validation)


def smooth(validation: int = 1000) -> Problem:
    """Return five classes: the highest of five random smooth functions of twelve numbers."""
    random = np.random.default_rng(11)
    x = random.normal(size=(600 + validation + 6000, 12))
    turns = random.normal(0, 1 / 4.0, (12, 400))
    heights = np.cos(x @ turns + random.uniform(0, 2 * np.pi, 400)) @ random.normal(size=(400, 5))
    y = (heights - heights.mean(axis=0)).argmax(axis=1)
    told = "generated smooth regions, 5 classes, 12 numbers"
    return problem(told, x, y, training=600, validation=validation, noise=0.1)


def patchwork() -> Problem:
    """Return clusters of which some change their label at a step of one number: no kind of model fits all of it."""
    x, y = make_classification(
        14_800,
        12,
        n_informative=8,
        n_redundant=0,
        n_classes=4,
        n_clusters_per_class=2,
        class_sep=1.2,
        flip_y=0.0,
        random_state=17,
    )
    y = np.where((x[:, 0] > 1.5) & (x[:, 1] < 0.5), (y + 1) % 4, y)
    return problem(
        "generated clusters with steps, 4 classes, 12 numbers", x, y, training=800, validation=6000, noise=0.1
    )
