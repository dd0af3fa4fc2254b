"""Ends workers from outside that cannot end themselves: stopped by a signal, or without the thread that would."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import psutil

from search.trial import Overdue
from search.tuner.watchdog import LastWords
from search.tuner.worker import pid_of

_OURS: Final = "ray::"
"""What the titles of Ray's worker processes begin with."""

_AGAIN_S: Final = 10.0
"""How long another machine may take to end a worker before it is told to again; a dead one would be told often."""


class Hung:
    """Has the workers of trials ended that are out of time, on whatever node, and the study told.

    Args:
        study: Handle of the study actor.
        name: Of that actor.
    """

    def __init__(self, study: Any, name: str) -> None:
        self._study, self._name = study, name
        self._sent: dict[Overdue, float] = {}  # when

    def end(self, overdue: Iterable[Overdue]) -> None:
        """Have the workers of these trials ended; one that was lost to something else is left to who begins it next."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = ray.get_runtime_context().get_node_id()
        for one in self.due(overdue, here):
            if one.node == here:
                end_worker(self._study, self._name, one)
                continue
            there = NodeAffinitySchedulingStrategy(one.node, soft=False)
            task = ray.remote(end_worker).options(num_cpus=0, max_retries=3, scheduling_strategy=there)
            task.remote(self._study, self._name, one)

    def due(self, overdue: Iterable[Overdue], here: str, *, now: float | None = None) -> list[Overdue]:
        """Return whose workers are to be ended at this look: all of this node, and of others those not told of lately.

        Args:
            overdue: Those that are out of time.
            here: This node's id.
            now: Monotonic seconds; None for this moment.
        """
        now = time.monotonic() if now is None else now
        self._sent = {one: self._sent.get(one, -math.inf) for one in overdue}
        new = [one for one, sent in self._sent.items() if one.node == here or now - sent >= _AGAIN_S]
        self._sent |= dict.fromkeys(new, now)
        return new


def end_worker(study: Any, name: str, overdue: Overdue) -> None:
    """Kill the worker of an overdue trial, on its own node, with all that it started, and tell the study.

    One that its watchdog has ended is told, too: the worker that takes its place may need long to begin.
    """
    if _killed(pid_of(overdue.worker)) or LastWords(name, overdue.number).cause() == "time":
        study.time_out.remote(overdue.number, overdue.token)


def _killed(pid: int) -> bool:
    """Kill a worker process with all that it started; tell whether it was there."""
    with suppress(psutil.Error):
        worker = psutil.Process(pid)
        if "".join(worker.cmdline()).startswith(_OURS):
            for child in worker.children(recursive=True):
                with suppress(psutil.Error):  # it has ended meanwhile, with its parent perhaps
                    child.kill()
            worker.kill()
            return True
    return False
