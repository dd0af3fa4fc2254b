"""Slices: the value against each of the most important parameters, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from search.records.history import Floats, History, Ints
from search.report import theme
from search.report.figures import _marks, _panels
from search.report.figures._axis import Axis, at_of, axis_of, spread
from search.report.figures._chosen import LEAST, best_of, important, region
from search.report.plot import Data, Plot, Words, joined
from search.report.scale import Scale, scale_of
from search.report.thinning import MOST, said, thinned
from search.status import STATES

if TYPE_CHECKING:
    import plotly.graph_objects as go

PANELS: Final = 6
_SPREAD: Final = 0.3
"""Of the room of one choice, how much its points take."""


class Panel(NamedTuple):
    """One parameter.

    Attributes:
        axis: Of the parameter.
        x: Its value in each of the trials of the `Info`; of a choice the index; None where a trial does not have it.
    """

    axis: Axis
    x: list[float | None]


class Info(NamedTuple):
    """Trials with a value, in order of numbers, by the parameters that tell most.

    Attributes:
        metric: The searched one, the first of several.
        metrics: How many are searched.
        sign: 1 where less is better, -1 where more is.
        number: Of each trial.
        state: Of each; `_marks.MISSED` of a completed one that misses a constraint.
        value: Of each; of a pruned trial its last report.
        front: Numbers of the best one, of several metrics of the Pareto front.
        panels: The most important parameter first.
        of: How many parameters vary.
        chosen: How those of the panels were chosen, in words; "" if all are there.
        trials: In all, those without a value too.
    """

    metric: str
    metrics: int
    sign: float
    number: list[int]
    state: list[str]
    value: list[float]
    front: list[int]
    panels: list[Panel]
    of: int
    chosen: str
    trials: int


def info(history: History) -> Info:
    value = history.values[:, 0]
    known = np.flatnonzero(np.isfinite(value))
    missed = history.are("complete") & (history.violation > 0)
    chosen = important(history, PANELS)
    return Info(
        metric=history.metrics[0],
        metrics=len(history.metrics),
        sign=float(history.signs[0]),
        number=known.tolist(),
        state=[_marks.MISSED if missed[number] else STATES[history.state[number]] for number in known],
        value=value[known].tolist(),
        front=[one for one in history.front if one in known],
        panels=[Panel(axis_of(one), at_of(one.values[known])) for one in chosen.parameters],
        of=chosen.of,
        chosen=chosen.said(),
        trials=len(history),
    )


def words(info: Info) -> Words:
    if not info.number:
        return Words("No trial has a value yet", empty=f"none of {info.trials} trials has a value yet")
    if not info.panels:
        return Words("No parameter varies", empty="all trials have the same parameters, so nothing tells them apart")
    most = max(len(one) for one in _drawn(info))
    is_thinned = most < len(info.number)
    stopped = [called for state, called in (("pruned", "pruned"), ("paused", "resting")) if state in info.state]
    notes = (
        info.chosen,
        f"Of {info.metric}, the first of {info.metrics} metrics." if info.metrics > 1 else "",
        f"{' and '.join(stopped).capitalize()} trials stand at the last value that they reported." if stopped else "",
        f"In each panel at most {said(most, len(info.number), 'trials')} The table has these." if is_thinned else "",
        _scale(info).said("trial"),
    )
    return Words(_finding(info), " ".join(note for note in notes if note))


def figure(info: Info) -> go.Figure:
    traces: list[go.Scatter] = []
    layout: dict[str, Any] = {}
    shapes: list[dict[str, Any]] = []
    front = np.flatnonzero(np.isin(info.number, info.front))
    values = _scale(info).axis()
    columns = 2 if len(info.panels) in (2, 4) else 3
    for place, (panel, drawn) in enumerate(zip(info.panels, _drawn(info), strict=True)):
        named = {trace.name for trace in traces}
        traces += _points(info, panel, drawn, place, named)
        if len(front) == 1:
            shapes.append(_line(info.value[front[0]], place))
        traces += _rings(info, panel, np.intersect1d(front, drawn), place)
        first = not place % columns
        y = {
            **values,
            "showticklabels": first,
            "title": {"text": theme.short(info.metric) if first else ""},
        }
        if place:
            y["matches"] = "y"
        layout |= _panels.layout(place, len(info.panels), columns, panel.axis.layout(), y)
    found = theme.figure(traces, height=_panels.height_px(len(info.panels), columns), shapes=shapes, **layout)
    for place, panel in enumerate(info.panels):
        theme.mark(found, f"param:{panel.axis.name}", f"value:{info.metric}", axes=_panels.ids(place))
    return found


def data(info: Info) -> Data:
    """Return the trials that are drawn in some panel."""
    rows = sorted({int(row) for drawn in _drawn(info) for row in drawn})
    columns: Data = {"trial": [info.number[row] for row in rows], "state": [info.state[row] for row in rows]}
    valued = joined(columns, "metric", [(info.metric, [info.value[row] for row in rows])])
    panels = ((one.axis.name, [one.axis.cell(one.x[row]) for row in rows]) for one in info.panels)
    return joined(valued, "param", panels)


def _finding(info: Info) -> str:
    complete = np.flatnonzero(np.array(info.state) == "complete")
    if len(complete) < LEAST:
        return f"{len(complete)} trials completed: too few to tell where it is good"
    best = best_of(info.sign * np.array(info.value)[complete])
    for panel in info.panels:
        where, share = region(panel.axis.name, _x(panel)[complete], best, panel.axis.choices, info.of)
        if where:
            trials = f"The best {len(best):,} of {len(complete):,} completed trials"
            return f"{trials}{_marks.by(info.metric, info.metrics)} all have {where}, as {share:.0%} of all do"
    return "No range of one parameter is told apart from chance as the good one"


def _points(info: Info, panel: Panel, drawn: Ints, place: int, named: set[str]) -> list[go.Scatter]:
    import plotly.graph_objects as go

    number, value, state = np.array(info.number), np.array(info.value), np.array(info.state)
    x, axes = _x(panel), _panels.ids(place)
    if panel.axis.choices:
        x = x + spread(number, _SPREAD)
    names = theme.plain(panel.axis.name), theme.plain(info.metric)
    about = f"trial %{{customdata}}<br>{names[0]} %{{text}}<br>{names[1]} %{{y:.5g}}"
    found = []
    for name in ("pruned", _marks.MISSED, "complete", "running", "paused", "fail"):
        rows = drawn[state[drawn] == name]
        if len(rows):
            found.append(
                go.Scatter(
                    x=x[rows],
                    y=value[rows],
                    customdata=number[rows],
                    text=[theme.plain(panel.axis.said(panel.x[row])) for row in rows],
                    mode="markers",
                    name=name,
                    legendgroup=name,
                    showlegend=name not in named,
                    xaxis=axes[0],
                    yaxis=axes[1],
                    marker={"color": _marks.COLORS[name], "symbol": _marks.SYMBOLS[name], "size": 5, "opacity": 0.75},
                    hovertemplate=f"{about}<extra>{name}</extra>",
                )
            )
    return found


def _rings(info: Info, panel: Panel, rows: Ints, place: int) -> list[go.Scatter]:
    """Return the marks of the best trials, those that have the parameter."""
    import plotly.graph_objects as go

    rows, axes = rows[~np.isnan(_x(panel)[rows])], _panels.ids(place)
    if not len(rows):
        return []
    x, number = _x(panel)[rows], np.array(info.number)[rows]
    rings = go.Scatter(
        x=x + spread(number, _SPREAD) if panel.axis.choices else x,
        y=np.array(info.value)[rows],
        customdata=number,
        mode="markers",
        name=_marks.ringed(info.metrics),
        legendgroup="best",
        showlegend=not place,
        xaxis=axes[0],
        yaxis=axes[1],
        marker={"color": theme.COLORS["best"], "symbol": theme.SYMBOLS["best"], "size": 13, "line": {"width": 3}},
        hoverinfo="skip",
    )
    return [rings]


def _line(value: float, place: int) -> dict[str, Any]:
    """Return a line across a panel at the best value."""
    x_id, y_id = _panels.ids(place)
    ends = {"xref": f"{x_id} domain", "yref": y_id, "x0": 0, "x1": 1, "y0": value, "y1": value}
    return {"type": "line", **ends, "line": {"color": theme.COLORS["best"], "width": 1, "dash": "dot"}}


def _scale(info: Info) -> Scale:
    return scale_of(np.array(info.value), sign=info.sign)


def _x(panel: Panel) -> Floats:
    return np.array(panel.x, float)  # None becomes NaN


def _drawn(info: Info) -> list[Ints]:
    """Return for each panel the places of the trials that are drawn in it."""
    value, keep = np.array(info.value), np.isin(info.number, info.front[: MOST // 10])
    most = MOST // max(len(info.panels), 1)
    return [thinned(panel.axis.unit(_x(panel)), value, keep=keep, most=most) for panel in info.panels]


PLOT = Plot("slices", "mattered", "Slices", info, words, figure, data, wide=True)
