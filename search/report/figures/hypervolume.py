"""The hypervolume: how much the Pareto front was worth after each trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from search.records.front import growth
from search.records.history import History
from search.report import theme
from search.report.plot import Data, Plot, Words
from search.report.thinning import said, thinned

if TYPE_CHECKING:
    import plotly.graph_objects as go

METRICS: Final = (2, 3)
"""With more its time grows too fast."""

_MOST_OF_IT: Final = 0.9
_LATE: Final = 0.25
"""Share of the trials, the last ones, of which it is said what they added."""

_WORTH_TELLING: Final = 0.005


class Info(NamedTuple):
    """The hypervolume whenever it grew.

    Attributes:
        metrics: The searched ones.
        number: Of the trials with which it grew; of three metrics a choice of them.
        volume: What it was from each one on, in the product of the metrics' units.
        reference: By metric: the value as far as which it is measured, in natural sign.
        naive: Metrics whose reference is that of the naive baseline; of the others it is the worst of all trials.
        grew: How often it grew.
        candidates: Trials that could be on the front.
        last: Highest number of a trial.
    """

    metrics: tuple[str, ...]
    number: list[int]
    volume: list[float]
    reference: list[float]
    naive: list[str]
    grew: int
    candidates: int
    last: int


def info(history: History) -> Info:
    baseline = history.status.baseline
    rows = np.flatnonzero(history.candidates)
    number, volume, reference, grew = [], [], list[float](), 0
    if len(history.metrics) in METRICS and len(rows) and len(history.status.worst) == len(history.metrics):
        worst = zip(history.metrics, history.status.worst, strict=True)
        reference = [baseline.get(name, value) for name, value in worst]
        places, volumes, grew = growth(
            history.values[rows] * history.signs, (np.array(reference) * history.signs).tolist()
        )
        number, volume = rows[places].tolist(), volumes.tolist()
    return Info(
        metrics=history.metrics,
        number=number,
        volume=volume,
        reference=reference,
        naive=[name for name in history.metrics if name in baseline],
        grew=grew,
        candidates=len(rows),
        last=len(history) - 1,
    )


def words(info: Info) -> Words:
    count = len(info.metrics)
    if count < 2:
        return Words("One metric is searched", empty="one metric is searched: a hypervolume takes two or three")
    if count not in METRICS:
        return Words("Too many metrics", empty=f"{count} metrics are searched: a hypervolume takes two or three")
    if not info.candidates:
        return Words(
            "No trial is on a front yet", empty="no trial has completed with all metrics within its constraints"
        )
    if not info.number or not np.isfinite([*info.reference, *info.volume]).all():
        return Words("No hypervolume", empty="no trial is better than the reference in all metrics")
    named = zip(info.metrics, info.reference, strict=True)
    at = ", ".join(
        f"{name} {theme.number(value)} ({'naive baseline' if name in info.naive else 'worst trial'})"
        for name, value in named
    )
    notes = (
        f"What the front dominates, as far as {at}; {info.candidates:,} trials could be on it.",
        f"Its unit is {' × '.join(info.metrics)}.",
        f"It grew with {info.grew:,} trials and is reckoned at {len(info.number)}."
        if info.grew > len(info.number)
        else "",
        said(len(_drawn(info)), len(info.number), "steps"),
    )
    return Words(_finding(info), " ".join(note for note in notes if note))


def figure(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    drawn = _drawn(info)
    number, volume = np.array(info.number)[drawn], np.array(info.volume)[drawn]
    line = {"shape": "hv", "color": theme.COLORS["best"], "width": 2}
    traces = [
        go.Scatter(
            x=[0, number[0], *number, info.last],
            y=[0, 0, *volume, volume[-1]],
            mode="lines",
            line=line,
            hoverinfo="skip",
            showlegend=False,
        ),
        go.Scatter(
            x=number,
            y=volume,
            customdata=number,
            mode="markers",
            marker={"color": theme.COLORS["best"], "size": 6},
            hovertemplate="trial %{x}<br>hypervolume %{y:.5g}<extra></extra>",
            showlegend=False,
        ),
    ]
    found = theme.figure(traces, x="trial", y="hypervolume")
    found.update_yaxes(rangemode="tozero")
    places = {"trial": number.tolist(), "x": number.tolist(), "y": volume.tolist(), "xaxis": "x", "yaxis": "y"}
    found.update_layout(meta={"places": places})
    return found


def data(info: Info) -> Data:
    return {"trial": info.number, "hypervolume": info.volume}


def _finding(info: Info) -> str:
    number, volume = np.array(info.number), np.array(info.volume)
    most = number[np.argmax(volume >= _MOST_OF_IT * volume[-1])]
    before = volume[number < info.last * (1 - _LATE)]
    late = 1 - before[-1] / volume[-1] if len(before) else 1.0
    added = f"{late:.0%}" if late >= _WORTH_TELLING else "next to nothing"
    return f"{_MOST_OF_IT:.0%} of it was there by trial {most} of {info.last}; the last quarter of them added {added}"


def _drawn(info: Info) -> np.ndarray:
    """Return the places of the steps that are drawn."""
    volume = np.array(info.volume)
    return thinned(np.array(info.number, float), volume)


PLOT = Plot("hypervolume", "good", "Hypervolume", info, words, figure, data)
