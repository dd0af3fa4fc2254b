"""Whose checkpoints are kept of a study's trials, as its plan says."""

from __future__ import annotations

from search.study.held import Hands
from search.study.scores import Scores


class Kept:
    """Knows which checkpoints may go. Those of trials that have not ended never may.

    Args:
        which: `best` (of the study's best trial, or of the front), `all` or `none`.
        scores: The best trials, as they stand.
        hands: The trials that have not ended.
    """

    def __init__(self, which: str, scores: Scores, hands: Hands) -> None:
        self._which, self._scores, self._hands = which, scores, hands
        self._before: set[int] = set()
        self._ended: list[int] = []  # spare, once what says so is on the disk
        self._spare: list[int] = []

    def keep(self, which: str) -> None:
        """Keep those of other trials from here on; what is gone already stays gone."""
        self._which = which

    def take_stock(self) -> None:
        """Note whose are kept as it stands, when the scores are read back from storage."""
        self._before = self._best()

    def ended(self, number: int) -> None:
        """Take in that a trial has ended, once its score is counted."""
        if self._which == "all":
            return
        best = self._best()
        self._ended += sorted((self._before | {number}) - best)
        self._before = best

    def synced(self) -> None:
        """Take in that all ends so far survive a power cut."""
        self._spare += self._ended
        self._ended.clear()

    def take_spare(self) -> list[int]:
        """Return the trials whose checkpoints may go since the last call."""
        spare, self._spare = self._spare, []
        return spare

    @property
    def needed(self) -> set[int] | None:
        """All trials whose checkpoints must stay; None where that is all."""
        if self._which == "all":
            return None
        return {held.spec.number for held in self._hands} | self._best()

    def _best(self) -> set[int]:
        return set() if self._which == "none" else {score.number for score in self._scores.front}
