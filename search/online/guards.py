"""Who is learnt from: which rows are held out (`is_holdout`), and how much of each source (`Shares`)."""

from __future__ import annotations

import zlib
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, Final

_HOLDOUT: Final = 20
"""One row of so many is never learnt."""

_ACTIVE: Final = 0.01
"""Share of the newest rows from which on a source is active."""


def is_holdout(id: str) -> bool:
    """Tell whether a row is never learnt: the same one of 20 on every machine, whatever happened before."""
    return zlib.crc32(id.encode()) % _HOLDOUT == 0


class Shares:
    """Who may have how many rows learnt: where several sources are active, none has more than its share.

    A source is active with 1% of the newest rows, learnt or not. So low, since a source that floods the model would
    otherwise make all others inactive; the price is that a source with few rows slows the learning of the rest down,
    for as long as it is there: less is learnt then, but nothing wrong.

    Args:
        most: Share of the rows learnt.
        window: Newest rows that count, learnt or not.
    """

    def __init__(self, most: float = 0.5, window: int = 1_000) -> None:
        self._most, self._window = most, window
        self._newest: deque[tuple[str, bool]] = deque()
        self._offered: Counter[str] = Counter()
        self._learnt: Counter[str] = Counter()
        self._all_learnt = 0
        self._active: set[str] = set()

    def admits(self, source: str) -> bool:
        """Tell whether a row of a source may be learnt, and take it that it is."""
        alone = not self._active - {source}
        admitted = alone or self._learnt[source] <= self._most * self._all_learnt
        self._add(source, admitted)
        return admitted

    def _add(self, source: str, admitted: bool) -> None:
        self._newest.append((source, admitted))
        self._count(source, 1, int(admitted))
        if len(self._newest) > self._window:
            oldest, was = self._newest.popleft()
            self._count(oldest, -1, -int(was))

    def _count(self, source: str, offered: int, learnt: int) -> None:
        self._offered[source] += offered
        self._learnt[source] += learnt
        self._all_learnt += learnt
        if self._offered[source] >= _ACTIVE * self._window:
            self._active.add(source)
        else:
            self._active.discard(source)
        if not self._offered[source]:
            del self._offered[source], self._learnt[source]

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` goes on from."""
        return {"most": self._most, "window": self._window, "newest": [[*one] for one in self._newest]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Shares:
        shares = cls(values["most"], values["window"])
        for source, admitted in values["newest"]:
            shares._add(source, admitted)
        return shares
