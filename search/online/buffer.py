"""Rows to learn from again: the newest ones, and a sample of those that the champion was made of: the `Buffer`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from search.contract import Part
from search.online.events import Array
from search.online.packing import pack, prefixed, under, unpack

MOST_BYTES: Final = 2**26
"""Of prepared features of the newest rows: where rows are images, there are fewer of them."""

_FEATURES: Final = "features"
_TARGETS: Final = "targets"


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Labelled rows.

    Attributes:
        columns: By name, (rows, ...) each, as `search.bundle.model.Model.run` takes them.
        targets: (rows,): class indices as int64, or float64 of a regression.
    """

    columns: Mapping[str, Array]
    targets: Array

    def __len__(self) -> int:
        return len(self.targets)


class Buffer:
    """The newest rows, the oldest of which give way, beside old ones that stay until they are dropped.

    Args:
        capacity: Newest rows that are kept at most.

    Attributes:
        total: How many rows were ever added.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._most = capacity
        self._old = _Line()
        self._new = _Line()
        self.total = 0

    def __len__(self) -> int:
        return len(self._old) + len(self._new)

    @property
    def new(self) -> int:
        """How many new rows there are."""
        return len(self._new)

    @property
    def old(self) -> int:
        """How many old rows there are."""
        return len(self._old)

    def put_old(self, rows: Rows, features: Array) -> None:
        """Take rows in place of the old ones.

        Args:
            rows: Of any number.
            features: What was prepared of them: (rows, ...) float32.
        """
        self._old = _Line()
        if len(rows):
            self._old.add(_flat(rows.columns, rows.targets, features))

    def add(self, columns: Mapping[str, Array], targets: Array, features: Array) -> None:
        """Add new rows, the newest last.

        Args:
            columns, targets: As in `Rows`.
            features: What was prepared of them: (rows, ...) float32.
        """
        if not self.total:
            self._most = max(1, min(self._most, MOST_BYTES // max(1, features[:1].nbytes)))
        self._new.add(_flat(columns, targets, features))
        self._new.keep(self._most)
        self.total += len(targets)

    def drop_old(self, keep: int) -> None:
        """Keep only the newest rows, and no old ones: what was before is not true any more."""
        self._old = _Line()
        self._new.keep(keep)

    def replace_features(self, features: Array) -> None:
        """Take what others prepared of all new rows, in their order."""
        self._new.replace(_FEATURES, features)

    def sample(self, random: np.random.Generator, count: int) -> Part:
        """Return rows drawn from all, old and new, each with the same chance; one may come twice."""
        return self._at(random.integers(len(self), size=count))

    def recent(self, random: np.random.Generator, count: int) -> Part:
        """Return rows drawn so that every magnitude of age has the same chance: the newer, the more likely."""
        ages = np.exp(random.uniform(0, np.log(len(self) + 1), size=count)).astype(np.int64)
        return self._at(len(self) - np.clip(ages, 1, len(self)))

    def newest(self, count: int) -> Part:
        """Return the newest rows, the oldest of them first."""
        part = self._new.last(count)
        return Part(part[_FEATURES], part[_TARGETS])

    def oldest(self, random: np.random.Generator, count: int) -> Part | None:
        """Return so many of the old rows, or all, each once, in the order in which they are kept; None if no one is."""
        if not len(self._old) or count < 1:
            return None
        part = self._old.at(np.sort(random.permutation(len(self._old))[:count]))
        return Part(part[_FEATURES], part[_TARGETS])

    def rows(self, count: int | None = None) -> Rows:
        """Return the newest rows, or all new ones, as they came; the oldest of them first."""
        part = self._new.last(self.new if count is None else count)
        return Rows(under("columns", part), part[_TARGETS])

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return arrays and JSON of all of it, as `load` takes them."""
        arrays = prefixed("old", pack(self._old.live())) | prefixed("new", pack(self._new.live()))
        return {name: array.copy() for name, array in arrays.items()}, {"total": self.total, "most": self._most}

    def load(self, arrays: Mapping[str, Array], told: Mapping[str, Any]) -> None:
        """Take what `state` returned in place of what is there."""
        self._old, self._new = _Line(), _Line()
        for name, line in (("old", self._old), ("new", self._new)):
            if own := unpack(under(name, arrays)):
                line.add(own)
        self.total, self._most = int(told["total"]), int(told["most"])

    def _at(self, places: Array) -> Part:
        """Return rows by their places among old and new together."""
        is_old = places < len(self._old)
        if not is_old.any():
            part = self._new.at(places - len(self._old))
            return Part(part[_FEATURES], part[_TARGETS])
        old, new = self._old.at(places[is_old]), self._new.at(places[~is_old] - len(self._old))
        if not len(self._new):
            return Part(old[_FEATURES], old[_TARGETS])
        return Part(*(np.concatenate([old[name], new[name]]) for name in (_FEATURES, _TARGETS)))


def _flat(columns: Mapping[str, Array], targets: Array, features: Array) -> dict[str, Array]:
    return {**prefixed("columns", columns), _FEATURES: features, _TARGETS: targets}


class _Line:
    """Rows one after the other in arrays with room behind them; what goes, goes at the front."""

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}
        self._begin, self._end = 0, 0

    def __len__(self) -> int:
        return self._end - self._begin

    def add(self, rows: Mapping[str, Array]) -> None:
        count = len(rows[_TARGETS])
        self._make_room(count, rows)
        for name, array in self._arrays.items():
            array[self._end : self._end + count] = rows[name]
        self._end += count

    def keep(self, most: int) -> None:
        self._begin = max(self._begin, self._end - most)

    def live(self) -> dict[str, Array]:
        return {name: array[self._begin : self._end] for name, array in self._arrays.items()}

    def last(self, count: int) -> dict[str, Array]:
        begin = max(self._begin, self._end - count)
        return {name: array[begin : self._end] for name, array in self._arrays.items()}

    def at(self, places: Array) -> dict[str, Array]:
        """Return features and targets of rows."""
        return {name: self._arrays[name][self._begin + places] for name in (_FEATURES, _TARGETS) if self._arrays}

    def replace(self, name: str, values: Array) -> None:
        if self._arrays:
            whole = np.empty((len(self._arrays[name]), *values.shape[1:]), values.dtype)
            whole[self._begin : self._end] = values
            self._arrays[name] = whole

    def _make_room(self, count: int, rows: Mapping[str, Array]) -> None:
        """Move the rows to the front, into larger arrays where they fill more than half of these."""
        room = len(self._arrays[_TARGETS]) if self._arrays else 0
        if self._arrays and self._end + count <= room:
            return
        kept, size = len(self), max(room, 2 * (len(self) + count))
        before, self._arrays = self.live(), {}
        for name, values in rows.items():
            whole = np.empty((size, *values.shape[1:]), values.dtype)
            if kept:
                whole[:kept] = before[name]
            self._arrays[name] = whole
        self._begin, self._end = 0, kept
