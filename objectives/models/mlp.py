"""Multi-layer perceptrons for tables: a plain stack, and one of residual blocks."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from search.contract import Context, Params, Prepared, Task

from ..balance import class_weights
from ..params import read_float, read_int
from ..scoring import class_count
from ..torch_learner import TorchLearner
from ..training import Training

# A small table makes a handful of batches; an epoch of fewer steps than this says nothing about a configuration.
_LEAST_STEPS: Final = 40

# A network is slow to start beside trees and linear models; judged after each pass it would never get to finish.
_UNITS: Final = 5


class Residual(nn.Module):
    """Add to the features what two layers make of their normalized form (Gorishniy et al. 2021, ResNet)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.Dropout(dropout),
        )

    def forward(self, features: Tensor) -> Tensor:
        return torch.add(features, self.inner(features))


def plain(inputs: int, outputs: int, *, width: int, depth: int, dropout: float) -> nn.Module:
    """Return `depth` hidden layers of `width` units."""
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [nn.Linear(width if index else inputs, width), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def residual(inputs: int, outputs: int, *, width: int, depth: int, dropout: float) -> nn.Module:
    """Return `depth` residual blocks of `width` units."""
    blocks = [Residual(width, dropout) for _ in range(depth)]
    return nn.Sequential(nn.Linear(inputs, width), *blocks, nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, outputs))


def learner(params: Params, prepared: Prepared, context: Context, *, skip: bool) -> TorchLearner:
    """Build the family's learner from `model.width`, `model.depth`, `model.dropout` and all of `train.`.

    Args:
        skip: Whether layers are bridged by residual connections.
    """
    inputs = prepared.train.features.shape[1]
    outputs = 1 if context.task is Task.REGRESSION else class_count(prepared.train, context)
    width = read_int(params, "model.width", 64, minimum=1)
    depth = read_int(params, "model.depth", 2, minimum=1)
    dropout = read_float(params, "model.dropout", 0.0)
    shape = residual if skip else plain
    return TorchLearner(
        lambda: shape(inputs, outputs, width=width, depth=depth, dropout=dropout),
        Training.of(params),
        prepared,
        context,
        class_weights=class_weights(params, prepared.train, context),
        units=_UNITS,
        least_steps=_LEAST_STEPS,
    )
