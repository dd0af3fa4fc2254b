"""The gradients of a batch, whole or in parts, on one rank or several, compiled or not: the `Gradients`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from search.contract import Context, Task

from .compiling import Compiled
from .ddp import Place
from .norms import Sharing, share_norms, unshare_norms
from .precision import autocast


@contextlib.contextmanager
def seeded(context: Context, *stream: int) -> Iterator[None]:
    """Make torch's randomness depend on (seed, stream) inside, and leave it outside as it was."""
    devices = [torch.cuda.current_device()] if context.device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed_of(context, *stream))
        yield


def seed_of(context: Context, *stream: int) -> int:
    """Return torch's seed of a stream of randomness."""
    return int(np.random.SeedSequence([context.seed, *stream]).generate_state(1, np.uint64)[0])


class Gradients:
    """A network's way forward and back.

    Args:
        net: It, on its device.
        context: Says in how many parts a batch goes through it, with what precision, and whether it is compiled.
        place: Where this process stands among those that train together.
        device: Of the network.
        weights: (classes,) how much each counts in the loss, or None.
        smoothing: Of the labels.

    Attributes:
        compiled: The compiled network, where that is wished and training has begun.
    """

    def __init__(
        self,
        net: nn.Module,
        context: Context,
        place: Place,
        device: torch.device,
        weights: Tensor | None,
        smoothing: float,
    ) -> None:
        self._net, self._context, self._place, self._device = net, context, place, device
        self._weights, self._smoothing = weights, smoothing
        self._joined: nn.Module | None = None
        self._sharing = Sharing()
        self.compiled: Compiled | None = None

    @property
    def is_ready(self) -> bool:
        """Whether training has begun."""
        return self._joined is not None

    def begin(self) -> None:
        """Join the other ranks, which have started, and compile, if that is wished."""
        self._joined = self._net
        if self._place.world > 1:
            self._sharing = share_norms(self._net)
            self._joined = self._place.joined(self._net, self._device)
        if self._context.compiled:
            self.compiled = Compiled(self._joined, max(1, self._context.threads // self._place.world))

    def leave(self) -> None:
        """Leave the other ranks, until it begins again."""
        unshare_norms(self._net)
        self._joined = self.compiled = None

    def of(self, features: Tensor, target: Tensor, *stream: int) -> Tensor:
        """Reckon the gradients of a batch and return its loss; where its compiled network fails, of the network.

        Args:
            features: Of the batch.
            target: Of its rows.
            stream: What the randomness of this batch depends on where each rank draws its own.
        """
        if self.compiled is None or self.compiled.failed or self.compiled.settled:
            return self._backward(features, target, stream)
        set_back = self.compiled.remember()
        try:
            loss = self._backward(features, target, stream)
            self.compiled.stepped()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            self.compiled.give_up(error)
            set_back()
            self._net.zero_grad(set_to_none=True)
            return self._backward(features, target, stream)
        return loss

    def _backward(self, features: Tensor, target: Tensor, stream: tuple[int, ...]) -> Tensor:
        world = self._place.world
        parts = self._place.parts(len(target), self._context.micro_batches)
        self._sharing.on = len(target) >= world
        if world == 1 and len(parts) == 1:
            return self._part(features, target, 1.0)
        # Each row counts as it does in the mean over the whole batch, whatever part it is in. The gradients of ranks
        # are not summed but averaged.
        whole, reduction = (self._count(target) / world, "sum") if self._sharing.on else (1.0, "mean")
        total = torch.zeros((), device=self._device)
        with self._own_randomness(stream):
            for part in parts:
                with self._apart() if part is not parts[-1] else contextlib.nullcontext():
                    total += self._part(features[part], target[part], whole, reduction)
        return total / world

    def _apart(self) -> contextlib.AbstractContextManager[None]:
        """Return the context in which gradients are added up here, and not sent to the other ranks."""
        joined = self._joined
        return joined.no_sync() if isinstance(joined, DistributedDataParallel) else contextlib.nullcontext()

    def _own_randomness(self, stream: tuple[int, ...]) -> contextlib.AbstractContextManager[None]:
        """Return the context in which a rank draws, for dropout, what no other one draws; all draw batches alike."""
        if self._place.world == 1:
            return contextlib.nullcontext()
        return seeded(self._context, *stream, self._place.rank)

    def _part(self, features: Tensor, target: Tensor, share: Tensor | float, reduction: str = "mean") -> Tensor:
        forward = self.compiled or self._joined or self._net
        with autocast(self._context.precision, self._device):
            loss = self._loss(forward(features), target, reduction) / share
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _count(self, target: Tensor) -> Tensor | float:
        """Return what the mean loss of a batch is a share of."""
        if self._weights is None or self._context.task is Task.REGRESSION:
            return float(len(target))
        return self._weights[target].sum()

    def _loss(self, output: Tensor, target: Tensor, reduction: str) -> Tensor:
        if self._context.task is Task.REGRESSION:
            return functional.mse_loss(output[:, 0], target, reduction=reduction)
        return functional.cross_entropy(
            output, target, weight=self._weights, reduction=reduction, label_smoothing=self._smoothing
        )
