"""Small learners for the rules of training: the same rows and network each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from objectives.models.cnn import Network
from objectives.torch_learner import TorchLearner
from objectives.training import Training
from search.contract import Context, Part, Prepared, Task

ROWS, INPUTS, SIDE = 50, 4, 8

STEADY = Training("sgd", lr=0.05, batch=16, schedule="constant", clip_norm=0.5, smoothing=0.1)
"""SGD: Adam divides small differences by small numbers. 50 rows make three batches of 16 and one of 2."""


def table(rows: int = ROWS, *, regression: bool = False) -> Prepared:
    random = np.random.default_rng(0)
    features = random.normal(size=(rows, INPUTS)).astype(np.float32)
    target = features[:, 0].astype(np.float64) * 3 + 1 if regression else (features[:, 0] > 0).astype(np.int64)
    return Prepared(Part(features, target), Part(features, target))


def images(rows: int = ROWS) -> Prepared:
    random = np.random.default_rng(0)
    features = random.normal(size=(rows, 1, SIDE, SIDE)).astype(np.float32)
    target = (features[:, 0, 0, 0] > 0).astype(np.int64)
    return Prepared(Part(features, target), Part(features, target))


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(INPUTS, 8), nn.ReLU(), nn.Linear(8, 2))


def one_output() -> nn.Module:
    return nn.Sequential(nn.Linear(INPUTS, 8), nn.ReLU(), nn.Linear(8, 1))


def convolutional() -> nn.Module:
    return Network(1, 2, width=4, depth=2, dropout=0.0)


def learner(
    build: Callable[[], nn.Module] = plain,
    prepared: Prepared | None = None,
    *,
    training: Training = STEADY,
    more: dict[str, Any] | None = None,
    **context: Any,
) -> TorchLearner:
    """Return a learner of two classes, or of a regression; `context` goes by its fields."""
    given = {"seed": 3, "max_epochs": 4, "task": Task.BINARY, "classes": ("no", "yes"), **context}
    return TorchLearner(build, training, prepared or table(), Context(**given), **(more or {}))


def trained(made: TorchLearner, epochs: int = 2) -> tuple[list[float], dict[str, np.ndarray[Any, Any]]]:
    """Train, and return the losses of training and validation, and the weights; other ranks are ended."""
    losses: list[float] = []
    try:
        for _ in range(epochs):
            losses += [made.fit_epoch()["train_loss"], made.evaluate()["val_loss"]]
        return losses, {name: array.astype(np.float64) for name, array in made.weights().items()}
    finally:
        made.close()
