"""Tune's `Searcher` in front of the study: a Tune trial is a slot, which the study fills with trials."""

from __future__ import annotations

from typing import Any

from ray.tune.search import Searcher

from search.tuner import apart
from search.tuner.calls import call
from search.tuner.slot import request_of


class StudySearcher(Searcher):  # type: ignore[misc]
    """Asks the study actor whenever Tune has room; states are told by the workers, never here.

    Args:
        study: Handle of the study actor.
        constants: What every Tune trial's configuration holds besides its first trial.
        shares: Whether other sweeps wait for what this one does not need.
    """

    def __init__(self, study: Any, constants: dict[str, Any], *, shares: bool = False) -> None:
        super().__init__()
        self._study = study
        self._constants = constants
        self.shares = shares

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        asked = apart.ask(self._study, request_of(trial_id, 0), call)
        if asked.done is not None:
            return str(Searcher.FINISHED)
        if asked.spec is None:
            return None
        own: dict[str, Any] = {"slot": trial_id} if asked.gpus is None else {"slot": trial_id, "gpus": asked.gpus}
        return {**self._constants, **own}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:  # noqa: ARG002
        """Give back what the slot still holds; how its trials ended, the workers have told the study."""
        call(self._study.release, trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the study is in its own storage."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""
