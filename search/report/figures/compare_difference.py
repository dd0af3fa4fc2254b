"""How far apart the bests of studies are at as many trials, each pair with its interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from search.records.best_of import LEAST
from search.records.comparison import Comparison
from search.report import theme
from search.report.figures import compare_look
from search.report.plot import Data, Words

if TYPE_CHECKING:
    import plotly.graph_objects as go


class Info(NamedTuple):
    """Pairs of studies.

    Attributes:
        metric: The searched one.
        verdict: Who is ahead, in words.
        better: Name of the study that is ahead, of each pair.
        worse: Name of the other.
        place: Of the one that is ahead.
        trials: How many each is given.
        value: By how much it is ahead.
        low: Of the 95% interval.
        high: The same.
        several: Whether several metrics are searched.
        noisy: Whether the uncertainty of the measurement is in the intervals.
    """

    metric: str
    verdict: str
    better: list[str]
    worse: list[str]
    place: list[int]
    trials: list[int]
    value: list[float]
    low: list[float]
    high: list[float]
    several: bool
    noisy: bool


def info(found: Comparison) -> Info:
    pairs, names = found.differences, [side.name for side in found.sides]
    return Info(
        metric=found.metrics[0],
        verdict=found.verdict(),
        better=[names[one.better] for one in pairs],
        worse=[names[one.worse] for one in pairs],
        place=[one.better for one in pairs],
        trials=[one.trials for one in pairs],
        value=[one.value for one in pairs],
        low=[one.low for one in pairs],
        high=[one.high for one in pairs],
        several=len(found.metrics) > 1,
        noisy=any(one.noise for one in pairs),
    )


def words(info: Info) -> Words:
    finding = info.verdict
    if info.several:
        return Words(finding, empty="differences of the bests are told of one metric: these studies search several")
    if not info.better:
        return Words(finding, empty=f"an interval needs {LEAST} ended trials of each study, and a completed one")
    note = (
        "The interval is a bootstrap over trials, both studies given as many; it takes trials as independent, which a"
    )
    note += " sampler that learns does not draw."
    if not info.noisy:
        note += " How exactly the bests were measured is not in it."
    if any(map(math.isinf, (*info.low, *info.high))):
        note += " An arrow is an open end: so often has one of them no completed trial among as many."
    if any(map(math.isinf, info.value)):
        note += " Where there is no point, that is so more often than not."
    return Words(finding, note)


def figure(info: Info) -> go.Figure:

    rows = range(len(info.better))
    finite = [abs(end) for ends in (info.low, info.high, info.value) for end in ends if math.isfinite(end)]
    far = 1.5 * max(finite, default=0.0) or 1.0  # as far as an open end is drawn
    labels = [
        f"{theme.short(a, 20)} ahead of {theme.short(b, 20)}" for a, b in zip(info.better, info.worse, strict=True)
    ]
    traces = [
        trace
        for row in rows
        for trace in (_interval(info, row, far), *([_middle(info, row)] if math.isfinite(info.value[row]) else []))
    ]
    found = theme.figure(
        traces,
        x=f"how much better, in {theme.plain(info.metric)}",
        height=120 + 34 * len(info.better),
        yaxis={
            "tickmode": "array",
            "tickvals": [*rows],
            "ticktext": labels,
            "autorange": "reversed",
            "zeroline": False,
        },
    )
    found.add_vline(x=0, line={"dash": "dot", "width": 1, "color": "#8C8C8C"})
    return found


def _interval(info: Info, row: int, far: float) -> go.Scatter:
    import plotly.graph_objects as go

    ends = (info.low[row], info.high[row])
    place = info.place[row]
    shapes = ["line-ns" if math.isfinite(end) else f"triangle-{'right' if end > 0 else 'left'}" for end in ends]
    return go.Scatter(
        x=[min(max(end, -far), far) for end in ends],
        y=[row, row],
        mode="lines+markers",
        line={"color": compare_look.COLORS[place], "width": 2},
        marker={"symbol": shapes, "size": 10, "color": compare_look.COLORS[place], "line": {"width": 1}},
        showlegend=False,
        hoverinfo="skip",
    )


def _middle(info: Info, row: int) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[info.value[row]],
        y=[row],
        mode="markers",
        marker=compare_look.marker(info.place[row]),
        showlegend=False,
        hovertemplate=f"%{{x:.4g}} at {info.trials[row]} trials each<extra></extra>",
    )


def data(info: Info) -> Data:
    return {
        "ahead": info.better,
        "behind": info.worse,
        "trials each": info.trials,
        **{
            name: [one if math.isfinite(one) else "open" for one in ends]
            for name, ends in (("difference", info.value), ("low", info.low), ("high", info.high))
        },
    }
