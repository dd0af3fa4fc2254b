"""Learning curves of every configuration of a grid: a table read from a file, or a small one made by real training."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from sklearn.datasets import load_digits

EPOCHS: Final = 27
TARGET_SHARES: Final = (0.015, 0.0035)
"""The two targets are the errors that these shares of all configurations reach."""

_RATES: Final = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
_DECAYS: Final = (0.0, 1e-3, 1e-2, 1e-1)
_DROPOUTS: Final = (0.0, 0.2, 0.4, 0.6)
_OPTIMIZERS: Final = ("adam", "sgd")
_WIDTHS: Final = (8, 16, 32, 64)
_TRAINING_ROWS, _VALIDATION_ROWS, _BATCH = 400, 800, 32
_NOISE: Final = 0.1
"""Share of training labels replaced at random, or nearly every configuration would do."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Validation errors of a grid of configurations.

    Attributes:
        name: Of the problem.
        error: One axis for each parameter, then epochs.
    """

    name: str
    error: np.ndarray[Any, Any]

    @property
    def axes(self) -> tuple[int, ...]:
        """How many values each parameter has."""
        return tuple(int(size) for size in self.error.shape[:-1])

    @property
    def epochs(self) -> int:
        return int(self.error.shape[-1])

    def targets(self) -> tuple[float, ...]:
        """Return the errors that count as good and as very good."""
        best = np.sort(self.error.reshape(-1, self.epochs).min(axis=1))
        return tuple(float(best[max(int(share * len(best)), 1) - 1]) for share in TARGET_SHARES)


def read(folder: Path) -> list[Table]:
    """Read every `table_NAME.npz` of a folder; each holds `err`, with one axis a parameter, then epochs."""
    found = []
    for path in sorted(folder.glob("table_*.npz")):
        with np.load(path) as arrays:
            found.append(Table(path.stem.removeprefix("table_"), arrays["err"]))
    return found


def small(cache: Path) -> Table:
    """Return a table of 896 small networks on digits; trained once (about a minute), then kept in `cache`."""
    path = cache / "table_small.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        (cache / ".gitignore").write_text("*\n")
        np.savez_compressed(path, err=_train_all())
    return read(cache)[0]


def _train_all() -> np.ndarray[Any, Any]:
    """Return errors by (rate, decay, dropout, optimizer, width, epoch)."""
    torch.set_num_threads(1)
    features, labels = load_digits(return_X_y=True)
    random = np.random.default_rng(0)
    order = random.permutation(len(labels))[: _TRAINING_ROWS + _VALIDATION_ROWS]
    x = torch.tensor(features[order] / 16.0, dtype=torch.float32)
    y = torch.tensor(labels[order])
    wrong = torch.tensor(random.permutation(_TRAINING_ROWS)[: int(_NOISE * _TRAINING_ROWS)])
    y[wrong] = torch.tensor(random.integers(0, 10, len(wrong)))
    grid = list(itertools.product(_RATES, _DECAYS, _DROPOUTS, _OPTIMIZERS))
    lanes = _Lanes(*([torch.tensor(one).view(-1, 1, 1) for one in zip(*_numbers(grid), strict=True)]))
    by_width = [_train(lanes, width, x, y) for width in _WIDTHS]
    shape = (len(_RATES), len(_DECAYS), len(_DROPOUTS), len(_OPTIMIZERS))
    return np.stack([one.reshape(*shape, EPOCHS) for one in by_width], axis=-2).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Lanes:
    """What each of the networks trained side by side has of its own: (lanes, 1, 1) each."""

    rate: torch.Tensor
    decay: torch.Tensor
    dropout: torch.Tensor
    sgd: torch.Tensor


def _numbers(grid: list[tuple[float, float, float, str]]) -> list[tuple[float, float, float, bool]]:
    return [(rate, decay, dropout, optimizer == "sgd") for rate, decay, dropout, optimizer in grid]


def _train(lanes: _Lanes, width: int, x: torch.Tensor, y: torch.Tensor) -> np.ndarray[Any, Any]:
    """Train one network of a hidden layer for each lane, all by batched products; return errors (lanes, epochs)."""
    count = len(lanes.rate)
    random = torch.Generator().manual_seed(width)
    weights = [_uniform(count, 64, width, random), _uniform(count, width, 10, random)]
    weights += [torch.zeros(count, 1, width), torch.zeros(count, 1, 10)]
    for one in weights:
        one.requires_grad_()
    first, second = [torch.zeros_like(one) for one in weights], [torch.zeros_like(one) for one in weights]
    errors, step = np.zeros((count, EPOCHS)), 0
    for epoch in range(EPOCHS):
        for rows in torch.split(torch.randperm(_TRAINING_ROWS, generator=random), _BATCH):
            step += 1
            scores = _forward(weights, x[rows], lanes.dropout, random)
            loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), y[rows].repeat(count), reduction="sum")
            gradients = torch.autograd.grad(loss / len(rows), weights)
            with torch.no_grad():
                for weight, gradient, mean, square in zip(weights, gradients, first, second, strict=True):
                    mean.mul_(0.9).add_(gradient, alpha=0.1)
                    square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                    adam = mean / (1 - 0.9**step) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
                    weight.mul_(1 - lanes.rate * lanes.decay)
                    weight.sub_(lanes.rate * torch.where(lanes.sgd, 10 * mean, adam))  # 10: a sum of past gradients
        with torch.no_grad():
            guess = _forward(weights, x[_TRAINING_ROWS:]).argmax(dim=2)
        errors[:, epoch] = (guess != y[_TRAINING_ROWS:]).float().mean(dim=1).numpy()
    return errors


def _uniform(count: int, inputs: int, outputs: int, random: torch.Generator) -> torch.Tensor:
    return (torch.rand(count, inputs, outputs, generator=random) * 2 - 1) / math.sqrt(inputs)


def _forward(
    weights: list[torch.Tensor],
    x: torch.Tensor,
    dropout: torch.Tensor | None = None,
    random: torch.Generator | None = None,
) -> torch.Tensor:
    """Return scores (lanes, rows, classes)."""
    into, out, bias_in, bias_out = weights
    hidden = torch.relu(torch.baddbmm(bias_in, x.expand(len(into), -1, -1), into))
    if dropout is not None:
        hidden = hidden * (torch.rand(hidden.shape, generator=random) >= dropout) / (1 - dropout)
    return torch.baddbmm(bias_out, hidden, out)
