"""Steps of a trained network on rows as they come: a few rows a step, at a rate that stays as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from search.contract import Context

from .gradients import seed_of, seeded
from .training import Training

RATE: Final = 0.3
"""Of the training's highest rate. A whole rate, right for a network that knows nothing, leaves one that knows much as
far from its optimum as its noise is large; the end of a schedule's is too small to follow a change."""

STREAM: Final = 2**20
"""Of the randomness of such steps; those of epochs come from smaller numbers."""


def prepare_to_step(net: nn.Module, optimizer: torch.optim.Optimizer, training: Training) -> None:
    """Get a network and its optimizer ready for a step on a few rows.

    Dropout is on, as in training. A batch norm goes on with the statistics of its training: those of a few rows are
    noise, and rows that come by time are no fair sample even of the present.
    """
    net.train()
    for module in net.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    for group in optimizer.param_groups:
        group["lr"] = training.lr * RATE


@contextlib.contextmanager
def seeded_here(context: Context, *stream: int) -> Iterator[None]:
    """Do as `seeded` does, on the CPU alone, where torch would look for every other device at each step."""
    if context.device != "cpu":
        with seeded(context, *stream):
            yield
        return
    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed_of(context, *stream))
    try:
        yield
    finally:
        torch.default_generator.set_state(before)
