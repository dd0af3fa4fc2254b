"""How much of a GPU a trial gets: values in, a share out; nothing here knows a GPU, or a study.

A share is a part of one GPU that Ray can give out: 1/k of it, so that k trials fill it. What trials have really used
says how small it may be; what a trial could not run with says how large it must be the next time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

HEADROOM: Final = 1.15
"""Of the largest peak so far: another configuration may need more, and memory is lost between blocks."""

MOST: Final = 8
"""Trials that share one GPU at the most: each has a context of its own, and they take turns in computing."""

MOST_PARTS: Final = 4
"""Into how many micro-batches a batch is split at the most."""

SHORT: Final = 2
"""So many trials that ran out of memory with a share show that it is too small, whatever the others used."""

_GRAIN: Final = 10_000
"""Ray counts a GPU in parts of 1/10000, and rounds: six times a sixth that was rounded up is more than a GPU."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a trial is to be given.

    Attributes:
        share: Of a GPU; 1 is a whole one, more are so many.
        micro_batches: Parts into which it splits each batch.
    """

    share: float
    micro_batches: int = 1

    def to_json(self) -> dict[str, Any]:
        return {"share": self.share, "micro_batches": self.micro_batches}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Need:
        return cls(float(values["share"]), int(values["micro_batches"]))


def one_of(count: int) -> float:
    """Return the share of each of so many trials on a GPU, such that all of them fit in Ray's own arithmetic."""
    return math.floor(_GRAIN / count) / _GRAIN


def fitting(share: float) -> int:
    """Return how many trials of this share one GPU holds; 0 where a trial takes more than one."""
    return int(1 / share + 1e-9)


LEAST: Final = one_of(MOST)
"""The smallest share that is given out by what trials used."""


def share_of(peaks_mb: Iterable[float], gpu_mb: float | None, shorts: Iterable[float] = ()) -> float:
    """Return the share that the next trial gets.

    Args:
        peaks_mb: Memory that trials took at most, their context on the GPU included.
        gpu_mb: Memory of a GPU, of the smallest where they differ; None while nobody has told it.
        shorts: The largest share of each trial that ran out of memory with it, and was well with a larger one.
    """
    most = max(peaks_mb, default=0.0)
    if most <= 0 or not gpu_mb:
        return 1.0
    count = min(MOST, max(1, int(gpu_mb / (most * HEADROOM))))
    met = [*shorts]
    while count > 1 and sum(fitting(short) <= count for short in met) >= SHORT:
        count -= 1
    return one_of(count)


def larger(share: float, *, again: bool) -> float:
    """Return the share with which a trial is tried that ran out of memory: twice as much, then the whole GPU."""
    return 2 * share if not again and 2 * share <= 0.5 else 1.0


def after_shortage(need: Need, *, again: bool, splits: bool) -> Need | None:
    """Return what a trial is given that ran out of a GPU's memory; None: there is nothing more to give.

    Args:
        need: What it had.
        again: Whether it had run out before.
        splits: Whether it can split its batches.
    """
    if need.share < 1:
        return Need(larger(need.share, again=again), need.micro_batches)
    if splits and need.micro_batches < MOST_PARTS:
        return Need(need.share, need.micro_batches * 2)
    return None


def has_room(taken: Iterable[float], share: float, gpus: float) -> bool:
    """Tell whether one more trial may be given out beside those that hold so much each.

    It goes by the sum: where the sum fits and no single GPU has that much left, the trial waits for the next that is,
    and nothing that is smaller goes before it.
    """
    return sum(taken) + share <= gpus + 1e-6


def tried(shares: Iterable[Need]) -> str:
    """Say what a trial was given, one time after the other."""
    said = []
    for need in shares:
        parts = f" in {need.micro_batches} micro-batches" if need.micro_batches > 1 else ""
        said.append(f"{need.share:g} GPU{'s' * (need.share > 1)}{parts}")
    return ", then ".join(said)
