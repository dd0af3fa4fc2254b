"""Trials in a plane of two parameters: the `Points`, which of them are drawn, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from search.records.history import History, Ints
from search.records.parameters import Parameter
from search.report import theme
from search.report.figures import _panels
from search.report.figures._axis import Axis, axis_of, spread
from search.report.thinning import MOST

if TYPE_CHECKING:
    import plotly.graph_objects as go

_COLUMNS: Final = 3
"""Planes side by side, at most."""

RULE: Final = "of every small square of the plane the first one, and those that are ringed"

_SPREAD: Final = 0.4
"""Of the room of one choice, how much its points take."""

_SILVER: Final = 0.41421356237309515


class Points(NamedTuple):
    """Trials that have both parameters, in order of numbers.

    Attributes:
        x_axis: Of the first parameter.
        y_axis: Of the second one.
        number: Of each trial.
        x: Its first parameter; of a choice the index.
        y: Its second.
        value: Its first metric.
    """

    x_axis: Axis
    y_axis: Axis
    number: list[int]
    x: list[float]
    y: list[float]
    value: list[float]

    def drawn(self, front: Sequence[int], planes: int) -> Ints:
        """Return the places of those to draw, in order, where the figure has so many planes; the front's among them."""
        most = MOST // max(planes, 1)
        if len(self.number) <= most:
            return np.arange(len(self.number))
        if self.x_axis.choices and self.y_axis.choices:  # a few places only: all along the study
            chosen = np.linspace(0, len(self.number) - 1, most).astype(np.int64)
        else:
            across, up = _sides(self.x_axis, self.y_axis, most)
            column = np.minimum(self.x_axis.unit(np.array(self.x)) * across, across - 1).astype(np.int64)
            row = np.minimum(self.y_axis.unit(np.array(self.y)) * up, up - 1).astype(np.int64)
            chosen = np.unique(row * across + column, return_index=True)[1]
        return np.union1d(chosen, np.flatnonzero(np.isin(self.number, front))[:most])

    def scatter(self, rows: Ints, place: int, name: str, marker: dict[str, Any], *, legend: bool = True) -> go.Scatter:
        """Return some of them as a trace of a panel.

        Args:
            rows: Which.
            place: The panel's.
            name: Of the trace.
            marker: How they look.
            legend: Whether the legend names it; only that of the first panel is shown.
        """
        import plotly.graph_objects as go

        number, axes = np.array(self.number, np.int64)[rows], _panels.ids(place)
        x, y = np.array(self.x)[rows], np.array(self.y)[rows]
        told = [
            f"{theme.plain(self.x_axis.said(a))}, {theme.plain(self.y_axis.said(b))}: {theme.number(value)}"
            for a, b, value in zip(x.tolist(), y.tolist(), np.array(self.value)[rows].tolist(), strict=True)
        ]
        return go.Scatter(
            x=x + spread(number, _SPREAD) if self.x_axis.choices else x,
            y=y + spread(number, _SPREAD, step=_SILVER) if self.y_axis.choices else y,
            customdata=number,
            text=told,
            mode="markers",
            name=name,
            legendgroup=name,
            showlegend=legend and not place,
            xaxis=axes[0],
            yaxis=axes[1],
            marker=marker,
            hovertemplate=f"trial %{{customdata}}<br>%{{text}}<extra>{theme.plain(name)}</extra>",
        )


def points_of(history: History, first: Parameter, second: Parameter, numbers: Ints) -> Points:
    """Return those of some trials that have both parameters."""
    rows = numbers[first.active[numbers] & second.active[numbers]]
    return Points(
        x_axis=axis_of(first),
        y_axis=axis_of(second),
        number=rows.tolist(),
        x=first.values[rows].tolist(),
        y=second.values[rows].tolist(),
        value=history.values[rows, 0].tolist(),
    )


def planes(points: Sequence[Points], traces: Sequence[Any], **layout: Any) -> go.Figure:
    """Return a figure of planes side by side, in which any trial can be marked.

    Args:
        points: Of each plane.
        traces: Of all planes, on the axes that `_panels.ids` names.
        layout: More of plotly's layout.
    """
    titles = []
    for place, one in enumerate(points):
        x, y = one.x_axis.layout(), one.y_axis.layout(most_letters=10)
        titles.append(_panels.heading(place, f"↑ {y.pop('title')['text']}"))
        layout |= _panels.layout(place, len(points), _COLUMNS, x, y)
    legend = _panels.legend(len(points), _COLUMNS)
    height = _panels.height_px(len(points), _COLUMNS)
    found = theme.figure(traces, height=height, annotations=titles, legend=legend, **layout)
    for place, one in enumerate(points):
        theme.mark(found, f"param:{one.x_axis.name}", f"param:{one.y_axis.name}", axes=_panels.ids(place))
    return found


def said(drawn: int, of: int) -> str:
    """Return the sentence about what is left out; "" if nothing is."""
    return f"In each panel at most {drawn:,} of {of:,} trials are drawn: {RULE}." if drawn < of else ""


def _sides(x_axis: Axis, y_axis: Axis, most: int) -> tuple[int, int]:
    """Return how many squares lie side by side along two axes, so that there are at most `most`; choices are whole."""
    across = up = int(most**0.5)
    if x_axis.choices:
        across = min(len(x_axis.choices), across)
        up = most // across
    elif y_axis.choices:
        up = min(len(y_axis.choices), up)
        across = most // up
    return across, up
