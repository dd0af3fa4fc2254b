"""What a worker knows of its GPUs: the memory that trials take, give back, and find; the `Gpu` reads it.

Only the process that holds a GPU asks torch about it. A worker without one, or without torch, has no `Gpu`.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from search.trial import Outcome

CONTEXT_MB: Final = 600.0
"""What a process takes of a GPU besides its tensors: its CUDA context and the kernels that it has loaded. torch does
not count it; 300 to 600 MB are usual."""

LEFT_MB: Final = 256.0
"""Tensors that a trial may leave behind, such as workspaces of cuBLAS; a process that holds more is replaced."""

FREE: Final = 0.9
"""The part of its share that has to be free before a trial begins."""

WAIT_S: Final = 20.0
"""How long a trial waits for the memory that others give back: a process that ends needs a second or two."""

LOOK_EVERY_S: Final = 0.25


class Gpu(Protocol):
    """The GPUs of this process; all figures are in MB, and those of the fullest one."""

    def begin(self) -> None:
        """Measure the peak from here on."""

    def peak_mb(self) -> float | None:
        """Return what this process took at most since `begin`; None if it took nothing."""

    def held_mb(self) -> float:
        """Return what the tensors of this process take now."""

    def taken_mb(self) -> float:
        """Return what this process takes now, for tensors or for later."""

    def memory_mb(self) -> tuple[float, float]:
        """Return what is free, and what there is."""

    def give_back(self) -> None:
        """Let go of what no tensor needs."""

    def limit(self, part: float) -> None:
        """Let this process take no more than this part for its tensors."""


class TorchGpu:
    """The GPUs that torch sees, which are those that Ray gave to this process."""

    def begin(self) -> None:
        import torch

        if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            return  # torch refuses, and there is no peak yet
        for device in self._devices():
            torch.cuda.reset_peak_memory_stats(device)

    def peak_mb(self) -> float | None:
        import torch

        peak = max((torch.cuda.max_memory_reserved(device) for device in self._devices()), default=0)
        return round(peak / 2**20 + CONTEXT_MB, 1) if peak else None

    def held_mb(self) -> float:
        import torch

        return max((torch.cuda.memory_allocated(device) for device in self._devices()), default=0) / 2**20

    def taken_mb(self) -> float:
        import torch

        if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            return 0.0
        return max((torch.cuda.memory_reserved(device) for device in self._devices()), default=0) / 2**20 + CONTEXT_MB

    def memory_mb(self) -> tuple[float, float]:
        import torch

        free, total = min(torch.cuda.mem_get_info(device) for device in self._devices())
        return free / 2**20, total / 2**20

    def give_back(self) -> None:
        import torch

        torch.cuda.empty_cache()

    def limit(self, part: float) -> None:
        import torch

        for device in self._devices():
            torch.cuda.set_per_process_memory_fraction(part, device)

    def _devices(self) -> range:
        import torch

        return range(torch.cuda.device_count())


def gpu_of(ids: Sequence[object]) -> Gpu | None:
    """Return the reader of the GPUs that Ray gave to this process; None where there is none that torch can use."""
    if not ids or "torch" not in sys.modules:  # whoever asks for a GPU has loaded it by now, if it is there
        return None
    import torch

    return TorchGpu() if torch.cuda.is_available() else None


@dataclass(slots=True)
class Bay:
    """The GPU memory of a worker, from one trial to the next.

    Args:
        gpu: Reads it.
        share: What a trial gets of a GPU.
        bound: Whether it may take no more than that, as others rely on the rest.
        wait_s: How long a trial waits for memory that is not free.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.

    Attributes:
        is_clean: Whether nothing much is left of the trials before.
    """

    gpu: Gpu
    share: float
    bound: bool = False
    wait_s: float = WAIT_S
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    is_clean: bool = True
    _usual_mb: float | None = field(default=None)

    def __post_init__(self) -> None:
        if self.bound and self.share < 1:
            _, total = self.gpu.memory_mb()
            self.gpu.limit(max(0.01, min(self.share, 1.0) - CONTEXT_MB / total))

    def wait(self) -> str:
        """Wait until a trial's share is free, not for ever; say so if it is not.

        A share of which others may take more than theirs is not waited for.
        """
        if self.share < 1 and not self.bound:
            return ""
        until = self.clock() + self.wait_s
        while True:
            free, total = self.gpu.memory_mb()
            there = free + self.gpu.taken_mb()
            wanted = FREE * min(self.share, 1.0) * total
            if self._usual_mb is not None:  # somebody else has the rest for good: it was waited for before
                wanted = min(wanted, self._usual_mb * FREE)
            if there >= wanted:
                return ""
            if self.clock() >= until:
                break
            self.sleep(LOOK_EVERY_S)
        self._usual_mb = there
        waited = f"after {self.wait_s:g} s of waiting"
        return f"only {there:.0f} of its GPU's {total:.0f} MB were free when it began, {waited}"

    def begin(self) -> None:
        """Measure a trial from here on."""
        self.gpu.begin()

    def measured(self, outcome: Outcome) -> Outcome:
        """Return how a trial ended with what it took."""
        peak = self.gpu.peak_mb()
        return outcome if peak is None else replace(outcome, gpu_peak_mb=peak, gpu_mb=round(self.gpu.memory_mb()[1], 1))

    def clear(self) -> None:
        """Let go of what a trial has left, now that nobody refers to it, and see whether it went."""
        gc.collect()
        self.gpu.give_back()
        self.is_clean = self.gpu.held_mb() <= LEFT_MB
