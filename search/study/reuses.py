"""`Reuses`: how ended trials came by their prepared rows, counted a trial at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search.trial import Reuse


class Reuses:
    """Counts of prepared rows that were made, and of those that were there already.

    Attributes:
        counts: Ended trials by how they came by their rows; those that keep none are left out.
        saved_s: Seconds that they did not have to spend, as others had.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.saved_s = 0.0

    def add(self, end: Mapping[str, Any]) -> None:
        """Count a trial by what was told at its end."""
        if "prepared" not in end:
            return
        reuse = Reuse.from_json(end["prepared"])
        self.counts[reuse.how] = self.counts.get(reuse.how, 0) + 1
        self.saved_s += reuse.saved_s

    def to_json(self) -> dict[str, Any]:
        return {"counts": self.counts, "saved_s": self.saved_s}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Reuses:
        made = cls()
        made.counts, made.saved_s = dict(values["counts"]), values["saved_s"]
        return made
