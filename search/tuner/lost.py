"""Workers that were lost: to what, and how many in a row before one of them could begin a trial; the `LostWorkers`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from search.tuner.worker import pid_of

LOST_STARTS: Final = 20
"""Workers that may be lost in a row, over all slots, before one of them begins a trial.

A slot's first loss is none of these: a machine may go with many workers at once, which had begun theirs.
"""


class LostWorkers:
    """What Ray says of the workers of a sweep that it lost."""

    def __init__(self) -> None:
        self._causes: dict[int, str] = {}  # by trial
        self._in_a_row = 0
        self._bereft: set[str] = set()  # slots that lost one since a trial last began

    def count(self, slot: str) -> str:
        """Take note that a slot's worker was lost; say so where they die again and again before a trial begins."""
        if slot not in self._bereft:
            self._bereft.add(slot)
            return ""
        self._in_a_row += 1
        if self._in_a_row <= LOST_STARTS:
            return ""
        return f"workers ended {self._in_a_row} times in a row before a trial could begin"

    def blame(self, begun: Mapping[int, str], to_blame: Collection[int] | None) -> None:
        """Take note that a machine which ran out of memory has lost a worker.

        Args:
            begun: The trials that it had begun, each with its worker.
            to_blame: Processes that had much of that memory; None if that is not known, and all are.
        """
        for number, worker in begun.items():
            mine = to_blame is None or pid_of(worker) in to_blame
            self._causes[number] = "memory" if mine else "node"

    def cause_of(self, number: int, otherwise: str) -> str:
        """Return what a trial's worker was lost to, as `StudyOwner.begin` takes it; `otherwise` where nobody said."""
        return self._causes.get(number, otherwise)

    def began(self, number: int) -> None:
        """Take note that a trial has begun."""
        self._causes.pop(number, None)
        self._in_a_row = 0
        self._bereft.clear()


def is_gone(node: str) -> bool:
    """Tell whether a node has left the cluster; "" is none."""
    if not node:
        return False
    import ray

    return not any(one["NodeID"] == node and one["Alive"] for one in ray.nodes())
