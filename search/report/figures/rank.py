"""Ranks: trials in the planes of the most important pairs of parameters, coloured by how good they are.

Source of the idea: Optuna's `plot_rank`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from search.records.history import Floats, History
from search.report import theme
from search.report.figures._axis import inert
from search.report.figures._chosen import LEAST, best_of, completed, pairs, ranked, region
from search.report.figures._plane import Points, planes, points_of, said
from search.report.plot import Data, Plot, Words

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
        varied: Parameters of which trials had at least two values.
        best: Number of the best trial.
    """

    metric: str
    sign: float
    pairs: list[Points]
    ranks: dict[int, float]
    completed: int
    varied: int
    best: int | None


def info(history: History) -> Info:
    rows = completed(history)
    ranks = ranked(history.losses[rows]) / max(len(rows) - 1, 1)
    return Info(
        metric=history.metrics[0],
        sign=float(history.signs[0]),
        pairs=[points_of(history, x, y, rows) for x, y in pairs(history)],
        ranks=dict(zip(rows.tolist(), ranks.tolist(), strict=True)),
        completed=len(rows),
        varied=sum(one.varies for one in history.parameters),
        best=history.best,
    )


def words(info: Info) -> Words:
    if info.varied < 2:
        return Words("No pair of parameters varies", empty="ranks are drawn over two parameters that vary")
    if not info.pairs:
        need = f"ranks take {LEAST} completed trials that have both parameters"
        return Words("Too few trials for ranks", empty=f"{need}; {info.completed} have completed")
    most = max(len(one.number) for one in info.pairs)
    drawn = max(len(one.drawn(info.best, len(info.pairs))) for one in info.pairs)
    notes = (
        f"{info.completed:,} completed trials, ranked by {info.metric}.",
        f"{said(drawn, most)} The table has these.".strip() if drawn < most else "",
    )
    return Words(_finding(info), " ".join(note for note in notes if note))


def figure(info: Info) -> go.Figure:
    traces: list[Any] = []
    ring = {"symbol": "circle-open", "color": theme.COLORS["best"], "size": 14, "line": {"width": 3}}
    for place, points in enumerate(info.pairs):
        drawn = points.drawn(info.best, len(info.pairs))
        rank = _ranks(info, points)[drawn]
        order = np.argsort(-rank, kind="stable")  # the best are drawn last, on top
        marker = {"color": np.round(rank[order], 3), "coloraxis": "coloraxis", "size": _SIZE}
        marker["line"] = {"color": theme.COLORS["pruned"], "width": 0.7}
        traces.append(points.scatter(drawn[order], place, "complete", marker, legend=False))
        best = np.flatnonzero(np.array(points.number) == info.best)
        if len(best):
            traces.append(points.scatter(best, place, "best", ring))
    colors = {
        "colorscale": theme.RAMP,
        "reversescale": True,
        "cmin": 0,
        "cmax": 1,
        "colorbar": {
            "title": {"text": f"rank by {inert(theme.short(info.metric, 20))}", "font": {"size": 11}, "side": "right"},
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
            "ticktext": ["best", "25%", "median", "75%", "worst"],
            "thickness": 12,
            "outlinewidth": 0,
        },
    }
    return planes(info.pairs, traces, coloraxis=colors)


def data(info: Info) -> Data:
    """Return the drawn trials of all pairs."""
    rows = [(points, int(row)) for points in info.pairs for row in points.drawn(info.best, len(info.pairs))]
    return {
        "trial": [points.number[row] for points, row in rows],
        "first parameter": [points.x_axis.name for points, _ in rows],
        "at": [points.x_axis.cell(points.x[row]) for points, row in rows],
        "second parameter": [points.y_axis.name for points, _ in rows],
        "and at": [points.y_axis.cell(points.y[row]) for points, row in rows],
        info.metric: [points.value[row] for points, row in rows],
        "share of better trials": [round(info.ranks[points.number[row]], 4) for points, row in rows],
    }


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
            return f"The best {len(best):,} of {len(rank):,} trials lie at {said}"
    return "No part of these planes is told apart from chance as the good one"


def _ranks(info: Info, points: Points) -> Floats:
    return np.array([info.ranks[number] for number in points.number])


PLOT = Plot("rank", "good", "Rank", info, words, figure, data, wide=True)
