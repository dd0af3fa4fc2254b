"""A model's score for each class and for each value of a column: who is served worse, the `Groups`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from search.promote.certainty import intervals
from search.promote.estimates import ClassScore, Estimate
from search.promote.intervals import wilson
from search.promote.measures import DIRECTIONS, Array, Judged, measured

MOST: Final = 20
"""Groups that are shown, the largest ones; the worst one is shown beside them."""

FEWEST_ROWS: Final = 20
"""Of a group that can be called the worst; a few rows are always the worst somewhere."""

MISSING: Final = "(missing)"
_PARTS: Final = 4  # of numbers with many values, each with about as many rows


@dataclass(frozen=True, slots=True)
class Group:
    """Rows with the same value of a column.

    Attributes:
        name: The value, or its range.
        rows: How many there are.
        score: None where they do not define the metric.
    """

    name: str
    rows: int
    score: Estimate | None


@dataclass(frozen=True, slots=True)
class Groups:
    """A metric for each value of a column.

    Attributes:
        column: By whose values rows are told apart.
        metric: That is measured.
        groups: The largest ones, the largest first, and the worst one of 20 rows or more.
        left_out: How many others there are.
    """

    column: str
    metric: str
    groups: tuple[Group, ...]
    left_out: int = 0

    @property
    def worst(self) -> Group | None:
        """The group with the worst score, of those with 20 rows or more."""
        judged = [one for one in self.groups if one.rows >= FEWEST_ROWS and one.score is not None]
        sign = 1 if DIRECTIONS[self.metric] == "maximize" else -1
        return min(judged, key=lambda one: sign * one.score.value, default=None)  # type: ignore[union-attr]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        groups = [
            {"name": one.name, "rows": one.rows, "score": one.score and one.score.to_json()} for one in self.groups
        ]
        return {"column": self.column, "metric": self.metric, "groups": groups, "left_out": self.left_out}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Groups:
        """Return what `to_json` described."""
        groups = tuple(
            Group(one["name"], one["rows"], None if one["score"] is None else Estimate(**one["score"]))
            for one in values["groups"]
        )
        return cls(values["column"], values["metric"], groups, values["left_out"])


def by_column(judged: Judged, column: str, values: Any, metric: str, *, seed: int = 0) -> Groups:
    """Measure each group of rows.

    Numbers with more than 20 different values are put into four groups of about the same size.

    Args:
        judged: All test rows.
        column: Its name.
        values: (rows,) of it: texts, numbers, booleans; missing ones are a group.
        metric: Any of `measures.smooth`.
        seed: Of the intervals.
    """
    codes, names = _told_apart(np.asarray(values, dtype=object))
    rows = np.bincount(codes, minlength=len(names))
    parts = np.split(np.argsort(codes, kind="stable"), np.cumsum(rows)[:-1])
    order = np.argsort(-rows, kind="stable").tolist()
    sign = 1 if DIRECTIONS[metric] == "maximize" else -1
    smaller: dict[int, float] = {}
    for place in order[MOST:]:
        if rows[place] >= FEWEST_ROWS and (one := measured(judged.of(parts[place]), metric)) is not None:
            smaller[place] = sign * one.value
    shown = [*order[:MOST], *([min(smaller, key=lambda place: smaller[place])] if smaller else [])]
    made = []
    for place in shown:
        part = judged.of(parts[place])
        found = measured(part, metric)
        limits = intervals(part, seed=seed, names=[metric])[metric]
        score = None if found is None else Estimate(found.value, *(limits or (None, None)))
        made.append(Group(names[place], int(rows[place]), score))
    return Groups(column, metric, tuple(made), len(names) - len(made))


def by_class(judged: Judged, classes: tuple[str, ...], *, most: int = 100) -> tuple[ClassScore, ...]:
    """Return recall and precision of each class by its index.

    Of more than `most` classes they are those with most rows, and of those with 20 rows or more the worst by either.
    """
    count, label = judged.prediction.shape[1], judged.label
    rows, given = np.bincount(judged.target, minlength=count), np.bincount(label, minlength=count)
    hits = np.bincount(judged.target[judged.hit], minlength=count)
    chosen = {*np.argsort(-rows, kind="stable")[:most].tolist()}
    if len(judging := np.flatnonzero(rows >= FEWEST_ROWS)):
        chosen |= {int(judging[(hits / np.maximum(one, 1))[judging].argmin()]) for one in (rows, given)}
    return tuple(
        ClassScore(
            name=classes[place] if place < len(classes) else str(place),
            rows=int(rows[place]),
            given=int(given[place]),
            recall=_share(int(hits[place]), int(rows[place])),
            precision=_share(int(hits[place]), int(given[place])),
        )
        for place in sorted(chosen)
    )


def _share(hits: int, rows: int) -> Estimate | None:
    return Estimate(hits / rows, *wilson(hits, rows)) if rows else None


def _told_apart(values: Array) -> tuple[Array, list[str]]:
    """Return (rows,) the number of each row's group, and the groups' names."""
    import pandas as pd

    codes, levels = pd.factorize(values, use_na_sentinel=True)
    numbers = [one for one in levels if isinstance(one, (int, float, np.number)) and not isinstance(one, bool)]
    if len(levels) > MOST and len(numbers) == len(levels):
        found = np.where(codes < 0, np.nan, values).astype(np.float64)  # pandas' NA is no number
        edges = np.unique(np.nanquantile(found, np.linspace(0, 1, _PARTS + 1)[1:-1], method="nearest"))
        codes = np.where(np.isnan(found), -1, np.searchsorted(edges, found, side="left"))
        parts = [found[codes == part] for part in range(len(edges) + 1)]
        names = [f"{part.min():g} to {part.max():g}" if len(part) else "" for part in parts]
    else:
        names = [f"{one:g}" if isinstance(one, float) else str(one) for one in levels]
    if (codes < 0).any():
        codes, names = np.where(codes < 0, len(names), codes), [*names, MISSING]
    return codes, names
