"""Rows that were shown and whose labels have not come, with what each model answered by then: `Waiting`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from search.online.events import Array
from search.online.packing import joined, pack, prefixed, taken, under, unpack

SERVED: Final = "served"
"""Among the answers of a block: what clients got."""


_OF_ROWS: Final = ("shown", "at_s")


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows that were answered at the same time by the same models.

    Attributes:
        reign: Which champion it was, counted from 0.
        columns: By name.
        answers: What clients got, of the champion, and by the keys of rivals: (rows, classes) or (rows,) each.
        shown: (rows,) bool: whether somebody got an answer; of other rows, that answer is NaN.
        at_s: (rows,) Unix time of each row.
    """

    reign: int
    columns: Mapping[str, Array]
    answers: Mapping[str, Array]
    shown: Array
    at_s: Array

    def answer(self, key: str, row: int) -> Array | None:
        """Return what a model answered of a row; None if it was not there, or nobody asked."""
        if key == SERVED and not self.shown[row]:
            return None
        found = self.answers.get(key)
        return None if found is None else found[row]

    def row(self, row: int) -> dict[str, Array]:
        """Return the columns of one row, (1,) each."""
        return {name: values[row : row + 1] for name, values in self.columns.items()}

    def part(self, rows: Sequence[int]) -> Block:
        """Return some of its rows."""
        index = np.array(rows, np.int64)
        answers, kinds = taken(self.answers, index), (self.shown[index], self.at_s[index])
        return Block(self.reign, taken(self.columns, index), answers, *kinds)


@dataclass(slots=True)
class Waiting:
    """By id, in the order in which they were shown.

    Attributes:
        most: Rows; the oldest go first.
        wait_s: Seconds for which a row waits.
    """

    most: int
    wait_s: float
    _rows: dict[str, tuple[Block, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def add(self, ids: Sequence[str], block: Block, first: int) -> None:
        """Take in rows of a block, from the `first` on."""
        self._rows.update((one, (block, index)) for index, one in enumerate(ids, start=first))

    def pop(self, name: str) -> tuple[Block, int] | None:
        """Return a row's block and place in it, and forget it; None if it does not wait."""
        return self._rows.pop(name, None)

    def expire(self, now_s: float) -> None:
        """Forget what has waited too long, or is too much."""
        while self._rows:
            first = next(iter(self._rows))
            block, index = self._rows[first]
            if len(self._rows) <= self.most and now_s - block.at_s[index] <= self.wait_s:
                return
            del self._rows[first]

    def save(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON and arrays of all of it, as `load` takes them."""
        groups: dict[tuple[int, tuple[str, ...]], dict[int, tuple[Block, list[int], list[int]]]] = {}
        for place, (block, index) in enumerate(self._rows.values()):
            blocks = groups.setdefault((block.reign, tuple(sorted(block.answers))), {})
            _, rows, places = blocks.setdefault(id(block), (block, [], []))
            rows.append(index)
            places.append(place)
        arrays: dict[str, Array] = {}
        told: list[dict[str, Any]] = []
        for number, ((reign, roles), blocks) in enumerate(groups.items()):
            parts = [block.part(rows) for block, rows, _ in blocks.values()]
            arrays |= prefixed(f"{number}/columns", pack(joined(part.columns for part in parts)))
            arrays |= prefixed(f"{number}/answers", joined(part.answers for part in parts))
            for name in _OF_ROWS:
                arrays[f"{number}/{name}"] = np.concatenate([getattr(part, name) for part in parts])
            arrays[f"{number}/places"] = np.array([one for _, _, places in blocks.values() for one in places], np.int64)
            told.append({"reign": reign, "roles": list(roles)})
        return {"ids": list(self._rows), "groups": told}, arrays

    def load(self, told: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Take what `save` returned in place of what is there."""
        found: dict[int, tuple[Block, int]] = {}
        for number, group in enumerate(told["groups"]):
            own = under(str(number), arrays)
            columns, answers = unpack(under("columns", own)), under("answers", own)
            block = Block(group["reign"], columns, answers, *(own[name] for name in _OF_ROWS))
            found |= {place: (block, index) for index, place in enumerate(own["places"].tolist())}
        self._rows = {one: found[place] for place, one in enumerate(told["ids"])}
