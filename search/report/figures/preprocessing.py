"""Preprocessing: the values of completed trials by each choice of how data is prepared."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from search.records.history import Floats, History, Ints
from search.records.parameters import Parameter
from search.report import theme
from search.report.figures._axis import axis_of, spread
from search.report.figures._chosen import completed, have, important, missed, said_missed
from search.report.figures._marks import ringed
from search.report.figures._median import resampled
from search.report.plot import Data, Plot, Words
from search.report.scale import Scale, scale_of
from search.report.thinning import MOST, said, thinned

if TYPE_CHECKING:
    import plotly.graph_objects as go

PREFIX: Final = "preprocess."
PARAMETERS: Final = 6
CHOICES: Final = 8
"""Of one parameter, the most frequent ones, at most."""

LEAST: Final = 5
"""Trials with a choice below which it is not compared."""

DRAWS: Final = 10_000
"""Resamples."""

_CHANCE: Final = 0.05
_FEW: Final = 4
"""Values of a number up to which each is a choice of its own; more are split into thirds."""

_SPREAD: Final = 0.5
_ROW_PX: Final = 42


class Group(NamedTuple):
    """Completed trials with one choice.

    Attributes:
        parameter: In full.
        choice: In words; a number's third, such as `0.1 to 0.3`.
        number: The trials.
        value: Their values.
        median: Of the values.
        worse: By how much its median is worse than that of the parameter's best choice; 0 for that one itself.
        low: Where the 95% interval of that begins; None where trials are too few, and for the best choice.
        high: Where it ends.
        apart: Whether it is told apart from the best choice, with all comparisons of the figure in mind.
    """

    parameter: str
    choice: str
    number: list[int]
    value: list[float]
    median: float
    worse: float
    low: float | None
    high: float | None
    apart: bool


class Info(NamedTuple):
    """Choices of preprocessing, by parameter.

    Attributes:
        metric: The searched one, the first of several.
        sign: 1 where less is better, -1 where more is.
        groups: Parameters as important as they are, of each the best choice first.
        completed: Trials with a finite value.
        missed: Completed trials that miss a constraint, and are left out.
        there: Whether any parameter is one of preprocessing.
        chosen: How the parameters were chosen, in words; "" if all are there.
        front: Number of the best trial, of several metrics those of the Pareto front.
        metrics: How many metrics are searched.
    """

    metric: str
    sign: float
    groups: list[Group]
    completed: int
    missed: int
    there: bool
    chosen: str
    front: list[int]
    metrics: int


def info(history: History) -> Info:
    rows = completed(history)
    chosen = important(history, PARAMETERS, prefix=PREFIX)
    split = [(one, _split(one, rows)) for one in chosen.parameters]
    split = [(one, parts) for one, parts in split if len(parts) > 1]
    compared = sum(math.comb(sum(len(part) >= LEAST for _, part in parts), 2) for _, parts in split)
    dice = np.random.default_rng(0)
    groups = [group for one, parts in split for group in _groups(history, one.name, parts, max(compared, 1), dice)]
    return Info(
        metric=history.metrics[0],
        sign=float(history.signs[0]),
        groups=groups,
        completed=len(rows),
        missed=missed(history),
        there=any(one.name.startswith(PREFIX) for one in history.parameters),
        chosen=chosen.said(),
        front=[*history.front],
        metrics=len(history.metrics),
    )


def words(info: Info) -> Words:
    if not info.there:
        return Words("No preprocessing is searched", empty=f"no parameter's name begins with {PREFIX!r}")
    if not info.groups:
        empty = f"trials with two choices of one parameter are compared; {have(info.completed, info.missed)}"
        return Words("No choice of preprocessing to compare", empty=empty)
    drawn, of = sum(map(len, _drawn(info))), sum(len(group.number) for group in info.groups)
    notes = (
        f"{info.completed:,} completed trials; the box is the middle half, its line the median.",
        "Beside a choice: by how much its median is worse than the best choice's, with a 95% bootstrap interval.",
        "Trials differ in other parameters too, and later, better trials were given the choices that looked good: the",
        "difference need not be the choice's doing.",
        said_missed(info.missed),
        info.chosen,
        said(drawn, of),
        _scale(info).said("point"),
    )
    return Words(_finding(info), " ".join(note for note in notes if note))


def figure(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    rows, headings = _rows(info)
    quarters = [np.quantile(group.value, (0.25, 0.75), method="nearest") for group in info.groups]
    boxes = go.Box(
        y=rows,
        q1=[float(low) for low, _ in quarters],
        median=[group.median for group in info.groups],
        q3=[float(high) for _, high in quarters],
        lowerfence=[float(low) for low, _ in quarters],
        upperfence=[float(high) for _, high in quarters],
        orientation="h",
        width=0.7,
        line={"color": theme.COLORS["pruned"], "width": 2},
        fillcolor="rgba(140,140,140,0.15)",
        hoverinfo="skip",
        showlegend=False,
    )
    drawn = _drawn(info)
    number = np.concatenate([np.array(group.number)[one] for group, one in zip(info.groups, drawn, strict=True)])
    x = np.concatenate([np.array(group.value)[one] for group, one in zip(info.groups, drawn, strict=True)])
    y = np.repeat(rows, [len(one) for one in drawn]) + spread(number, _SPREAD)
    about = f"trial %{{customdata}}<br>{theme.plain(info.metric)} %{{x:.5g}}<extra></extra>"
    points, ring = _points(number, x, y, about), _rings(number, x, y, info)
    traces = [one for one in (boxes, points, ring) if one is not None]
    ticks = {**{row: _label(group) for row, group in zip(rows, info.groups, strict=True)}, **headings}
    found = theme.figure(traces, x=theme.plain(info.metric), height=_ROW_PX * len(ticks) + 90)
    found.update_xaxes(_scale(info).axis())
    found.update_yaxes(tickvals=[*ticks], ticktext=[*ticks.values()], range=[len(ticks) - 0.5, -0.6], showgrid=False)
    places = {"trial": number.tolist(), "x": x.tolist(), "y": np.round(y, 3).tolist(), "xaxis": "x", "yaxis": "y"}
    found.update_layout(meta={"places": places})
    return found


def data(info: Info) -> Data:
    """Return the choices, one a row."""
    return {
        "parameter": [group.parameter for group in info.groups],
        "choice": [group.choice for group in info.groups],
        "trials": [len(group.number) for group in info.groups],
        f"median {info.metric}": [group.median for group in info.groups],
        "worse than the best by": [group.worse for group in info.groups],
        "at least": [group.low for group in info.groups],
        "at most": [group.high for group in info.groups],
        "told apart": [group.apart for group in info.groups],
    }


def _split(parameter: Parameter, rows: Ints) -> list[tuple[str, Ints]]:
    """Return the trials of each choice, or of each third of a number, in order."""
    axis, rows = axis_of(parameter), rows[parameter.active[rows]]
    values = parameter.values[rows]
    known, count = np.unique(values, return_counts=True)
    if axis.choices or len(known) <= _FEW:
        kept = np.sort(known[np.argsort(-count, kind="stable")[:CHOICES]])
        return [(axis.said(float(value)), rows[values == value]) for value in kept]
    edges = np.quantile(values, (1 / 3, 2 / 3), method="nearest")
    third = np.searchsorted(edges, values, side="left")
    parts = [(values[third == place], rows[third == place]) for place in range(3)]
    return [(f"{axis.said(float(at.min()))} to {axis.said(float(at.max()))}", part) for at, part in parts if len(part)]


def _groups(
    history: History, name: str, parts: list[tuple[str, Ints]], compared: int, dice: np.random.Generator
) -> list[Group]:
    """Return a parameter's choices, the best first, each compared with that one.

    Args:
        history: The study.
        name: Of the parameter.
        parts: Its choices, with the trials of each.
        compared: Comparisons in the whole figure: so much less chance each one is given (Bonferroni).
        dice: Of the resamples.
    """
    losses = {choice: np.sort(history.losses[part]) for choice, part in parts}
    medians = {choice: float(np.quantile(one, 0.5)) for choice, one in losses.items()}
    order = sorted(parts, key=lambda part: (len(part[1]) < LEAST, medians[part[0]]))
    best = order[0][0]
    at_best = resampled(losses[best], dice, DRAWS)
    sign, found = float(history.signs[0]), []
    for choice, part in order:
        low = high = None
        apart = False
        if choice != best and len(part) >= LEAST:
            more = resampled(losses[choice], dice, DRAWS) - at_best
            low, high = (float(end) for end in np.quantile(more, (_CHANCE / 2, 1 - _CHANCE / 2)))
            apart = bool(np.quantile(more, _CHANCE / 2 / compared) > 0)
        value = history.values[part, 0].tolist()
        worse = medians[choice] - medians[best]
        found.append(Group(name, choice, part.tolist(), value, sign * medians[choice], worse, low, high, apart))
    return found


def _finding(info: Info) -> str:
    if all(group.low is None for group in info.groups):
        return f"{info.completed} trials completed: too few to compare choices of preprocessing"
    apart = [group for group in info.groups if group.apart]
    if not apart:
        return "No choice of preprocessing is told apart from chance"
    worst = max((group for group in apart if group.parameter == apart[0].parameter), key=lambda group: group.worse)
    best = next(group for group in info.groups if group.parameter == worst.parameter)
    median = "median" if info.metrics == 1 else f"median of {info.metric}"
    return f"{best.parameter}={best.choice} is better than {worst.choice} by {_worse(worst)} in the {median}"


def _worse(group: Group) -> str:
    """Return by how much a choice is worse than the best one, with its interval."""
    if group.low is None or group.high is None:
        return theme.number(group.worse, 2)
    return f"{theme.number(group.worse, 2)} [{theme.number(group.low, 2)}, {theme.number(group.high, 2)}]"


def _label(group: Group) -> str:
    told = "best median" if not group.worse else "too few" if group.low is None else f"+{_worse(group)}"
    mark = "<b>*</b> " if group.apart else ""
    return f"{theme.short(group.choice, 20)} ({len(group.number):,})<br>{mark}{told}"


def _rows(info: Info) -> tuple[list[int], dict[int, str]]:
    """Return the row of each group, from the top, and those that are headings, with their texts."""
    rows: list[int] = []
    headings: dict[int, str] = {}
    for place, group in enumerate(info.groups):
        if not place or group.parameter != info.groups[place - 1].parameter:
            headings[len(rows) + len(headings)] = f"<b>{theme.short(group.parameter, 24)}</b>"
        rows.append(len(rows) + len(headings))
    return rows, headings


def _points(number: Ints, x: Floats, y: Floats, about: str) -> go.Scatter:
    import plotly.graph_objects as go

    marker = {"color": theme.COLORS["complete"], "size": 4, "opacity": 0.6}
    return go.Scatter(x=x, y=y, customdata=number, mode="markers", marker=marker, hovertemplate=about, showlegend=False)


def _rings(number: Ints, x: Floats, y: Floats, info: Info) -> go.Scatter | None:
    """Return the marks of the best trials, one with each of their choices."""
    import plotly.graph_objects as go

    rows = np.flatnonzero(np.isin(number, info.front))
    if not len(rows):
        return None
    marker: dict[str, Any] = {"color": theme.COLORS["best"], "symbol": theme.SYMBOLS["best"], "size": 12}
    marker["line"] = {"width": 3}
    name, at = ringed(info.metrics), {"x": x[rows], "y": y[rows], "customdata": number[rows]}
    return go.Scatter(**at, mode="markers", name=name, marker=marker, hoverinfo="skip")


def _scale(info: Info) -> Scale:
    return scale_of(np.array([value for group in info.groups for value in group.value]), sign=info.sign)


def _drawn(info: Info) -> list[Ints]:
    """Return of each group the places of the trials that are drawn."""
    most = MOST // max(len(info.groups), 1)
    kept = (np.isin(group.number, info.front[:most]) for group in info.groups)
    return [
        thinned(np.array(group.value), spread(group.number, _SPREAD), keep=keep, most=most)
        for group, keep in zip(info.groups, kept, strict=True)
    ]


PLOT = Plot("preprocessing", "good", "Preprocessing", info, words, figure, data)
