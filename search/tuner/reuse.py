"""Lets a worker that is starting keep its trial, where Tune would end it as soon as another worker is free."""

from __future__ import annotations

import functools
from typing import Any


def keep_starting_workers() -> None:
    """Have Tune give a free worker to a trial that has none on its way.

    Tune also gives it to a trial whose own worker is about to start, and ends that one. Where trials take less time
    than workers need to start, such a sweep would run on ever fewer workers. A trial whose worker has no place yet, on
    a cluster that is full, still takes over a free one.
    """
    from ray.tune.execution.tune_controller import TuneController as Controller

    name = "_maybe_reuse_cached_actor"  # private, like all that it uses here
    original = getattr(Controller, name, None)
    if original is None or hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def reused(self: Any, trial: Any) -> bool:
        placed = self._actor_manager._live_actors_to_ray_actors_resources
        if trial in self._resetting_trials or self._trial_to_actor.get(trial) not in placed:
            return bool(original(self, trial))
        asks = trial.placement_group_factory
        waiting = (one for one in self._resources_to_pending_trials[asks] if one in self._staged_trials)
        for one in waiting:
            if one not in self._resetting_trials and self._trial_to_actor.get(one) not in placed:
                original(self, one)  # Tune offers it to one trial only, the same each time perhaps
                break
        return False

    setattr(Controller, name, reused)
