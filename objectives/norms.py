"""Batch norms that see the whole batch although each rank has a part of it: `share_norms`.

torch's own SyncBatchNorm does this on GPUs only; this one is the same on both, so it is tested where there is none.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Sharing:
    """Whether ranks have parts of a batch at the moment, or each the whole of it."""

    on = True


def share_norms(net: nn.Module) -> Sharing:
    """Make all batch norms of a network reckon over the rows of all ranks, and return what turns that off."""
    sharing = Sharing()
    for module in net.modules():
        if isinstance(module, _BatchNorm):
            module.forward = partial(_forward, module, module.forward, sharing)  # type: ignore[method-assign]
    return sharing


def has_norms(net: nn.Module) -> bool:
    """Tell whether a network's output for one row depends on the others of its batch."""
    return any(isinstance(module, _BatchNorm) for module in net.modules())


def unshare_norms(net: nn.Module) -> None:
    """Make batch norms what they were."""
    for module in net.modules():
        if isinstance(module, _BatchNorm):
            vars(module).pop("forward", None)


def _forward(norm: Any, alone: Any, sharing: Sharing, given: Tensor) -> Tensor:
    if not norm.training or not sharing.on:
        found: Tensor = alone(given)
        return found
    rows = given.float()
    others = [axis for axis in range(rows.ndim) if axis != 1]
    shape = [1, -1, *[1] * (rows.ndim - 2)]
    count = rows.new_tensor([rows.numel() / rows.shape[1]])
    sums = _Sum.apply(torch.cat([rows.sum(others), count]))  # type: ignore[no-untyped-call]
    count = sums[-1].detach()
    mean = sums[:-1] / sums[-1]
    centred = rows - mean.view(shape)
    variance = _Sum.apply(centred.square().sum(others)) / count  # type: ignore[no-untyped-call]
    _remember(norm, mean.detach(), variance.detach(), count)
    made = centred * (variance + norm.eps).rsqrt().view(shape)
    if norm.affine:
        made = made * norm.weight.view(shape) + norm.bias.view(shape)
    return cast("Tensor", made.to(given.dtype))


def _remember(norm: Any, mean: Tensor, variance: Tensor, count: Tensor) -> None:
    if not norm.track_running_stats:
        return
    norm.num_batches_tracked += 1
    share = 1.0 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(variance * count / (count - 1), share)


class _Sum(torch.autograd.Function):
    """The sum over all ranks; each rank's gradient is the sum of the gradients of all of them."""

    @staticmethod
    def forward(context: Any, given: Tensor) -> Tensor:  # noqa: ARG004
        return _summed(given)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004
        return _summed(gradient)


def _summed(given: Tensor) -> Tensor:
    found = given.clone().contiguous()
    distributed.all_reduce(found)
    return found
