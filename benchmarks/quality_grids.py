"""Which configurations each table has, and on which problem they are trained."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import torch

from benchmarks import quality_nets, quality_problems, quality_real, quality_trees
from benchmarks.quality_branches import Branch, Grid, Trainer
from benchmarks.quality_problems import Problem
from benchmarks.quality_tables import Axis, Table

_RATES: Final = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)


def _log(name: str, *values: float) -> Axis:
    """Return a parameter whose values multiply, but for a zero in front."""
    whole = all(isinstance(value, int) for value in values)
    return Axis(name, "int" if whole else "float", values, log=True)


def _even(name: str, *values: float) -> Axis:
    return Axis(name, "float", values)


def _one_of(name: str, *values: str) -> Axis:
    return Axis(name, "categorical", values)


def _alone(problem: Callable[[], Problem], family: str, train: Trainer, *axes: Axis) -> Grid:
    return Grid(problem, (Branch(family, train, axes),))


_THREE: Final = (
    Branch(
        "mlp",
        quality_nets.curves,
        (
            _log("learning_rate", *_RATES),
            _log("weight_decay", 0.0, 1e-2, 1e-1),
            _even("dropout", 0.0, 0.25, 0.5),
            _one_of("optimizer", "sgd", "adam"),
            _log("width", 8, 16, 32, 64),
        ),
    ),
    Branch(
        "linear",
        quality_nets.linear_curves,
        (
            _log("learning_rate", *_RATES),
            _log("weight_decay", 0.0, 1e-3, 1e-2, 1e-1),
            _log("features", 32, 64, 128, 256),
            _log("bandwidth", 1.5, 3.0, 6.0, 12.0),
        ),
    ),
    Branch(
        "trees",
        quality_trees.curves,
        (
            _log("learning_rate", 0.02, 0.04, 0.08, 0.16, 0.32, 0.64),
            _log("leaves", 3, 7, 15, 31),
            _log("l2", 0.1, 2.0, 40.0),
            _even("feature_share", 0.2, 0.5, 1.0),
            _log("leaf_rows", 2, 20),
        ),
    ),
)
"""Branches of the conditional spaces that rules are tuned on."""

_GRIDS: Final[dict[str, Grid]] = {
    "dev-mlp": _alone(
        quality_problems.clusters,
        "mlp",
        quality_nets.curves,
        _log("learning_rate", *_RATES),
        _log("weight_decay", 0.0, 1e-3, 1e-2, 1e-1),
        _even("dropout", 0.0, 0.25, 0.5),
        _one_of("optimizer", "sgd", "adam"),
        _log("width", 8, 16, 32, 64),
        _log("batch", 16, 64, 256),
    ),
    "dev-cnn": _alone(
        quality_problems.textures,
        "cnn",
        quality_nets.curves,
        _log("learning_rate", *_RATES),
        _log("weight_decay", 0.0, 1e-2, 1e-1),
        _even("momentum", 0.0, 0.9),
        _even("dropout", 0.0, 0.3, 0.6),
        _log("filters", 4, 8, 16),
        _one_of("pooling", "max", "mean"),
        _one_of("schedule", "constant", "cosine"),
    ),
    "dev-trees": _alone(
        quality_problems.hills,
        "trees",
        quality_trees.curves,
        _log("learning_rate", 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64),
        _log("leaves", 3, 7, 15, 31),
        _log("l2", 0.1, 2.0, 40.0),
        _even("feature_share", 0.2, 0.5, 1.0),
        _log("leaf_rows", 2, 10, 50),
        _even("row_share", 0.5, 1.0),
    ),
    "dev-linear": _alone(
        quality_problems.smooth,
        "linear",
        quality_nets.linear_curves,
        _log("learning_rate", *_RATES, 3.0),
        _log("weight_decay", 0.0, 1e-3, 1e-2, 1e-1),
        _log("features", 32, 64, 128, 256),
        _log("bandwidth", 1.5, 3.0, 6.0, 12.0),
        _log("batch", 16, 64),
    ),
    "cnn-digits": _alone(
        quality_real.digits,
        "cnn",
        quality_nets.curves,
        _log("learning_rate", *_RATES),
        _log("weight_decay", 0.0, 1e-2, 1e-1),
        _even("dropout", 0.0, 0.3, 0.6),
        _log("filters", 4, 8, 16),
        _log("batch", 16, 64),
        _one_of("activation", "relu", "tanh"),
        _one_of("optimizer", "sgd", "adam"),
    ),
    "mlp-photos": _alone(
        quality_real.tiles,
        "mlp",
        quality_nets.curves,
        _log("learning_rate", *_RATES),
        _log("weight_decay", 0.0, 1e-2, 1e-1),
        _even("dropout", 0.0, 0.2, 0.4),
        _even("label_smoothing", 0.0, 0.1),
        _log("width", 16, 32, 64),
        Axis("depth", "int", (1, 2)),
        _one_of("schedule", "constant", "cosine"),
    ),
    "dev-slow": _alone(
        partial(quality_real.blue, training=4000, validation=6000),
        "trees",
        quality_trees.curves,
        _log("learning_rate", 0.02, 0.04, 0.08, 0.16, 0.32, 0.64),
        _log("leaves", 4, 10, 25, 60),
        _log("l2", 0.1, 3.0, 100.0),
        _even("feature_share", 0.1, 0.4, 1.0),
        _log("leaf_rows", 2, 20, 200),
        _even("row_share", 0.5, 1.0),
    ),
    "linear-photos": _alone(
        quality_real.blue,
        "linear",
        quality_nets.linear_curves,
        _log("learning_rate", 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
        _log("weight_decay", 0.0, 1e-2, 1e-1, 1.0),
        _even("momentum", 0.0, 0.9),
        _log("features", 32, 64, 128, 256),
        _log("bandwidth", 1.0, 2.0, 4.0, 8.0, 16.0),
    ),
    "mlp-friedman": _alone(
        quality_real.friedman,
        "mlp",
        quality_nets.curves,
        _log("learning_rate", *_RATES),
        _log("weight_decay", 0.0, 1e-2, 1e-1),
        _even("dropout", 0.0, 0.2, 0.4),
        _log("width", 8, 16, 32, 64),
        _log("batch", 16, 64),
        _one_of("activation", "relu", "tanh"),
        _one_of("optimizer", "sgd", "adam"),
    ),
    "dev-hills": _alone(
        partial(quality_problems.hills, rows=15_500, training=1500, validation=6000),
        "mlp",
        quality_nets.curves,
        _log("learning_rate", *_RATES),
        _log("weight_decay", 0.0, 1e-3, 1e-2, 1e-1),
        _even("dropout", 0.0, 0.15, 0.3),
        _log("width", 8, 16, 32, 64),
        _log("batch", 32, 128),
        _one_of("activation", "relu", "tanh"),
        _one_of("optimizer", "sgd", "adam"),
    ),
    "dev-mixed": Grid(quality_problems.patchwork, _THREE),
    "dev-crossing": Grid(partial(quality_problems.smooth, validation=6000), _THREE),
    "cnn-photos": _alone(
        quality_real.squares,
        "cnn",
        quality_nets.curves,
        _log("learning_rate", *_RATES),
        _log("weight_decay", 0.0, 1e-2, 1e-1),
        _even("dropout", 0.0, 0.4),
        _log("filters", 4, 8, 16),
        _one_of("pooling", "max", "mean"),
        _one_of("optimizer", "sgd", "adam"),
        _one_of("schedule", "constant", "cosine"),
    ),
    "mlp-blue": _alone(
        partial(quality_real.blue, training=1500, validation=6000),
        "mlp",
        quality_nets.curves,
        _log("learning_rate", *_RATES),
        _log("weight_decay", 0.0, 1e-3, 1e-2, 1e-1),
        _even("dropout", 0.0, 0.2, 0.4),
        _log("width", 12, 24, 48, 96),
        _log("batch", 32, 128),
        _one_of("optimizer", "sgd", "adam"),
    ),
    "trees-two": _alone(
        partial(quality_real.photographs, training=1500, validation=6000),
        "trees",
        quality_trees.curves,
        _log("learning_rate", 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64),
        _log("leaves", 3, 6, 12, 24),
        _log("l2", 0.1, 3.0, 100.0),
        _even("feature_share", 0.1, 0.3, 1.0),
        _log("leaf_rows", 2, 15, 100),
        _even("row_share", 0.5, 1.0),
    ),
    "linear-tiles": _alone(
        partial(quality_real.tiles, training=1500, validation=6000),
        "linear",
        quality_nets.linear_curves,
        _log("learning_rate", *_RATES),
        _log("weight_decay", 0.0, 1e-3, 1e-2, 1e-1),
        _even("label_smoothing", 0.0, 0.1),
        _log("features", 32, 64, 128, 256),
        _log("bandwidth", 2.0, 5.0, 12.0, 30.0),
        _one_of("schedule", "constant", "cosine"),
    ),
    "mixed-friedman": Grid(
        partial(quality_real.friedman, rows=15_000, training=700, validation=6000),
        (
            Branch(
                "mlp",
                quality_nets.curves,
                (
                    _log("learning_rate", *_RATES),
                    _log("weight_decay", 0.0, 1e-2, 1e-1),
                    _one_of("activation", "relu", "tanh"),
                    _one_of("optimizer", "sgd", "adam"),
                    _log("width", 8, 16, 32, 64),
                ),
            ),
            Branch(
                "linear",
                quality_nets.linear_curves,
                (
                    _log("learning_rate", *_RATES),
                    _log("weight_decay", 0.0, 1e-3, 1e-2, 1e-1),
                    _log("features", 32, 64, 128, 256),
                    _log("bandwidth", 1.0, 2.5, 6.0, 15.0),
                ),
            ),
            Branch(
                "trees",
                quality_trees.curves,
                (
                    _log("learning_rate", 0.02, 0.04, 0.08, 0.16, 0.32, 0.64),
                    _log("leaves", 2, 4, 8, 16),
                    _log("l2", 0.1, 2.0, 40.0),
                    _even("feature_share", 0.2, 0.5, 1.0),
                    _log("leaf_rows", 2, 20),
                ),
            ),
        ),
    ),
}


def make(name: str) -> Table:
    """Train all configurations of a table, on one thread."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # weights that decay to nothing would slow the processor down
    return _GRIDS[name].make(name)
