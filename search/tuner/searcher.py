"""Tune's `Searcher` in front of the study: a Tune trial is a slot, which the study fills with trials."""

from __future__ import annotations

from typing import Any

import ray
from ray.tune.search import Searcher

from search.trial import Asked
from search.tuner.slot import request_of


class StudySearcher(Searcher):  # type: ignore[misc]
    """Asks the study actor whenever Tune has room; states are told by the workers, never here.

    Args:
        study: Handle of the study actor.
        constants: What every Tune trial's configuration holds besides its first trial.
    """

    def __init__(self, study: Any, constants: dict[str, Any]) -> None:
        super().__init__()
        self._study = study
        self._constants = constants

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        asked: Asked = ray.get(self._study.ask.remote(request_of(trial_id, 0)))
        if asked.done is not None:
            return str(Searcher.FINISHED)
        if asked.spec is None:
            return None
        return {**self._constants, "slot": trial_id}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:  # noqa: ARG002
        """Give back what the slot still holds; how its trials ended, the workers have told the study."""
        ray.get(self._study.release.remote(trial_id))

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the study is in its own storage."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""
