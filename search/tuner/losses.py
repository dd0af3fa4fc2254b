"""Learns from Ray why a worker was lost, before its trial begins again."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any, Final

import ray
from ray.tune import Callback

from search.tuner.calls import call

_KILLED: Final = "due to the node running low on memory"
"""What Ray says of a worker that its memory monitor chose; of one that the kernel chose it knows nothing."""

_CHOSEN: Final = re.compile(r"Selected to kill: .*?pid=(\d+), actual memory used=([\d.]+)GB")

_BLAMED: Final = 0.5
"""Whoever had at least this share of what the largest had is to blame; the others were in its way."""


class Losses(Callback):  # type: ignore[misc]
    """Tells the study which slots' workers Ray killed because a node ran low on memory.

    Args:
        study: Handle of the study actor.
    """

    def __init__(self, study: Any) -> None:
        self._study = study

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        call(self._study.lost, trial.trial_id)
        said = _read(trial.error_file).rpartition("Failure # ")[2]
        if _KILLED in said:
            call(self._study.killed, trial.trial_id, to_blame(said))


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def to_blame(said: str) -> list[int] | None:
    """Return the processes that Ray killed for the memory they had; None if it does not say what each had.

    Ray chooses by age, and kills more than one if that is not enough: the study's own actors, other trials.
    """
    had = {int(pid): float(size) for pid, size in _CHOSEN.findall(said)}
    most = max(had.values(), default=0.0)
    return sorted(pid for pid, size in had.items() if size >= _BLAMED * most) if had else None


def take_kills_as_losses() -> None:
    """Have Tune go on when Ray's memory monitor kills a worker: it takes any other error for the loss of an actor,
    and that one for the end of the sweep."""
    from ray.air.execution._internal.actor_manager import RayActorManager as Manager

    name = "_actor_task_failed"  # private
    original = getattr(Manager, name, None)
    if original is None or hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def translated(self: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, ray.exceptions.OutOfMemoryError):
            exception = ray.exceptions.RayActorError(error_msg=str(exception))
        original(self, tracked_actor_task, exception)

    setattr(Manager, name, translated)
