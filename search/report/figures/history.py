"""The optimisation history: each trial's value in order of numbers, and the best so far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from search.records.history import Floats, History, Ints
from search.report import theme
from search.report.figures._marks import MISSED, best_so_far, points, ring, ringed
from search.report.plot import Data, Plot, Words, joined
from search.report.scale import Scale, scale_of
from search.report.sofar import at_steps, reported_losses
from search.report.thinning import MOST, said, thinned
from search.status import STATES

if TYPE_CHECKING:
    import plotly.graph_objects as go

PANELS: Final = 4
"""Metrics that are drawn, at most."""

_ORDER: Final = ("pruned", "complete", MISSED, "running", "paused")
_FEW: Final = 12
"""Trials that each get a tick of their own."""

_STRIP: Final = 0.09
"""Share of the height for the trials without a value."""


class Panel(NamedTuple):
    """One searched metric.

    Attributes:
        metric: Its name.
        value: Of each trial; NaN where it is unknown.
        best_number: Of the trials that were best when all before them were done, among those that completed.
        best_value: Their values.
        baseline: Value of a naive prediction; None if there is none.
        scale: What is shown at first.
    """

    metric: str
    value: list[float]
    best_number: list[int]
    best_value: list[float]
    baseline: float | None
    scale: Scale


class Info(NamedTuple):
    """Trials with a value, in order of numbers.

    Attributes:
        number: Of each trial that has a value of some metric.
        state: Of each; `MISSED` of a completed trial that misses a constraint.
        panels: One for each metric.
        metrics: How many metrics are searched.
        failed: Numbers of the failed trials.
        front: Numbers of the Pareto front; with one metric ().
        last: Highest number of a trial.
        ended: Numbers of all that have ended.
        states: Trials by state.
        gains: Of the first metric: the best value halfway through what has ended, and now; () if either is unknown.
    """

    number: list[int]
    state: list[str]
    panels: list[Panel]
    metrics: int
    failed: list[int]
    front: list[int]
    last: int
    ended: list[int]
    states: dict[str, int]
    gains: tuple[float, float] | tuple[()]


def info(history: History) -> Info:
    several = len(history.metrics) > 1
    values = [_values(history, place) for place in range(min(len(history.metrics), PANELS))]
    known = np.flatnonzero(np.isfinite(values).any(axis=0))
    missed = history.are("complete") & (history.violation > 0)
    panels = [_panel(history, place, one, known) for place, one in enumerate(values)]
    ended = np.flatnonzero(history.are("complete", "pruned", "fail"))
    return Info(
        number=known.tolist(),
        state=[MISSED if missed[number] else STATES[history.state[number]] for number in known],
        panels=panels,
        metrics=len(history.metrics),
        failed=np.flatnonzero(history.are("fail")).tolist(),
        front=[*history.front] if several else [],
        last=len(history) - 1,
        ended=ended.tolist(),
        states={state: count for state, count in history.status.trials.items() if count},
        gains=_gains(panels[0], ended),
    )


def words(info: Info) -> Words:
    if not info.number:
        there = ", ".join(f"{count} {state}" for state, count in info.states.items()) or "no trials"
        return Words("No trial has a value yet", empty=f"no trial has a value yet: {there}")
    notes = [said(len(_drawn(info)), len(info.number), "trials")]
    notes += [_about(info, panel) for panel in info.panels]
    if info.metrics > PANELS:
        notes.append(f"{PANELS} of {info.metrics} metrics are drawn.")
    if info.failed:
        notes.append(f"The strip below has the {len(info.failed):,} that failed.")
    return Words(_finding(info), " ".join(note for note in notes if note))


def figure(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    drawn, number, state = _drawn(info), np.array(info.number), np.array(info.state)
    count = len(info.panels)
    traces: list[Any] = []
    for place, panel in enumerate(info.panels):
        axis, value = _axis("y", place), np.array(panel.value)
        for name in _ORDER:
            chosen = drawn[(state[drawn] == name) & np.isfinite(value[drawn])]
            if len(chosen):
                traces.append(points(name, number[chosen], value[chosen], panel.metric, axis, legend=place == 0))
        if panel.best_number:
            traces.append(best_so_far(panel.best_number, panel.best_value, info.last, axis, legend=place == 0))
        rings = drawn[np.isin(number[drawn], info.front if info.metrics > 1 else panel.best_number[-1:])]
        if len(rings):
            traces.append(ring(ringed(info.metrics), number[rings], value[rings], axis, legend=place == 0))
    if info.failed:
        failed = np.array(info.failed)[
            thinned(np.array(info.failed, float), np.zeros(len(info.failed)), most=MOST // 2)
        ]
        traces.append(
            go.Scatter(
                x=failed,
                y=np.zeros(len(failed)),
                customdata=failed,
                yaxis=_axis("y", count),
                mode="markers",
                name="fail",
                marker={"color": theme.COLORS["fail"], "symbol": theme.SYMBOLS["fail"], "size": 7},
                hovertemplate="trial %{x}<extra>fail</extra>",
            )
        )
    found = theme.figure(traces, x="trial", height=340 if count == 1 else 120 + 190 * count)
    _lay_out(found, info)
    for place, panel in enumerate(info.panels):
        if panel.baseline is not None and panel.scale.beside:
            _baseline(found, panel.baseline, _axis("y", place), log=panel.scale.log)
        theme.mark(found, "number", f"value:{panel.metric}", axes=("x", _axis("y", place)))
    return found


def data(info: Info) -> Data:
    """Return the trials with a value, and the failed ones, in order of numbers, with the best so far of each metric."""
    places = {number: place for place, number in enumerate(info.number)}
    states = dict.fromkeys(info.failed, "fail") | dict(zip(info.number, info.state, strict=True))
    numbers = sorted(states)
    columns: list[tuple[str, list[float | None]]] = []
    for panel in info.panels:
        columns.append((panel.metric, [panel.value[places[one]] if one in places else None for one in numbers]))
        stood = np.searchsorted(panel.best_number, numbers, side="right") - 1
        best = [panel.best_value[at] if at >= 0 else None for at in stood.tolist()]
        columns.append((f"best {panel.metric} so far", best))
    return joined({"trial": numbers, "state": [states[one] for one in numbers]}, "metric", columns)


def _values(history: History, place: int) -> Floats:
    """Return a metric of each trial; of one that has not ended, its last report."""
    values = history.values[:, place].copy()
    going = np.flatnonzero(history.are("running", "paused") & np.isnan(values))
    losses = reported_losses(history, place)
    values[going] = history.signs[place] * at_steps(history.reports, losses, going, history.epochs[going])
    return values


def _panel(history: History, place: int, value: Floats, known: Ints) -> Panel:
    sign, name = history.signs[place], history.metrics[place]
    candidates = np.flatnonzero(history.candidates)
    losses = sign * value[candidates]
    moved = candidates[np.flatnonzero(np.diff(np.minimum.accumulate(losses), prepend=np.inf) < 0)]
    baseline = history.status.baseline.get(name)
    return Panel(
        metric=name,
        value=value[known].tolist(),
        best_number=moved.tolist(),
        best_value=value[moved].tolist(),
        baseline=baseline,
        scale=scale_of(value[known], sign=sign, beside=baseline),
    )


def _gains(panel: Panel, ended: Ints) -> tuple[float, float] | tuple[()]:
    if not panel.best_number or len(ended) < 2:
        return ()
    halfway = ended[(len(ended) - 1) // 2]
    before = [value for number, value in zip(panel.best_number, panel.best_value, strict=True) if number <= halfway]
    return (before[-1], panel.best_value[-1]) if before else ()


def _finding(info: Info) -> str:
    first = info.panels[0]
    if not first.best_number:
        missed = info.state.count(MISSED)
        if missed == 1:
            return "The only completed trial misses a constraint"
        return f"All {missed:,} completed trials miss a constraint" if missed else "No trial has completed yet"
    if info.states.get("complete") == 1 and info.metrics == 1:
        return f"One trial has completed: {first.metric} {theme.number(first.best_value[-1])}"
    latest = first.best_number[-1] if info.metrics == 1 else max(info.front, default=-1)
    since = sum(number > latest for number in info.ended)
    best = "" if info.metrics > 1 else f"{first.metric} {theme.number(first.best_value[-1])} "
    if since >= max(len(info.ended) / 4, 5):
        better = "No better trial" if info.metrics == 1 else "No trial has joined the Pareto front"
        stood = f": {best}has stood since trial {latest}" if best else f": trial {latest} was the last"
        return f"{better} for the last {since:,} of {len(info.ended):,}{stood}"
    if info.gains and info.metrics == 1 and info.gains[0] != info.gains[1]:
        then, now = (theme.number(value) for value in info.gains)
        return f"Still improving: {first.metric} {now} at trial {latest}, {then} halfway"
    came = "The best came" if info.metrics == 1 else "The Pareto front last moved"
    return f"{came} at trial {latest} of {info.last + 1:,}{f': {best.strip()}' if best else ''}"


def _about(info: Info, panel: Panel) -> str:
    """Return what a reader has to know of a panel."""
    named = f"{panel.metric}: " if info.metrics > 1 else ""
    parts = [panel.scale.said("trial")]
    if panel.baseline is not None and not panel.scale.beside:
        parts.append(f"The naive baseline, {theme.number(panel.baseline)}, is too far off to be drawn.")
    told = " ".join(part for part in parts if part)
    return f"{named}{told}" if told else ""


def _drawn(info: Info) -> Ints:
    """Return the indices of the trials that are drawn."""
    number, most = np.array(info.number, float), MOST // max(len(info.panels), 1)
    chosen: set[int] = set()
    for panel in info.panels:
        keep = np.isin(info.number, panel.best_number) | np.isin(info.number, info.front)
        chosen |= set(thinned(number, np.array(panel.value), keep=keep, most=most).tolist())
    return np.array(sorted(chosen), np.int64)


def _lay_out(found: go.Figure, info: Info) -> None:
    """Put the panels one below the other, and the strip of the failed ones last."""
    count, floor = len(info.panels), _STRIP if info.failed else 0.0
    height = (1 - floor) / count
    for place, panel in enumerate(info.panels):
        top = 1 - place * height
        title = theme.short(panel.metric) + (" (log scale)" if panel.scale.log else "")
        found.layout[_axis("yaxis", place)] = {
            "domain": [top - height + (0.03 if count > 1 or info.failed else 0), top],
            "title": {"text": title},
            **panel.scale.axis(),
        }
    if info.failed:
        found.layout[_axis("yaxis", count)] = {
            "domain": [0, floor],
            "range": [-1, 1],
            "showgrid": False,
            "zeroline": False,
            "tickvals": [0],
            "ticktext": ["failed"],
            "fixedrange": True,
        }
    room = 0.5 + 0.015 * info.last  # so that the first and the last are not cut
    ticks = {"dtick": 1} if info.last < _FEW else {}
    found.update_xaxes(anchor="free", position=0, range=[-room, info.last + room], tickformat="d", **ticks)


def _baseline(found: go.Figure, value: float, axis: str, *, log: bool) -> None:
    found.add_shape(
        type="line",
        xref="paper",
        x0=0,
        x1=1,
        yref=axis,
        y0=value,
        y1=value,
        line={"dash": "dot", "width": 1, "color": theme.COLORS["pruned"]},
    )
    place = math.log10(value) if log else value
    found.add_annotation(
        xref="paper", x=1, xanchor="right", yref=axis, y=place, yanchor="bottom", text="naive baseline", showarrow=False
    )


def _axis(kind: str, place: int) -> str:
    return kind if place == 0 else f"{kind}{place + 1}"


PLOT = Plot("history", "progress", "Optimisation history", info, words, figure, data)
