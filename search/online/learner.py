"""The process that learns: it reads the log of a model behind its server, whenever nobody else needs the machine.

    python -m search.online.learner --results results --name rain --choices '{...}'

It ends when its standard input does, so that it never outlives its server.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search.errors import SweepError

if TYPE_CHECKING:
    from search.online.choices import Choices
    from search.online.reading import Reading

_STATUS_S: Final = 1.0
_SNAPSHOT_S: Final = 30.0
_LOOK_S: Final = 1.0
"""Seconds between two looks at the registry."""

_IDLE_S: Final = 0.1
_AT_ONCE: Final = 64
"""Events between two looks at the clock."""


def main(arguments: Sequence[str]) -> int:
    """Learn until standard input ends, or SIGTERM comes; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m search.online.learner")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--choices", default="{}")
    parser.add_argument("--sweep", default="{}")
    given = parser.parse_args(arguments)
    step_back()
    from search.online.choices import Choices

    choices = Choices.from_json({**Choices().to_json(), **json.loads(given.choices)})
    try:
        learn(given.results, given.name, choices, json.loads(given.sweep), until=_ended())
    except SweepError as error:
        sys.stderr.write(f"{error.sentence()}\n")  # its server tells the last line
        return int(error.code)
    return 0


def step_back() -> None:
    """Have every other process go first, and use one thread."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with suppress(OSError, AttributeError):
        os.nice(19)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def learn(results: Path, name: str, choices: Choices, sweep: Mapping[str, Any], *, until: Callable[[], bool]) -> None:
    """Read on from where the last snapshot stands, until `until` says so.

    Args:
        results: The results folder.
        name: Of the model.
        choices: How it learns; of a model that has learnt before, those that it began with count.
        sweep: What a sweep over the newest rows may take: `resweep_commands.SweepOptions` as JSON.
        until: Asked now and then.

    Raises:
        SweepError: The model, its study or its log cannot be had, or the disk is full.
    """
    import threadpoolctl
    import torch

    from search.online.lock import hold_learning
    from search.online.reading import Reading, say
    from search.online.resweep_commands import SweepOptions
    from search.online.resweeping import Sweeps
    from search.paths import OnlineFolder

    torch.set_num_threads(1)
    lock = hold_learning(OnlineFolder.of(results, name))
    try:
        with threadpoolctl.threadpool_limits(1):
            sweeps = Sweeps(results, name, SweepOptions(**{**sweep, "confirm": tuple(sweep.get("confirm", ()))}), say)
            reading = Reading.open(results, name, choices, sweeps)
            try:
                _read(reading, until)
            finally:
                reading.close()
    finally:
        lock.release()


def _read(reading: Reading, until: Callable[[], bool]) -> None:
    status_s = snapshot_s = time.monotonic()
    look_s = math.inf  # not before all is read that there is
    reading.tell()
    for events in reading.events(_AT_ONCE):
        if until():
            break
        if events:
            reading.take(events)
        now = time.monotonic()
        if reading.changed or (now - snapshot_s > _SNAPSHOT_S and reading.is_ahead):
            reading.snapshot()
            snapshot_s = now
        if now - look_s > _LOOK_S or (not events and look_s == math.inf):
            reading.look()
            look_s = now
        if now - status_s > _STATUS_S:
            reading.tell()
            status_s = now
        if not events:
            time.sleep(_IDLE_S)
    if reading.is_ahead:
        reading.snapshot()
    reading.tell()


def _ended() -> Callable[[], bool]:
    """Return what tells whether standard input has ended, or SIGTERM has come."""
    came: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal's group: the server ends it

    def ended() -> bool:
        if came:
            return True
        ready, _, _ = select.select([sys.stdin.buffer], [], [], 0)
        return bool(ready) and not os.read(sys.stdin.fileno(), 1024)

    return ended


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
