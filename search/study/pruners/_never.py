"""No pruning."""

from __future__ import annotations

from collections.abc import Iterable

import optuna
from optuna.trial import FrozenTrial

from search.study.pruners._rule import Heard, Pruning, PruningRule


class Never(PruningRule):
    """Lets every trial go on."""

    name = "none"

    @property
    def first_step(self) -> int:
        return self.max_epochs

    def _meet(self, study: optuna.Study) -> None:
        """Serve any study: it keeps nothing."""

    def judge_at(self, step: int, trial: FrozenTrial) -> Pruning | None:  # noqa: ARG002 - nothing is judged
        return None

    def replay(self, trials: Iterable[FrozenTrial], heard: Heard | None = None) -> None:
        """Take nothing in."""
