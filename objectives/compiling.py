"""A network that is compiled at its first batch, and goes on uncompiled where that fails: the `Compiled`."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn


class Compiled:
    """The forward pass of a network in training, through `torch.compile`.

    Args:
        net: Shares its weights with what is compiled.
        threads: Processes that compile at once, at most.

    Attributes:
        note: How long the first batch took, or why the network is not compiled; "" before.
        failed: Whether it goes on uncompiled.
        settled: Whether it has been compiled for every size of batch, so that what fails later is no compiler's fault.
    """

    def __init__(self, net: nn.Module, threads: int) -> None:
        # torch would start one process for each core of the machine
        os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(threads))
        self._net = net
        self._forward: Any = net
        self._began = time.monotonic()
        self.note = ""
        self.failed = self.settled = False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of torch's compiler about itself
                torch.compiler.reset()  # a worker that has compiled many networks would be refused another
                self._forward = torch.compile(net)
        except Exception as error:
            self.give_up(error)

    def __call__(self, features: Tensor) -> Tensor:
        """Return what the network returns."""
        if self.note:
            return cast("Tensor", self._forward(features))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return cast("Tensor", self._forward(features))

    def stepped(self) -> None:
        """Take note that a batch has gone forward and back."""
        if not self.note:
            self.note = f"its network was compiled: the first batch took {time.monotonic() - self._began:.1f} s"

    def remember(self) -> Callable[[], None]:
        """Return what sets back all that a batch changes besides gradients: buffers, and torch's randomness."""
        buffers = [(buffer, buffer.clone()) for buffer in self._net.buffers()]
        drawn = torch.get_rng_state()
        on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        drawn_on_gpu = torch.cuda.get_rng_state() if on_gpu else None

        def set_back() -> None:
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)
            torch.set_rng_state(drawn)
            if drawn_on_gpu is not None:
                torch.cuda.set_rng_state(drawn_on_gpu)

        return set_back

    def give_up(self, error: Exception) -> None:
        """Go on uncompiled."""
        said = str(error).strip().splitlines() or [""]
        self.note = f"its network could not be compiled, and ran as it is: {type(error).__name__}: {said[0]:.120}"
        self._forward, self.failed = self._net, True
