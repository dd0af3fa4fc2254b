"""A worker that starts keeps its trial, however many others are free meanwhile.

Mutation that turns this red: give any free worker away (`reused`).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from search.tuner.reuse import keep_starting_workers


@pytest.mark.usefixtures("ray_session")
def test_a_worker_that_takes_longer_to_start_than_trials_last_still_gets_one(tmp_path: Path) -> None:
    from ray import tune

    class Starts(tune.Trainable):  # type: ignore[misc]
        """The second of its workers takes long to start."""

        def setup(self, config: dict[str, Any]) -> None:
            try:
                os.close(os.open(config["first"], os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                time.sleep(5)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            return True

        def step(self) -> dict[str, Any]:
            time.sleep(0.8)
            return {"worker": os.getpid(), "done": True}

    keep_starting_workers()
    asked = tune.TuneConfig(num_samples=12, reuse_actors=True)
    never = tune.CheckpointConfig(checkpoint_at_end=False)
    kept = tune.RunConfig(storage_path=str(tmp_path), verbose=0, checkpoint_config=never)
    ended = tune.Tuner(Starts, param_space={"first": str(tmp_path / "first")}, tune_config=asked, run_config=kept).fit()
    assert len({one.metrics["worker"] for one in ended if one.metrics}) == 2
