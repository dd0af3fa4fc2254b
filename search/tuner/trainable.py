"""Tune's class `Trainable`, on reused actors: lends its process to one slot after the other."""

from __future__ import annotations

import os
import time
from typing import Any, Final

import ray
from ray.tune import Trainable

from search.errors import RefusedError, SweepError
from search.session import SessionLost
from search.tuner import foreign, preflight
from search.tuner.calls import Unwritable, call
from search.tuner.slot import Bench, Slot

HEARD_EVERY_S: Final = 1.0
"""How often Tune hears of a slot: each of its results costs the driver milliseconds."""


class SweepTrainable(Trainable):  # type: ignore[misc]
    """A Tune trial: one slot. What it runs is between the slot and the study; Tune hears only whether it is done."""

    def setup(self, config: dict[str, Any]) -> None:
        self._bench: Bench | None = None
        self._study_name: str = config["study"]
        self._study = ray.get_actor(config["study"], namespace=config["namespace"])
        self._files = ray.get_actor(config["files"], namespace=config["namespace"])
        self._blobs = ray.get_actor(config["blobs"], namespace=config["namespace"])
        self._directory = (
            ray.get_actor(config["directory"], namespace=config["namespace"]) if "directory" in config else None
        )
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        bay = self._bench.bay if self._bench is not None else None
        # a function of a trial that has ended runs on, or its tensors are still there: Tune starts another process
        if not foreign.is_clean() or (bay is not None and not bay.is_clean):
            os._exit(0)
        self._name: str = new_config["slot"]
        self._gpus: float = new_config.get("gpus", 0.0)
        self._slot: Slot | None = None
        return True

    def step(self) -> dict[str, Any]:
        if self._bench is None and not self._open():
            return {"done": True}
        assert self._bench is not None
        if self._slot is None:
            self._slot = Slot(self._name, self._bench)
        try:
            goes_on = self._slot.run(time.monotonic() + HEARD_EVERY_S)
            if self._slot.leaves:  # Tune starts another process, elsewhere
                os._exit(0)
            return {"done": not goes_on}
        except Unwritable as error:
            call(self._study.give_up, str(error))
            return {"done": True}

    def _open(self) -> bool:
        """Set this process up; if the user's code cannot be loaded here no trial could ever run, and the sweep ends."""
        try:
            self._bench = Bench.open(
                self._study_name, self._study, self._files, self._blobs, self._directory, self._gpus
            )
        except SessionLost:
            raise
        except RefusedError as error:
            call(self._study.refuse, error.message)
            return False
        except (Exception, SystemExit) as error:
            lacking = preflight.lacking_here(error, ray.util.get_node_ip_address())
            if lacking is not None and self._directory is not None:  # it joined after the others had been looked at
                call(self._study.give_up, lacking.sentence(), "--address")
                return False
            said = error.sentence() if isinstance(error, SweepError) else f"{type(error).__name__}: {error}"
            call(self._study.stop, "failed", f"a worker cannot open the objective: {said}")
            return False
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to save: trials keep their checkpoints by their own numbers."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to load."""
