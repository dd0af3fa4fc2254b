"""Tune in front of a study: it runs slots until there are no more trials."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from search.plan import SweepPlan

_PENDING: Final = 64
"""Workers that may be started at once where a machine joins; how many trials there are is the study's decision."""


def tune_slots(plan: SweepPlan, names: dict[str, str], study: Any, slots: int, scratch: Path) -> None:
    """Let Tune run slots until the study has no more trials."""
    from ray import tune

    from search.tuner.idle import give_back_idle_workers
    from search.tuner.losses import Losses, take_kills_as_losses
    from search.tuner.reuse import keep_starting_workers
    from search.tuner.searcher import StudySearcher
    from search.tuner.trainable import SweepTrainable

    take_kills_as_losses()
    keep_starting_workers()
    shares = plan.address is not None
    if shares:
        give_back_idle_workers()
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(slots, _PENDING))  # else workers start one after the other

    def resources(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Return what a slot asks of Ray; its share of a GPU is the study's to say."""
        asked = {"CPU": plan.cpus, "GPU": config.get("gpus", plan.gpus), "memory": plan.memory_bytes}
        return tune.PlacementGroupFactory([{name: size for name, size in asked.items() if size}])

    tuner = tune.Tuner(
        tune.with_resources(SweepTrainable, resources),
        tune_config=tune.TuneConfig(
            search_alg=StudySearcher(study, names, shares=shares),
            num_samples=-1,
            reuse_actors=True,
            max_concurrent_trials=None,
        ),
        run_config=tune.RunConfig(
            callbacks=[Losses(study)],
            name="tune",
            storage_path=str(scratch),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=-1),  # how often is the study's decision
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )
    tuner.fit()
