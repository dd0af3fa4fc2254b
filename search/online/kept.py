"""The last so many labelled rows of a kind, such as those that are never learnt: the `Kept`."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from search.online.events import Array
from search.online.packing import joined, pack, prefixed, under, unpack


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One labelled row.

    Attributes:
        id: Of the row.
        at: How many labels had come when its own came, itself included.
        columns: Of this row alone: (1,) each.
        target: Its class index, or its value.
        source: Who labelled it.
    """

    id: str
    at: int
    columns: Mapping[str, Array]
    target: float
    source: str = ""


class Kept:
    """Labelled rows, the oldest of which give way.

    Args:
        most: Rows.
    """

    def __init__(self, most: int) -> None:
        self._rows: deque[Row] = deque(maxlen=most)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def add(self, row: Row) -> None:
        self._rows.append(row)

    def since(self, at: int) -> list[Row]:
        """Return the rows whose labels came after the first `at`."""
        return [row for row in self._rows if row.at > at]

    def clear(self) -> list[Row]:
        """Return all rows, and forget them."""
        rows = [*self._rows]
        self._rows.clear()
        return rows

    def arrays(self) -> dict[str, Array]:
        """Return all of it, as `load` takes it."""
        names = [[row.id for row in self._rows], [row.source for row in self._rows]]
        at = np.array([row.at for row in self._rows], np.int64)
        targets = np.array([row.target for row in self._rows], np.float64)
        named = np.frombuffer(json.dumps(names).encode(), np.uint8)
        return {"names": named, "at": at, "targets": targets, **prefixed("columns", pack(table(self._rows)))}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take the rows of `arrays` in place of its own."""
        self._rows.clear()
        columns = unpack(under("columns", arrays))
        ids, sources = json.loads(arrays["names"].tobytes())
        for index, (at, target) in enumerate(zip(arrays["at"].tolist(), arrays["targets"].tolist(), strict=True)):
            one = {name: values[index : index + 1] for name, values in columns.items()}
            self._rows.append(Row(ids[index], at, one, target, sources[index]))


def table(rows: list[Row] | deque[Row]) -> dict[str, Array]:
    """Return the columns of several rows; {} of none."""
    return joined(row.columns for row in rows)


def targets(rows: list[Row], *, classes: bool) -> Array:
    """Return their targets: class indices as int64, or float64 values."""
    return np.array([row.target for row in rows], np.int64 if classes else np.float64)
