"""How a network's weights are moved: optimizer, learning-rate schedule, decay, clipping, smoothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from search.contract import Params

from .params import read_choice, read_float, read_int

OPTIMIZERS: Final = ("adamw", "sgd")
SCHEDULES: Final = ("cosine", "one-cycle", "constant")

_MOMENTUM: Final = 0.9
_WARM_UP: Final = 0.3  # share of a one-cycle schedule in which the rate rises
_LEAST_RATE: Final = 0.01  # of the full rate, at the start of a cycle and at the end of either schedule


@dataclass(frozen=True, slots=True)
class Training:
    """The choices under `train.`.

    Attributes:
        lr: The highest learning rate of the schedule; `train.lr` for AdamW and `train.sgd_lr` for SGD, whose useful
            ranges lie an order of magnitude apart.
        weight_decay: Decoupled for AdamW, L2 for SGD; biases and norms have none.
        batch: Rows a step.
        clip_norm: Longest gradient, 0 for any.
        smoothing: Share of a label that is spread over all classes.
    """

    optimizer: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.0
    batch: int = 64
    schedule: str = "cosine"
    clip_norm: float = 0.0
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ValueError(f"the learning rate must be above 0, got {self.lr}")
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"train.label_smoothing must be in [0, 1), got {self.smoothing}")
        if self.weight_decay < 0 or self.clip_norm < 0:
            raise ValueError("train.weight_decay and train.clip_norm must not be below 0")

    @classmethod
    def of(cls, params: Params) -> Training:
        """Read the parameters under `train.`, given with this prefix.

        Raises:
            ValueError: One has a value that is not offered.
        """
        optimizer = read_choice(params, "train.optimizer", OPTIMIZERS, "adamw")
        rate = ("train.lr", 1e-3) if optimizer == "adamw" else ("train.sgd_lr", 3e-2)
        return cls(
            optimizer=optimizer,
            lr=read_float(params, *rate),
            weight_decay=read_float(params, "train.weight_decay", 0.0),
            batch=read_int(params, "train.batch", 64, minimum=1),
            schedule=read_choice(params, "train.schedule", SCHEDULES, "cosine"),
            clip_norm=read_float(params, "train.clip_norm", 0.0),
            smoothing=read_float(params, "train.label_smoothing", 0.0),
        )


def make_optimizer(training: Training, net: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of a network's weights."""
    weights = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in net.parameters() if parameter.ndim <= 1]
    groups = [{"params": weights, "weight_decay": training.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if training.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=training.lr, momentum=_MOMENTUM, nesterov=True)
    # Fused: one call for all weights; a small network's step is mostly call overhead.
    return torch.optim.AdamW(groups, lr=training.lr, fused=True)


def rate_at(schedule: str, position: float) -> float:
    """Return the learning rate as a share of the highest.

    Args:
        schedule: One of `SCHEDULES`.
        position: Share of the whole training that lies behind, in [0, 1).
    """
    if schedule == "constant":
        return 1.0
    if schedule == "one-cycle" and position < _WARM_UP:
        return _LEAST_RATE + (1 - _LEAST_RATE) * position / _WARM_UP
    if schedule == "one-cycle":
        position = (position - _WARM_UP) / (1 - _WARM_UP)
    return _LEAST_RATE + (1 - _LEAST_RATE) * (1 + math.cos(math.pi * position)) / 2
