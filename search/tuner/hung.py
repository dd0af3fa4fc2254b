"""Ends workers from outside that cannot end themselves: stopped by a signal, or without the thread that would."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import psutil

from search.trial import Overdue
from search.tuner.watchdog import LastWords
from search.tuner.worker import pid_of

_OURS: Final = "ray::"
"""What the titles of Ray's worker processes begin with."""


def end_hung(study: Any, name: str, overdue: Iterable[Overdue]) -> None:
    """Have the workers of trials ended that are out of time, on whatever node, and the study told.

    Args:
        study: Handle of the study actor.
        name: Of that actor.
        overdue: Those trials. One whose worker was lost to something else is left to the next who begins it.
    """
    import ray

    for one in overdue:
        if one.node == ray.get_runtime_context().get_node_id():
            end_worker(study, name, one)
            continue
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(one.node, soft=False)
        ray.remote(end_worker).options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(study, name, one)


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
            for one in [*worker.children(recursive=True), worker]:
                one.kill()
            return True
    return False
