"""Prepares rows of trials on a machine without a GPU, before a trial takes one: the `Preparer`, an actor.

It asks the study for a trial as a slot does, makes its rows into its machine's store, and releases it: a slot then gets
that trial first. Nothing depends on it. Where it fails or is lost, the trial makes its rows itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Final

import ray

from search.building import Building
from search.trial import TrialSpec
from search.tuner import apart
from search.tuner.blobs import NICENESS
from search.tuner.calls import call
from search.tuner.capture import Capture
from search.tuner.memory import MemoryLimit
from search.tuner.slot import Bench, request_of
from search.tuner.watchdog import Watchdog

_SHORTEST_S: Final = 0.1
"""How long to wait where no trial may be drawn yet; twice as long each time that none may, up to `_LONGEST_S`."""

_LONGEST_S: Final = 1.0


class Preparer:
    """Prepares one trial's rows after the other.

    Args:
        name: Under which it asks.
        names: Of the sweep's actors.
    """

    def __init__(self, name: str, names: Mapping[str, str]) -> None:
        os.nice(NICENESS)  # the study may be on this machine
        self._name, self._names = name, names

    def run(self) -> Iterator[int]:
        """Prepare rows until the sweep takes no more trials, or until none are kept; yield each trial that has some."""
        bench, turn, pause_s = self._open(), 0, _SHORTEST_S
        if bench.problem.preparations is None:
            return
        while True:
            asked = apart.ask(bench.study, request_of(self._name, turn), call)
            if asked.done is not None:
                return
            if asked.spec is None:
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_S)
                continue
            turn, pause_s = turn + 1, _SHORTEST_S
            trouble = prepare(bench, asked.spec)
            call(bench.study.release, self._name)
            if trouble:
                return
            yield asked.spec.number

    def _open(self) -> Bench:
        kinds, space = ("study", "files", "blobs", "directory"), self._names["namespace"]
        actors = [ray.get_actor(self._names[kind], namespace=space) for kind in kinds]
        return Bench.open(self._names["study"], *actors)


def prepare(bench: Bench, spec: TrialSpec) -> str:
    """Make the rows of a trial; what goes wrong with them is told by the trial, which does the same.

    Returns:
        Why rows are not kept here, in one sentence; "" if they are.
    """
    plan, capture, watchdog, trouble = bench.plan, Capture(), Watchdog(), ""
    memory = MemoryLimit(plan.memory_bytes) if plan.memory_bytes is not None else None
    clock = time.monotonic
    building = Building(bench.problem, spec, bench.setting, lambda _: nullcontext(), clock=clock, began=clock())
    if plan.trial_timeout_s is not None:
        watchdog.arm(plan.trial_timeout_s)
    if memory is not None:
        memory.arm()
    try:
        with capture, memory or nullcontext():
            trouble = building.prepare()
    except (Exception, SystemExit):
        pass
    finally:
        watchdog.disarm()
        if memory is not None:
            memory.disarm()
    if text := capture.take():
        call(bench.files.log, spec.number, text)
    return trouble
