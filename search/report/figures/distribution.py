"""The distribution of values: which share of the trials is at least as good as a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from search.records.history import Floats, History, Ints
from search.report import theme
from search.report.plot import Data, Plot, Words, joined
from search.report.scale import Scale, scale_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

LEAST: Final = 3
"""Completed trials below which there is no distribution."""

POINTS: Final = 500
"""Points of a line, at most."""


class Ranked(NamedTuple):
    """Trials in order of their values, the best first.

    Attributes:
        number: Of each trial.
        value: Of each.
    """

    number: list[int]
    value: list[float]


class Info(NamedTuple):
    """Values of the first searched metric.

    Attributes:
        metric: Its name.
        sign: 1 where less is better, -1 where more is.
        metrics: How many metrics are searched.
        complete: The completed trials that keep to all constraints.
        pruned: The pruned ones, with their last reports.
        missed: Completed trials that miss a constraint, and are left out.
        median: Of the completed ones; NaN if there are none.
        quartile: The value that the best quarter of them reaches.
        baseline: Value of a naive prediction; None if there is none.
        better: How many completed trials are better than that.
        scale: What is shown at first.
        states: Trials by state.
    """

    metric: str
    sign: float
    metrics: int
    complete: Ranked
    pruned: Ranked
    missed: int
    median: float
    quartile: float
    baseline: float | None
    better: int
    scale: Scale
    states: dict[str, int]


def info(history: History) -> Info:
    losses, sign = history.losses, float(history.signs[0])
    finite, own = np.isfinite(losses), history.same_as < 0
    complete = history.are("complete") & finite & own
    kept = np.flatnonzero(complete & (history.violation <= 0))
    pruned = np.flatnonzero(history.are("pruned") & finite & own)
    kept, pruned = kept[np.argsort(losses[kept], kind="stable")], pruned[np.argsort(losses[pruned], kind="stable")]
    quartile, median = np.quantile(losses[kept], (0.25, 0.5)) if len(kept) else (np.nan, np.nan)
    baseline = history.status.baseline.get(history.metrics[0])
    values = history.values[:, 0]
    return Info(
        metric=history.metrics[0],
        sign=sign,
        metrics=len(history.metrics),
        complete=Ranked(kept.tolist(), values[kept].tolist()),
        pruned=Ranked(pruned.tolist(), values[pruned].tolist()),
        missed=int(np.count_nonzero(complete)) - len(kept),
        median=sign * float(median),
        quartile=sign * float(quartile),
        baseline=baseline,
        better=0 if baseline is None else int(np.count_nonzero(losses[kept] < sign * baseline)),
        scale=scale_of(values[np.concatenate([kept, pruned])], sign=sign, beside=baseline),
        states={state: count for state, count in history.status.trials.items() if count},
    )


def words(info: Info) -> Words:
    count = len(info.complete.number)
    if count < LEAST:
        there = ", ".join(f"{count} {state}" for state, count in info.states.items()) or "no trials"
        within = " within the constraints" if info.missed else ""
        return Words("Too few values", empty=f"fewer than {LEAST} trials have completed{within}: {there}")
    notes = [f"{count:,} completed trials."]
    if info.metrics > 1:
        notes.append(f"Of {info.metrics} metrics it is the first.")
    if info.missed:
        notes.append(f"{info.missed:,} that miss a constraint are left out.")
    if info.pruned.number:
        notes.append("Of pruned trials it is the last report: they would have come further.")
    if info.baseline is not None:
        beside = "" if info.scale.beside else ", which is too far off to be drawn"
        notes.append(f"{info.better:,} are better than the naive baseline, {theme.number(info.baseline)}{beside}.")
    notes.append(info.scale.said("trial"))
    return Words(_finding(info, count), " ".join(note for note in notes if note))


def figure(info: Info) -> go.Figure:
    traces, drawn = [], []
    for name, ranked in (("pruned", info.pruned), ("complete", info.complete)):
        if ranked.number:
            places = _drawn(len(ranked.number))
            shares = 100 * (places + 1) / len(ranked.number)
            numbers, values = np.array(ranked.number)[places], np.array(ranked.value)[places]
            traces.append(_line(name, numbers, values, shares, info.metric))
            drawn.append((numbers, values, shares))
    found = theme.figure(
        traces, x=theme.short(info.metric), y="trials at least as good, %", log_x=info.scale.log, yaxis_range=[0, 102]
    )
    found.update_xaxes(info.scale.axis())
    toward, away = ("left", "right") if info.sign > 0 else ("right", "left")  # where there is room for a label
    lines = [("median", info.median, 0.5, toward)]
    if info.baseline is not None and info.scale.beside:
        lines.append(("naive baseline", info.baseline, 0.25, away))
    for text, value, height, anchor in lines:
        found.add_shape(
            type="line", x0=value, x1=value, yref="paper", y0=0, y1=1, line={"dash": "dot", "width": 1, "color": _GREY}
        )
        place = float(np.log10(value)) if info.scale.log else value
        found.add_annotation(
            x=place,
            yref="paper",
            y=height,
            text=text,
            xanchor=anchor,
            xshift=2 if anchor == "left" else -2,
            showarrow=False,
        )
    numbers, values, shares = (np.concatenate([one[part] for one in drawn]) for part in range(3))
    stand = {"trial": numbers.tolist(), "x": values.tolist(), "y": shares.tolist(), "xaxis": "x", "yaxis": "y"}
    found.update_layout(meta={"places": stand})
    return found


def data(info: Info) -> Data:
    both = (info.complete, info.pruned)
    columns: Data = {
        "trial": [number for ranked in both for number in ranked.number],
        "state": ["complete"] * len(info.complete.number) + ["pruned"] * len(info.pruned.number),
        "at least as good, %": [
            100 * (place + 1) / len(ranked.number) for ranked in both for place in range(len(ranked.number))
        ],
    }
    return joined(columns, "metric", [(info.metric, [value for ranked in both for value in ranked.value])])


_GREY: Final = theme.COLORS["pruned"]


def _finding(info: Info, count: int) -> str:
    best, of = info.complete.value[0], "the best" if info.metrics == 1 else f"the best {info.metric}"
    if info.baseline is not None and not info.better:
        return f"No completed trial is better than the naive baseline, {theme.number(info.baseline)}"
    gap = abs(info.median - best)
    if not gap:
        return f"Half of the {count:,} completed trials are as good as {of}, {theme.number(best)}"
    quarter = abs(info.quartile - best)
    return (
        f"Half of the {count:,} completed trials come within {theme.number(gap, 2)} of {of}, {theme.number(best)}; "
        f"a quarter within {theme.number(quarter, 2)}"
    )


def _drawn(count: int) -> Ints:
    """Return the places, in order of values, that are drawn: evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(np.int64))


def _line(name: str, numbers: Ints, values: Floats, shares: Floats, metric: str) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=values,
        y=shares,
        customdata=numbers,
        mode="lines+markers",
        name="complete" if name == "complete" else "pruned, last report",
        line={
            "shape": "hv",
            "color": theme.COLORS[name],
            "width": 1.5,
            "dash": "solid" if name == "complete" else "dash",
        },
        marker={"size": 4 if len(numbers) <= 100 else 2, "color": theme.COLORS[name]},
        hovertemplate=f"trial %{{customdata}}<br>{theme.short(metric)} %{{x:.5g}}<br>%{{y:.3g}}% at least as good"
        f"<extra>{name}</extra>",
    )


PLOT = Plot("distribution", "progress", "Distribution of values", info, words, figure, data)
