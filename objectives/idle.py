"""How long a GPU waits between two batches, by its own clock: the `Idle`.

What is measured is the time from the end of one batch's last kernel to when the next batch's first one is queued.
A GPU that waits inside a batch, since its kernels are shorter than their launch, does not show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Final

import torch

_MOST_STEPS: Final = 1000  # whose events are held before they are reckoned up, which waits for the GPU


class Idle:
    """Counts the gaps between batches.

    Args:
        device: Where they run; on a CPU nothing is counted.
    """

    def __init__(self, device: torch.device) -> None:
        self._counts = device.type == "cuda"
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []
        self._idle_ms = self._whole_ms = 0.0

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Measure a batch, while it is entered."""
        if not self._counts:
            yield
            return
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        yield
        end.record()
        self._events.append((begin, end))
        if len(self._events) > _MOST_STEPS:
            self._reckon(self._events[-1:])

    def end_epoch(self) -> None:
        """Reckon up the batches so far; what comes before the next one is no training."""
        self._reckon([])

    @property
    def share(self) -> float | None:
        """Of the training time; None where nothing was counted."""
        return self._idle_ms / self._whole_ms if self._whole_ms > 0 else None

    def _reckon(self, going_on: list[tuple[torch.cuda.Event, torch.cuda.Event]]) -> None:
        if self._events:
            first, last = self._events[0][0], self._events[-1][1]
            last.synchronize()
            spans = [(first.elapsed_time(begin), first.elapsed_time(end)) for begin, end in self._events]
            idle, whole = gaps(spans)
            self._idle_ms, self._whole_ms = self._idle_ms + idle, self._whole_ms + whole
        self._events = going_on


def gaps(spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the time between spans, in order, and the time from the first one's begin to the last one's end."""
    idle = sum(max(0.0, begin - end) for (_, end), (begin, _) in pairwise(spans))
    return idle, spans[-1][1] - spans[0][0]
