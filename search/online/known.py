"""Which rows a label may still be told of, and which have theirs: the `Known`, in memory, bounded in number and age."""

from __future__ import annotations

import math
from array import array
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

_COMPACT: Final = 4096
"""Requests that are forgotten before the room of all such is given back."""

_LATE: Final = 1000
"""Requests that may come into the log before one that came before them."""

_EVERY_S: Final = 1.0
"""Seconds between two looks for what is too old."""

_HIDDEN: Final = math.inf
"""In place of the label of a row that nobody knows."""


class Place(NamedTuple):
    """Where a row that was shown is found, until rows are forgotten."""

    start: str
    row: int


@dataclass(slots=True)
class _Start:
    """The rows that one server process has shown, request by request.

    Attributes:
        first: Number of the request that `at_s[0]` is of.
        dropped: Requests at the beginning that are forgotten.
        before: Rows whose labels have given back their room.
        begins: Rows that had been shown before those of each request.
        counts: Rows of each request.
        at_s: When each request was.
        labels: Of each row, from `before` on; NaN: none yet.
    """

    first: int
    dropped: int = 0
    before: int = 0
    begins: array[int] = field(default_factory=lambda: array("Q"))
    counts: array[int] = field(default_factory=lambda: array("I"))
    at_s: array[float] = field(default_factory=lambda: array("d"))
    labels: array[float] = field(default_factory=lambda: array("d"))

    def add(self, number: int, rows: int, at_s: float) -> int:
        """Take in a request, and return its rows; 0 of one that is forgotten already.

        A large one may come into the log a little later than those behind it.
        """
        at = number - self.first
        if at < self.dropped:
            return 0
        if at >= len(self.begins):
            self._extend(at + 1 - len(self.begins), at_s)
        self.begins[at], self.counts[at], self.at_s[at] = self.before + len(self.labels), rows, at_s
        if rows == 1:
            self.labels.append(math.nan)
        else:
            self.labels.extend([math.nan] * rows)
        return rows

    def row(self, number: int, row: int) -> int | None:
        """Return the place among all rows ever shown; None where there is no such row any more."""
        at = number - self.first
        if not self.dropped <= at < len(self.begins) or row >= self.counts[at]:
            return None
        return self.begins[at] + row

    def drop(self) -> int:
        """Forget the oldest request, and return how many rows it had."""
        rows = self.counts[self.dropped]
        self.dropped += 1
        if self.dropped >= _COMPACT and self.dropped * 2 > len(self.begins):
            del self.begins[: self.dropped], self.counts[: self.dropped], self.at_s[: self.dropped]
            end = min(self.begins, default=self.before + len(self.labels))
            del self.labels[: end - self.before]
            self.first, self.before, self.dropped = self.first + self.dropped, end, 0
        return rows

    @property
    def oldest_s(self) -> float | None:
        return self.at_s[self.dropped] if self.dropped < len(self.at_s) else None

    def _extend(self, count: int, at_s: float) -> None:
        """Make room for requests, of which all but the last may never come into the log."""
        self.begins.extend([self.before + len(self.labels)] * count)
        self.counts.extend([0] * count)
        self.at_s.extend([at_s] * count)


class Known:
    """Rows that were shown, and rows that came with ids of their own; the oldest are forgotten first.

    A row that was shown has an id `START-REQUEST.ROW`: of a server process, of its requests, of the rows of one.

    Args:
        wait_s: Seconds for which a label may come.
        most: Rows that are remembered of each kind.
    """

    def __init__(self, wait_s: float, most: int) -> None:
        self._wait_s, self._most = wait_s, most
        self._starts: dict[str, _Start] = {}
        self._given: OrderedDict[str, tuple[float, str]] = OrderedDict()  # of a dict the first one is found ever later
        self._names: dict[str, float] = {}
        self._rows = 0
        self._due_s = 0.0

    @property
    def rows(self) -> int:
        """How many rows that were shown are remembered."""
        return self._rows

    def oldest_s(self, now_s: float) -> float:
        """Return when the oldest row came that is remembered.

        Args:
            now_s: Unix time; that is returned where there is none.
        """
        found = [now_s]
        found += [start.oldest_s for start in self._starts.values() if start.oldest_s is not None]
        found += [at_s for at_s, _ in [next(iter(self._given.values()), (now_s, ""))]]
        return min(found)

    def show(self, base: str, rows: int, at_s: float) -> None:
        """Remember the rows of a request.

        Args:
            base: `START-REQUEST`; requests of one start come about in the order of their numbers.
            rows: How many.
            at_s: Unix time.
        """
        name, _, number = base.partition("-")
        start = self._starts.get(name)
        if start is None:
            start = self._starts[name] = _Start(max(1, int(number) - _LATE))
        self._rows += start.add(int(number), rows, at_s)
        if self._rows > self._most or at_s >= self._due_s:
            self.forget(at_s)

    def find(self, name: str) -> Place | None:
        """Return where the row of an id is found; None if nobody was shown it, or too long ago."""
        base, _, row = name.rpartition(".")
        begin, _, number = base.partition("-")
        start = self._starts.get(begin)
        if start is None or not (_is_number(number) and _is_number(row)):
            return None
        found = start.row(int(number), int(row))
        if found is None or start.labels[found - start.before] == _HIDDEN:
            return None
        return Place(begin, found)

    def hide(self, base: str, rows: int) -> None:
        """Take back the rows of a request that nobody was told the ids of."""
        begin, _, number = base.partition("-")
        start = self._starts[begin]
        for row in range(rows):
            if (found := start.row(int(number), row)) is not None:
                start.labels[found - start.before] = _HIDDEN

    def label_of(self, place: Place) -> float | None:
        """Return the label that came first, as `code` has it; None if there is none yet."""
        start = self._starts[place.start]
        value = start.labels[place.row - start.before]
        return None if math.isnan(value) else value

    def label(self, place: Place, code: float) -> None:
        """Remember the label of a row that has none, unless the row was forgotten meanwhile."""
        start = self._starts.get(place.start)
        if start is not None and place.row >= start.before:
            start.labels[place.row - start.before] = code

    def code(self, label: str | float) -> float:
        """Return the number that stands for a label: of a regression itself, of a class a number of its name."""
        if isinstance(label, str):
            return self._names.setdefault(label, float(len(self._names)))
        return label

    def given(self, name: str) -> str | None:
        """Return the digest of the row that came under an id of its own; None if there is none."""
        found = self._given.get(name)
        return None if found is None else found[1]

    def give(self, name: str, digest: str, at_s: float) -> None:
        """Remember a row that came under an id of its own."""
        self._given[name] = at_s, digest
        if len(self._given) > self._most:
            self._given.popitem(last=False)

    def forget(self, now_s: float) -> None:
        """Forget what is too much, or too old.

        Args:
            now_s: Unix time.
        """
        until_s, self._due_s = now_s - self._wait_s, now_s + _EVERY_S
        while self._starts:
            name, start = next(iter(self._starts.items()))
            oldest_s = start.oldest_s
            if oldest_s is None:
                if len(self._starts) == 1:
                    break
                del self._starts[name]
            elif self._rows > self._most or oldest_s < until_s:
                self._rows -= start.drop()
            else:
                break
        while self._given and next(iter(self._given.values()))[0] < until_s:
            self._given.popitem(last=False)


def _is_number(text: str) -> bool:
    """Tell whether a text is a whole number as we write it, so that a row has one id only."""
    return text.isascii() and text.isdecimal() and len(text) < 19 and (text == "0" or text[0] != "0")
