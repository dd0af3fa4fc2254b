"""How good the trials of studies are as a whole: which share of all that ended came to at least this value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from search.records.comparison import Comparison
from search.report import theme
from search.report.figures import compare_look
from search.report.plot import Data, Words, joined

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MOST: Final = 250
"""Points of one study's line, by rank; the best and the worst are always among them."""

_SHOWN: Final = 0.95
"""Share of all values that the axis shows at first: the worst trials of a search are far out."""


class Info(NamedTuple):
    """Values of each study, from the best to the worst.

    Attributes:
        metric: The first searched one.
        several: Whether others are searched, too.
        more_is_better: Of it.
        place: Of each study that has any among those compared.
        name: Of each.
        values: By study, of its completed trials, from the best to the worst.
        trial: By study, their numbers.
        ended: By study, trials that ended.
        median: By study.
    """

    metric: str
    several: bool
    more_is_better: bool
    place: list[int]
    name: list[str]
    values: list[list[float]]
    trial: list[list[int]]
    ended: list[int]
    median: list[float]


def info(found: Comparison) -> Info:
    more = found.directions[0] == "maximize"
    shown = [place for place, side in enumerate(found.sides) if side.values]
    values, trials = [], []
    for place in shown:
        side = found.sides[place]
        column = np.array(side.values)
        order = np.argsort(-column if more else column, kind="stable")
        values.append(column[order].tolist())
        trials.append(np.array(side.numbers)[order].tolist())
    return Info(
        metric=found.metrics[0],
        several=len(found.metrics) > 1,
        more_is_better=more,
        place=shown,
        name=[found.sides[place].name for place in shown],
        values=values,
        trial=trials,
        ended=[found.sides[place].ran for place in shown],
        median=[found.sides[place].quantiles[3] for place in shown],
    )


def words(info: Info) -> Words:
    if not info.place:
        return Words("No trial has completed", empty="no study has a completed trial yet")
    counts = ", ".join(f"{name} {len(values)}" for name, values in zip(info.name, info.values, strict=True))
    note = (
        f"Completed trials: {counts}. A line ends at the share that completed; what was pruned or failed is above it."
    )
    if len(info.place) < 2:
        return Words(f"{info.name[0]} alone has completed trials", note)
    order = np.argsort([-one if info.more_is_better else one for one in info.median], kind="stable").tolist()
    first, second = order[0], order[1]
    if info.median[first] == info.median[second]:
        return Words("The middle trials are equally good", note)
    ahead, behind = theme.number(info.median[first]), theme.number(info.median[second])
    of = f" in {info.metric}" if info.several else ""
    found = f"The middle completed trial of {info.name[first]} is the best{of}: {ahead} against {behind}"
    return Words(f"{found} of {info.name[second]}", note)


def figure(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    traces = []
    for place, name, values, ended in zip(info.place, info.name, info.values, info.ended, strict=True):
        drawn = np.unique(np.linspace(0, len(values) - 1, _MOST).astype(int))
        traces.append(
            go.Scatter(
                x=np.array(values)[drawn].tolist(),
                y=((drawn + 1) / ended).tolist(),
                mode="lines",
                line={"shape": "hv", **compare_look.line(place)},
                name=theme.short(name),
                hovertemplate=f"%{{y:.0%}} reach %{{x:.5g}}<extra>{theme.short(name)}</extra>",
            )
        )
    low, high = _range(info)
    return theme.figure(
        traces,
        x=theme.plain(info.metric),
        y="share of ended trials",
        showlegend=True,
        xaxis={"range": [high, low] if info.more_is_better else [low, high]},
        yaxis={"tickformat": ".0%", "rangemode": "tozero"},
    )


def data(info: Info) -> Data:
    columns: Data = {
        "study": [name for name, values in zip(info.name, info.values, strict=True) for _ in values],
        "trial": [number for one in info.trial for number in one],
        "rank": [rank for one in info.values for rank in range(1, len(one) + 1)],
    }
    return joined(columns, "metric", [(info.metric, [value for one in info.values for value in one])])


def _range(info: Info) -> tuple[float, float]:
    """Return the ends of the axis: the best of all, and what most trials are better than."""
    together = np.array([value for one in info.values for value in one])
    ends = [0.0, _SHOWN] if not info.more_is_better else [1 - _SHOWN, 1.0]
    low, high = (float(one) for one in np.quantile(together, ends))
    margin = 0.04 * (high - low) or abs(low) * 0.05 or 1.0
    return low - margin, high + margin
