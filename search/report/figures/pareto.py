"""The Pareto front of several metrics: which trials no other one is better than in all of them."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.records.front import knee
from search.records.history import History, Ints
from search.report import theme
from search.report.figures import _panels
from search.report.plot import Data, Plot, Words, joined
from search.report.scale import Scale, scale_of
from search.report.thinning import EVENLY, MOST, RULE, said, thinned

if TYPE_CHECKING:
    import plotly.graph_objects as go

PANELS: Final = 6
_COLUMNS: Final = 2
_GAP: Final = 0.12
_ALONE_PX: Final = 380

_LOOKS: Final[dict[str, dict[str, Any]]] = {
    "dominated": {"color": theme.COLORS["pruned"], "symbol": "circle", "size": 5, "opacity": 0.7},
    "misses a constraint": {"color": theme.COLORS["fail"], "symbol": "x-thin-open", "size": 6, "line": {"width": 1.5}},
    "on the front": {"color": theme.COLORS["best"], "symbol": "circle-open", "size": 9, "line": {"width": 2.5}},
}


class Info(NamedTuple):
    """Completed trials by several metrics, in order of numbers.

    Attributes:
        metrics: The searched ones.
        signs: Of each 1 where less is better, -1 where more is.
        number: Of each trial.
        kind: Of each: `on the front`, `dominated` or `misses a constraint`.
        values: By metric: of each trial.
        knee: Number of the trial where the front bulges most; None if there is none.
        baseline: By metric: of a naive prediction; None where it is not known.
        states: Trials by state.
    """

    metrics: tuple[str, ...]
    signs: list[float]
    number: list[int]
    kind: list[str]
    values: list[list[float]]
    knee: int | None
    baseline: list[float | None]
    states: dict[str, int]


def info(history: History) -> Info:
    known = np.flatnonzero(history.are("complete") & np.isfinite(history.values).all(axis=1))
    several = len(history.metrics) > 1
    front = np.isin(known, history.front if several else ())
    kind = np.where(front, "on the front", np.where(history.violation[known] > 0, "misses a constraint", "dominated"))
    on = known[front]
    bulge = knee(history.values[on] * history.signs) if several else None
    return Info(
        metrics=history.metrics,
        signs=history.signs.tolist(),
        number=known.tolist(),
        kind=kind.tolist(),
        values=history.values[known].T.tolist(),
        knee=None if bulge is None else int(on[bulge]),
        baseline=[history.status.baseline.get(name) for name in history.metrics],
        states={state: count for state, count in history.status.trials.items() if count},
    )


def words(info: Info) -> Words:
    if len(info.metrics) < 2:
        return Words("One metric is searched", empty="one metric is searched: there is no Pareto front")
    if not info.number:
        there = ", ".join(f"{count} {state}" for state, count in info.states.items()) or "no trials"
        return Words("No trial has completed yet", empty=f"no trial has completed with all metrics: {there}")
    on = info.kind.count("on the front")
    every = len(list(combinations(info.metrics, 2)))
    drawn = max(len(one) for one in _drawn(info))
    rule = RULE if _kept(info).any() else f"{EVENLY}, those on the front too"
    is_thinned, missed = drawn < len(info.number), info.kind.count("misses a constraint")
    notes = (
        f"In each panel at most {said(drawn, len(info.number), 'trials', rule)} The table has these."
        if is_thinned
        else "",
        f"{missed:,} of them miss a constraint." if missed and on else "",
        f"{PANELS} of {every} pairs of metrics." if every > PANELS else "",
        "A trial on the front may look dominated in one panel: it is better in another metric." if every > 1 else "",
        "The knee is where the front bulges most, each metric scaled to its range on the front."
        if info.knee is not None
        else "",
        " ".join(dict.fromkeys(told for one in _scales(info) if (told := one.said("trial")))),
    )
    found = f"{on:,} of {len(info.number):,} completed trials {'is' if on == 1 else 'are'} on the front"
    if not on:
        found = f"None of {len(info.number):,} completed trials keeps to the constraints"
    if info.knee is not None:
        row = info.number.index(info.knee)
        at = (f"{name} {theme.number(one[row], 3)}" for name, one in zip(info.metrics, info.values, strict=True))
        found += f"; trial {info.knee} is its knee: {', '.join(at)}"
    return Words(found, " ".join(note for note in notes if note))


def figure(info: Info) -> go.Figure:
    traces: list[go.Scatter] = []
    layout: dict[str, Any] = {}
    headings = []
    pairs = _pairs(info)
    scales = _scales(info)
    axes = [{**scale.axis(), "title": {"text": _title(info, one, scale)}} for one, scale in enumerate(scales)]
    for place, ((a, b), drawn) in enumerate(zip(pairs, _drawn(info), strict=True)):
        named = {trace.name for trace in traces}
        if len(info.metrics) == 2:
            traces.append(_stairs(info, drawn))
        traces += _points(info, (a, b), drawn, place, named)
        y = dict(axes[b])
        if len(pairs) > 1:
            headings.append(_panels.heading(place, f"↑ {y.pop('title')['text']}"))
        layout |= _panels.layout(place, len(pairs), _COLUMNS, axes[a], y, gap=_GAP)
    if len(pairs) > 1:
        layout |= {"annotations": headings, "legend": _panels.legend(len(pairs), _COLUMNS)}
    height = _ALONE_PX if len(pairs) == 1 else _panels.height_px(len(pairs), _COLUMNS)
    found = theme.figure(traces, height=height, **layout)
    for place, (a, b) in enumerate(pairs):
        names = (f"value:{info.metrics[a]}", f"value:{info.metrics[b]}")
        theme.mark(found, *names, axes=_panels.ids(place))
    return found


def data(info: Info) -> Data:
    """Return the trials that are drawn in some panel."""
    rows = sorted({int(row) for drawn in _drawn(info) for row in drawn})
    fixed: Data = {"trial": info.number, "kind": info.kind}
    columns = joined(fixed, "metric", zip(info.metrics, info.values, strict=True))
    return {name: [column[row] for row in rows] for name, column in columns.items()}


def _pairs(info: Info) -> list[tuple[int, int]]:
    return [*combinations(range(len(info.metrics)), 2)][:PANELS]


def _scales(info: Info) -> list[Scale]:
    return [
        scale_of(np.array(values), sign=sign, beside=naive)
        for values, sign, naive in zip(info.values, info.signs, info.baseline, strict=True)
    ]


def _title(info: Info, metric: int, scale: Scale) -> str:
    better = "less is better" if info.signs[metric] > 0 else "more is better"
    return f"{theme.short(info.metrics[metric])} ({better}{', log scale' if scale.log else ''})"


def _points(info: Info, pair: tuple[int, int], drawn: Ints, place: int, named: set[str]) -> list[go.Scatter]:
    import plotly.graph_objects as go

    (x_id, y_id), (a, b) = _panels.ids(place), pair
    number, kind = np.array(info.number), np.array(info.kind)
    x, y = np.array(info.values[a]), np.array(info.values[b])
    names = [theme.plain(info.metrics[one]) for one in pair]
    about = f"trial %{{customdata}}<br>{names[0]} %{{x:.5g}}<br>{names[1]} %{{y:.5g}}"
    shown = {name: (drawn[kind[drawn] == name], look) for name, look in _LOOKS.items()}
    star = {"color": theme.COLORS["best"], "symbol": "star", "size": 13, "line": {"width": 1, "color": "#ffffff"}}
    shown["knee"] = (np.flatnonzero(number == info.knee) if info.knee is not None else drawn[:0], star)
    found = [
        go.Scatter(
            x=x[rows],
            y=y[rows],
            customdata=number[rows],
            mode="markers",
            name=name,
            legendgroup=name,
            showlegend=name not in named,
            marker=look,
            xaxis=x_id,
            yaxis=y_id,
            hovertemplate=f"{about}<extra>{name}</extra>",
        )
        for name, (rows, look) in shown.items()
        if len(rows)
    ]
    naive = info.baseline[a], info.baseline[b]
    if None not in naive:
        look = {"color": theme.COLORS["running"], "symbol": "diamond-open", "size": 10, "line": {"width": 2}}
        name = "naive baseline"
        found.append(
            go.Scatter(
                x=[naive[0]],
                y=[naive[1]],
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=name not in named,
                marker=look,
                xaxis=x_id,
                yaxis=y_id,
                hovertemplate=f"{name}<extra></extra>",
            )
        )
    return found


def _stairs(info: Info, drawn: Ints) -> go.Scatter:
    """Return the border of what the front of two metrics dominates, as far as it is drawn."""
    import plotly.graph_objects as go

    on = drawn[np.array(info.kind)[drawn] == "on the front"]
    x, y = (np.array(values)[on] for values in info.values)
    order = np.lexsort((info.signs[1] * y, info.signs[0] * x))
    line = {"shape": "hv", "color": theme.COLORS["best"], "width": 1.5}
    return go.Scatter(x=x[order], y=y[order], mode="lines", line=line, hoverinfo="skip", showlegend=False)


def _drawn(info: Info) -> list[Ints]:
    """Return for each panel the places of the trials that are drawn in it."""
    pairs, values = _pairs(info), [np.array(one) for one in info.values]
    most = MOST // max(len(pairs), 1)
    return [thinned(values[a], values[b], keep=_kept(info), most=most) for a, b in pairs]


def _kept(info: Info) -> NDArray[np.bool_]:
    """Return which trials are drawn in any case: those on the front, unless it is huge."""
    front: NDArray[np.bool_] = np.array(info.kind) == "on the front"
    return front if front.sum() <= MOST // max(len(_pairs(info)), 1) else np.zeros_like(front)


PLOT = Plot("pareto", "good", "Pareto front", info, words, figure, data)
