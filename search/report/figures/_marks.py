"""How trials stand in the optimisation history: a marker for each state, a line for the best, rings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from search.records.history import Floats, Ints
from search.report import theme

if TYPE_CHECKING:
    import plotly.graph_objects as go

MISSED: Final = "misses a constraint"
"""What is said of a completed trial that does, in place of its state."""

SYMBOLS: Final = {**theme.SYMBOLS, MISSED: "circle-x-open"}
COLORS: Final = {**theme.COLORS, MISSED: theme.COLORS["complete"]}


def ringed(metrics: int) -> str:
    """Return what the trials are that a figure rings: of several metrics no trial is the best."""
    return "best" if metrics == 1 else "Pareto front"


def by(metric: str, metrics: int) -> str:
    """Return which metric it is that `the best trials` are the best by, where it is one of several."""
    return "" if metrics == 1 else f" by {metric}"


def points(name: str, number: Ints, value: Floats, metric: str, axis: str, *, legend: bool) -> go.Scatter:
    """Return the trials of a state, or `MISSED`, at their numbers and values."""
    import plotly.graph_objects as go

    return go.Scatter(
        x=number,
        y=value,
        customdata=number,
        yaxis=axis,
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=legend,
        marker={"color": COLORS[name], "symbol": SYMBOLS[name], "size": 6},
        hovertemplate=f"trial %{{x}}<br>{theme.short(metric)} %{{y:.5g}}<extra>{name}</extra>",
    )


def best_so_far(numbers: list[int], values: list[float], last: int, axis: str, *, legend: bool) -> go.Scatter:
    """Return the line of the trials that were best, as far as the last trial."""
    import plotly.graph_objects as go

    return go.Scatter(
        x=[*numbers, last],
        y=[*values, values[-1]],
        yaxis=axis,
        mode="lines",
        line={"shape": "hv", "color": theme.COLORS["best"], "width": 2},
        name="best so far",
        legendgroup="best",
        showlegend=legend,
        hoverinfo="skip",
    )


def ring(name: str, number: Ints, value: Floats, axis: str, *, legend: bool) -> go.Scatter:
    """Return a ring around each of these trials."""
    import plotly.graph_objects as go

    return go.Scatter(
        x=number,
        y=value,
        yaxis=axis,
        mode="markers",
        name=name,
        legendgroup="ring",
        showlegend=legend,
        marker={"color": theme.COLORS["best"], "symbol": theme.SYMBOLS["best"], "size": 11, "line": {"width": 2}},
        hoverinfo="skip",
    )
