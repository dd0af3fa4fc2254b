"""Labels that suddenly have other shares than before, and whether they come to stay: the `LabelShift`."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

_NOW: Final = 100
_BEFORE: Final = 1_000
_FEWEST: Final = 100
"""Labels before the newest, without which there is no telling what is usual."""

_LONGEST: Final = 300
"""Rows that are held at most: labels that have been so for so long are how things are now."""

_SHIFT: Final = 0.4
_BEYOND_CHANCE: Final = 0.2
"""Total variation that is too much; where many classes make a large one likely, so much more than is to be expected."""

_BACK: Final = 0.75
"""Share of that under which labels are as before again: so that chance does not let go of some and hold others."""


class LabelShift:
    """Whether rows are to be held, since somebody may be flooding the model with one label.

    The newest 100 labels are held against the 1,000 before them: by class, or by the tertiles of those before. While
    they are too different, rows are to be held; labels that stay so for 300 rows are how things are now.

    Args:
        classes: Of the signature; () of a regression.

    Attributes:
        stays: How the last time of holding ended: whether the new labels came to stay, rather than went away again.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.stays = False
        self._classes = len(classes)
        self._now: deque[float] = deque()
        self._before: deque[float] = deque()
        self._edges: list[float] = []
        self._row = 0
        self._held = 0
        self._count()

    @property
    def is_holding(self) -> bool:
        """Whether rows are held, before the next label is known."""
        return self._held > 0

    def update(self, target: float) -> bool:
        """Take a label, a class index or a value; return whether its row is to be held."""
        self._row += 1
        self._push(target)
        if len(self._now) < _NOW or len(self._before) < _FEWEST:
            return False
        limit = self._limit() * (_BACK if self._held else 1.0)
        if self._variation() <= limit:
            self._held, self.stays = 0, False
            return False
        if self._held == _LONGEST:
            self._held, self.stays = 0, True
            self._before.clear()
            self._count()
            return False
        self._held += 1
        return True

    def _push(self, target: float) -> None:
        """Let a label in at the front; while rows are held, those that leave do not become what is usual."""
        self._now.append(target)
        self._counts[0][self._bin(target)] += 1
        if len(self._now) > _NOW:
            left = self._now.popleft()
            self._counts[0][self._bin(left)] -= 1
            if not self._held:
                self._before.append(left)
                self._counts[1][self._bin(left)] += 1
                if len(self._before) > _BEFORE:
                    self._counts[1][self._bin(self._before.popleft())] -= 1
        if not self._classes and not self._held and self._row % _NOW == 0 and self._before:
            self._edges = np.quantile(np.array(self._before), [1 / 3, 2 / 3]).tolist()
            self._count()

    def _bin(self, target: float) -> int:
        return int(target) if self._classes else bisect_left(self._edges, target)

    def _count(self) -> None:
        bins = self._classes or 3
        found = [[self._bin(target) for target in targets] for targets in (self._now, self._before)]
        self._counts = [np.bincount(np.array(one, np.int64), minlength=bins) for one in found]

    def _variation(self) -> float:
        now, before = self._counts
        return float(np.abs(now / len(self._now) - before / len(self._before)).sum()) / 2

    def _limit(self) -> float:
        """Return the total variation that is too much, which chance does not reach where there are many classes."""
        share = (self._counts[0] + self._counts[1]) / (len(self._now) + len(self._before))
        spread = np.sqrt(share * (1 - share) * (1 / len(self._now) + 1 / len(self._before)))
        by_chance = float(spread.sum()) / np.sqrt(2 * np.pi)  # half of the mean sizes of so many normal deviates
        return max(_SHIFT, float(by_chance) + _BEYOND_CHANCE)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` goes on from."""
        told = {"classes": self._classes, "row": self._row, "held": self._held, "stays": self.stays}
        return {**told, "edges": self._edges, "now": [*self._now], "before": [*self._before]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LabelShift:
        shift = cls(("",) * values["classes"])
        shift._row, shift._held, shift.stays = values["row"], values["held"], values["stays"]
        shift._edges = list(values["edges"])
        shift._now.extend(values["now"])
        shift._before.extend(values["before"])
        shift._count()
        return shift
