"""Trains networks side by side: those of one shape are the lanes of batched products, on one thread."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from benchmarks.quality_problems import Configuration, Curves, Problem
from benchmarks.quality_tables import EPOCHS

_LANES: Final = 16
_ROWS: Final = 250
"""Lanes and rows evaluated at once: what fits the processor's cache."""
_STEP_S: Final = 3e-4
_PRODUCT_S: Final = 1.5e-9
"""Modelled costs: of a step, and of a product in training (forwards and backwards)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What networks must share to be trained side by side.

    Attributes:
        batch: Rows of a step.
        width: Units of a hidden layer; 0: no hidden layer.
        depth: Hidden layers.
        filters: Of a convolution of 3 x 3 before the output; 0: none (dense layers).
        pooling: "max" or "mean", of 2 x 2, after the convolution.
        activation: "relu" or "tanh".
        optimizer: "sgd" or "adam".
        schedule: "constant" or "cosine".
    """

    batch: int = 32
    width: int = 0
    depth: int = 1
    filters: int = 0
    pooling: str = "max"
    activation: str = "relu"
    optimizer: str = "sgd"
    schedule: str = "constant"


@dataclass(frozen=True, slots=True, eq=False)
class _Lanes:
    """What each network has of its own, (lanes, 1, 1) each."""

    learning_rate: Tensor
    weight_decay: Tensor
    dropout: Tensor
    momentum: Tensor
    label_smoothing: Tensor


_USUAL: Final[Configuration] = {"weight_decay": 0.0, "dropout": 0.0, "momentum": 0.9, "label_smoothing": 0.0}


def curves(problem: Problem, configurations: Sequence[Configuration]) -> Curves:
    """Train a network for each configuration.

    Args:
        problem: Rows and labels.
        configurations: Fields of `Shape` and of a lane by name; what is missing is as usual.
    """
    shapes: dict[Shape, list[int]] = {}
    for row, one in enumerate(configurations):
        given: dict[str, Any] = {name: one[name] for name in Shape.__dataclass_fields__ if name in one}
        shapes.setdefault(Shape(**given), []).append(row)
    made = Curves.empty(len(configurations))
    for number, (shape, rows) in enumerate(shapes.items()):
        columns = {
            name: torch.tensor([float({**_USUAL, **configurations[row]}[name]) for row in rows]).view(-1, 1, 1)
            for name in _Lanes.__dataclass_fields__
        }
        made.put(rows, _train(problem, shape, _Lanes(**columns), seed=number))
    return made


def linear_curves(problem: Problem, configurations: Sequence[Configuration]) -> Curves:
    """Train a linear model for each configuration on random waves of the rows.

    Args:
        problem: Rows and labels.
        configurations: `features`: how many waves; `bandwidth`: the distance over which they turn; others as in
            `curves`.
    """
    waves: dict[tuple[int, float], list[int]] = {}
    for row, one in enumerate(configurations):
        waves.setdefault((int(one["features"]), float(one["bandwidth"])), []).append(row)
    made = Curves.empty(len(configurations))
    for (features, bandwidth), rows in waves.items():
        made.put(rows, curves(_waved(problem, features, bandwidth), [configurations[row] for row in rows]))
    return made


def _waved(problem: Problem, features: int, bandwidth: float) -> Problem:
    """Return random Fourier features of a Gaussian kernel: Rahimi and Recht, 2007."""
    random = np.random.default_rng(features)
    turns = random.normal(0, 1 / bandwidth, (problem.x.shape[1], features))
    x = np.cos(problem.x @ turns + random.uniform(0, 2 * np.pi, features)) * math.sqrt(2)
    return replace(problem, x=x.astype(np.float32))


def _train(problem: Problem, shape: Shape, lanes: _Lanes, *, seed: int) -> Curves:
    count = len(lanes.learning_rate)
    random = torch.Generator().manual_seed(seed)
    x, y = _patches(problem, shape), torch.from_numpy(problem.y)
    weights = _weights(problem, shape, count, random)
    first, second = [torch.zeros_like(one) for one in weights], [torch.zeros_like(one) for one in weights]
    products = sum(
        one.numel() // count * (_places(problem) if one is weights[0] and shape.filters else 1) for one in weights
    )
    steps = math.ceil(problem.training / shape.batch)
    made, step = Curves.empty(count), 0
    made.seconds[:] = steps * _STEP_S + problem.training * products * _PRODUCT_S
    for epoch in range(EPOCHS):
        rate = lanes.learning_rate * (_cosine(epoch) if shape.schedule == "cosine" else 1.0)
        for rows in torch.split(torch.randperm(problem.training, generator=random), shape.batch):
            step += 1
            scores = _forward(weights, x[rows], shape, lanes.dropout, random)
            loss = _loss(scores, y[rows], lanes.label_smoothing).sum()
            gradients = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                for weight, gradient, mean, square in zip(weights, gradients, first, second, strict=True):
                    weight.mul_(1 - rate * lanes.weight_decay)
                    if shape.optimizer == "sgd":
                        weight.sub_(rate * mean.mul_(lanes.momentum).add_(gradient))
                        continue
                    mean.mul_(0.9).add_(gradient, alpha=0.1)
                    square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                    root = (square / (1 - 0.999**step)).sqrt_().add_(1e-8)
                    weight.sub_(mean.div(root).mul_(rate / (1 - 0.9**step)))
        for part, errors in ((problem.validated, made.val), (problem.tested, made.test)):
            errors[:, epoch] = _errors(weights, x, y, shape, part, problem)
    return made


