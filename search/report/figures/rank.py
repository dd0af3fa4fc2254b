"""Ranks: trials in the planes of the most important pairs of parameters, coloured by how good they are.

Source of the idea: Optuna's `plot_rank`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from search.ranks import ranks
from search.records.history import Floats, History
from search.report import theme
from search.report.figures import _marks, _panels
from search.report.figures._chosen import LEAST, best_of, completed, have, missed, pairs, region, said_missed
from search.report.figures._plane import Points, planes, points_of, said
from search.report.plot import Data, Plot, Words, joined

if TYPE_CHECKING:
    import plotly.graph_objects as go

_SIZE: Final = 7


class Info(NamedTuple):
    """Completed trials by the most important pairs.

    Attributes:
        metric: The searched one, the first of several.
        sign: 1 where less is better, -1 where more is.
        pairs: The most important first.
        ranks: By trial's number: which share of the completed trials is better.
        completed: Trials with a finite value.
        missed: Completed trials that miss a constraint, and are left out.
        varied: Parameters of which trials had at least two values.
        front: Number of the best trial, of several metrics those of the Pareto front.
        metrics: How many metrics are searched.
    """

    metric: str
    sign: float
    pairs: list[Points]
    ranks: dict[int, float]
    completed: int
    missed: int
    varied: int
    front: list[int]
    metrics: int


def info(history: History) -> Info:
    rows = completed(history)
    place = ranks(history.losses[rows]) / max(len(rows) - 1, 1)
    return Info(
        metric=history.metrics[0],
        sign=float(history.signs[0]),
        pairs=[points_of(history, x, y, rows) for x, y in pairs(history)],
        ranks=dict(zip(rows.tolist(), place.tolist(), strict=True)),
        completed=len(rows),
        missed=missed(history),
        varied=sum(one.varies for one in history.parameters),
        front=[*history.front],
        metrics=len(history.metrics),
    )


def words(info: Info) -> Words:
    if info.varied < 2:
        return Words("No pair of parameters varies", empty="ranks are drawn over two parameters that vary")
    if not info.pairs:
        need = f"ranks take {LEAST} completed trials that have both parameters"
        return Words("Too few trials for ranks", empty=f"{need}; {have(info.completed, info.missed)}")
    most = max(len(one.number) for one in info.pairs)
    drawn = max(len(one.drawn(info.front, len(info.pairs))) for one in info.pairs)
    notes = (
        f"{info.completed:,} completed trials, ranked by {info.metric}.",
        said_missed(info.missed),
        f"{said(drawn, most)} The table has these.".strip() if drawn < most else "",
    )
    return Words(_finding(info), " ".join(note for note in notes if note))


def figure(info: Info) -> go.Figure:
    traces: list[Any] = []
    ring = {"symbol": "circle-open", "color": theme.COLORS["best"], "size": 14, "line": {"width": 3}}
    for place, points in enumerate(info.pairs):
        drawn = points.drawn(info.front, len(info.pairs))
        rank = _ranks(info, points)[drawn]
        order = np.argsort(-rank, kind="stable")  # the best are drawn last, on top
        marker = {"color": np.round(rank[order], 3), "coloraxis": "coloraxis", "size": _SIZE}
        marker["line"] = {"color": theme.COLORS["pruned"], "width": 0.7}
        traces.append(points.scatter(drawn[order], place, "complete", marker, legend=False))
        ringed = drawn[np.isin(np.array(points.number)[drawn], info.front)]
        if len(ringed):
            traces.append(points.scatter(ringed, place, _marks.ringed(info.metrics), ring))
    return planes(info.pairs, traces, coloraxis=_panels.ranks(info.metric))


def data(info: Info) -> Data:
    """Return the drawn trials of all pairs."""
    rows = [(points, int(row)) for points in info.pairs for row in points.drawn(info.front, len(info.pairs))]
    columns: Data = {
        "trial": [points.number[row] for points, row in rows],
        "first parameter": [points.x_axis.name for points, _ in rows],
        "at": [points.x_axis.cell(points.x[row]) for points, row in rows],
        "second parameter": [points.y_axis.name for points, _ in rows],
        "and at": [points.y_axis.cell(points.y[row]) for points, row in rows],
        "share of better trials": [round(info.ranks[points.number[row]], 4) for points, row in rows],
    }
    return joined(columns, "metric", [(info.metric, [points.value[row] for points, row in rows])])


def _finding(info: Info) -> str:
    for points in info.pairs:
        rank = _ranks(info, points)
        best = best_of(rank)
        both = [
            region(axis.name, np.array(at), best, axis.choices, info.varied)
            for axis, at in ((points.x_axis, points.x), (points.y_axis, points.y))
        ]
        said = " and ".join(where for where, _ in both if where)
        if said:
            return f"The best {len(best):,} of {len(rank):,} trials{_marks.by(info.metric, info.metrics)} lie at {said}"
    return "No part of these planes is told apart from chance as the good one"


def _ranks(info: Info, points: Points) -> Floats:
    return np.array([info.ranks[number] for number in points.number])


PLOT = Plot("rank", "good", "Rank", info, words, figure, data, wide=True)