def _cosine(epoch: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * epoch / EPOCHS))


def _weights(problem: Problem, shape: Shape, count: int, random: torch.Generator) -> list[Tensor]:
    """Return a matrix and an offset for each layer, with the lane first."""
    if shape.filters:
        pooled = ((problem.side - 2) // 2) ** 2
        sizes = [(9, shape.filters), (pooled * shape.filters, problem.outputs)]
    else:
        widths = [problem.x.shape[1], *[shape.width] * (shape.depth if shape.width else 0), problem.outputs]
        sizes = list(itertools.pairwise(widths))
    made = []
    for inputs, outputs in sizes:
        bound = math.sqrt(3 / inputs)
        made.append((torch.rand(count, inputs, outputs, generator=random) * 2 - 1).mul_(bound).requires_grad_())
        made.append(torch.zeros(count, 1, outputs, requires_grad=True))
    return made


def _places(problem: Problem) -> int:
    return (problem.side - 2) ** 2


def _patches(problem: Problem, shape: Shape) -> Tensor:
    """Return the rows as they enter the first product.

    For a convolution: the 3 x 3 pixels around each place, (rows, 4, tiles, 9); pooling takes the four places of a tile.
    """
    x = torch.from_numpy(problem.x)
    if not shape.filters:
        return x
    around = torch.nn.functional.unfold(x.view(-1, 1, problem.side, problem.side), 3).transpose(1, 2)
    tiles = (problem.side - 2) // 2
    return (
        around.reshape(-1, tiles, 2, tiles, 2, 9)
        .permute(0, 2, 4, 1, 3, 5)
        .reshape(-1, 4, tiles * tiles, 9)
        .contiguous()
    )


def _forward(
    weights: Sequence[Tensor],
    x: Tensor,
    shape: Shape,
    dropout: Tensor | None = None,
    random: torch.Generator | None = None,
) -> Tensor:
    """Return scores, (lanes, rows, outputs)."""
    lanes, rows = len(weights[0]), len(x)
    inner, activate = x.flatten(0, -2).expand(lanes, -1, -1), torch.tanh if shape.activation == "tanh" else torch.relu
    for index in range(0, len(weights) - 2, 2):
        inner = torch.baddbmm(weights[index + 1], inner, weights[index])
        if (
            shape.filters and shape.pooling == "max"
        ):  # before the activation, which never falls: the same, for a quarter
            inner = inner.view(lanes, rows, 4, -1).amax(dim=2)
        inner = activate(inner)
        if shape.filters and shape.pooling == "mean":
            inner = inner.view(lanes, rows, 4, -1).mean(dim=2)
        if dropout is not None:
            inner = inner * (torch.rand(inner.shape, generator=random) >= dropout).float() / (1 - dropout)
    return torch.baddbmm(weights[-1], inner, weights[-2])


def _loss(scores: Tensor, y: Tensor, smoothing: Tensor) -> Tensor:
    """Return the mean loss of each lane, (lanes,)."""
    if y.is_floating_point():
        return (scores[:, :, 0] - y).square().mean(dim=1)
    logs = torch.log_softmax(scores, dim=2)
    right = logs.gather(2, y.view(1, -1, 1).expand(len(scores), -1, 1))[:, :, 0]
    return -((1 - smoothing[:, 0]) * right + smoothing[:, 0] * logs.mean(dim=2)).mean(dim=1)


@torch.no_grad()
def _errors(
    weights: Sequence[Tensor], x: Tensor, y: Tensor, shape: Shape, part: range, problem: Problem
) -> np.ndarray[Any, Any]:
    """Return the error of each lane on a part of the rows, (lanes,)."""
    sums = torch.zeros(len(weights[0]))
    for lanes, rows in _blocks(len(sums), part):
        scores = _forward([one[lanes] for one in weights], x[rows], shape)
        if y.is_floating_point():
            sums[lanes] += (scores[:, :, 0] - y[rows]).square().sum(dim=1)
        else:
            sums[lanes] += (scores.argmax(dim=2) != y[rows]).sum(dim=1)
            sums[lanes] += torch.where(torch.isfinite(scores.sum(dim=(1, 2))), 0.0, torch.nan)
    return problem.errors(sums.numpy(), part)


def _blocks(lanes: int, part: range) -> Iterator[tuple[slice, slice]]:
    for lane in range(0, lanes, _LANES):
        for row in range(part.start, part.stop, _ROWS):
            yield slice(lane, lane + _LANES), slice(row, min(row + _ROWS, part.stop))
