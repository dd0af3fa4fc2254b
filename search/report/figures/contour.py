"""The contour: the value, smoothed over the planes of the most important pairs of parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from search.records.history import Floats, History, Ints
from search.records.parameters import Parameter
from search.report import theme
from search.report.figures import _marks, _panels
from search.report.figures._axis import Axis, at_of
from search.report.figures._chosen import LEAST, completed, have, missed, pairs, said_missed
from search.report.figures._plane import Points, planes, points_of, said
from search.report.figures._smooth import surface
from search.report.plot import Data, Plot, Words, joined

if TYPE_CHECKING:
    import plotly.graph_objects as go

_WORST: Final = 0.9
"""Quantile of the losses above which a trial may count as that quantile: a few huge ones would hide all else."""

_TOLD: Final = 0.1
"""Share of the variance that a plane has to explain before a place in it is called good."""

_SHUFFLES: Final = 19
"""Planes of shuffled values that it has to explain more than, so that chance does once in twenty times."""

_LINES: Final = 10
_SHARES: Final = 4
"""So much fewer points than a figure may have are drawn: they lie on what the figure shows."""

_CELLS: Final = ("first parameter", "at", "second parameter", "and at", "mean", "trials near", "trial", "state")


class Plane(NamedTuple):
    """A pair of parameters.

    Attributes:
        points: Completed trials that have both.
        pruned: Pruned ones that have both.
        x: Centres of the grid's cells; of a choice its index.
        y: The same.
        mean: By row, from the lowest y, and then by column: the smoothed value; None where no trial is near.
        weight: The same: trials near, each counted by its nearness.
        apart: Whether it explains more than chance would.
    """

    points: Points
    pruned: Points
    x: list[float]
    y: list[float]
    mean: list[list[float | None]]
    weight: list[list[float]]
    apart: bool


class Info(NamedTuple):
    """The planes of the most important pairs.

    Attributes:
        metric: The searched one, the first of several.
        sign: 1 where less is better, -1 where more is.
        planes: The most important pair first.
        completed: Trials with a finite value.
        missed: Completed trials that miss a constraint, and are left out.
        varied: Parameters of which trials had at least two values.
        worst: The value that all worse ones count as; None if there are none.
        front: Number of the best trial, of several metrics those of the Pareto front.
        metrics: How many metrics are searched.
    """

    metric: str
    sign: float
    planes: list[Plane]
    completed: int
    missed: int
    varied: int
    worst: float | None
    front: list[int]
    metrics: int


def info(history: History) -> Info:
    rows = completed(history)
    losses = history.losses[rows]
    sign, limit = float(history.signs[0]), _limit(losses)
    return Info(
        metric=history.metrics[0],
        sign=sign,
        planes=[_plane(history, x, y, rows, limit) for x, y in pairs(history)],
        completed=len(rows),
        missed=missed(history),
        varied=sum(one.varies for one in history.parameters),
        worst=sign * limit if len(losses) and limit < losses.max() else None,
        front=[*history.front],
        metrics=len(history.metrics),
    )


def words(info: Info) -> Words:
    if info.varied < 2:
        return Words("No pair of parameters varies", empty="a contour takes two parameters that vary")
    if not info.planes:
        need = f"a contour takes {LEAST} completed trials that have both parameters"
        return Words("Too few trials for a contour", empty=f"{need}; {have(info.completed, info.missed)}")
    most = max(len(one.points.number) for one in info.planes)
    drawn = max(len(one.points.drawn(info.front, _SHARES * len(info.planes))) for one in info.planes)
    notes = (
        f"Means of {most:,} completed trials: at each place of those near it, whatever their other parameters.",
        "Blank where none is near.",
        said_missed(info.missed),
        f"Values worse than {theme.number(info.worst, 3)} count as that." if info.worst is not None else "",
        said(drawn, most),
        "The table has the smoothed means, and after them the trials.",
    )
    return Words(_finding(info, info.planes[0]), " ".join(note for note in notes if note))


def figure(info: Info) -> go.Figure:
    means = [mean for plane in info.planes for row in plane.mean for mean in row if mean is not None]
    levels = _levels(min(means), max(means))
    traces: list[Any] = []
    for place, plane in enumerate(info.planes):
        traces += [_surface(info, plane, place, levels), *_points(info, plane, place)]
    return planes([plane.points for plane in info.planes], traces)


def data(info: Info) -> Data:
    """Return the cells of the grids that have trials near, and then the trials that are drawn."""
    cells: list[tuple[Any, ...]] = [
        (*_at(plane.points.x_axis, x), *_at(plane.points.y_axis, y), float(f"{mean:.5g}"), round(weight, 1), None, None)
        for plane in info.planes
        for y, means, weights in zip(plane.y, plane.mean, plane.weight, strict=True)
        for x, mean, weight in zip(plane.x, means, weights, strict=True)
        if mean is not None
    ]
    trials = [row for plane in info.planes for row in _trials(info, plane)]
    values = [None] * len(cells) + [value for *_, value in trials]
    cells += [tuple(cell) for *cell, _ in trials]
    columns = {name: [cell[place] for cell in cells] for place, name in enumerate(_CELLS)}
    return joined(columns, "metric", [(info.metric, values)])


def _trials(info: Info, plane: Plane) -> Iterator[tuple[Any, ...]]:
    """Return the trials that are drawn in a plane, as rows of the table, with their values."""
    parts = _SHARES * len(info.planes)
    both = (("complete", plane.points, info.front), ("pruned", plane.pruned, ()))
    for state, points, front in both:
        x_axis, y_axis = points.x_axis, points.y_axis
        for row in points.drawn(front, parts).tolist():
            place = (x_axis.name, x_axis.cell(points.x[row]), y_axis.name, y_axis.cell(points.y[row]))
            yield (*place, None, None, points.number[row], state, points.value[row])


def _limit(losses: Floats) -> float:
    """Return the loss that all higher ones count as: the highest, where it is not far out."""
    if not len(losses):
        return 0.0
    quarters = losses / 4  # so that no difference of huge values overflows
    best, limit, worst = quarters.min(), np.quantile(quarters, _WORST, method="nearest"), quarters.max()
    return float(4 * (limit if worst - limit > limit - best else worst))


def _plane(history: History, first: Parameter, second: Parameter, rows: Ints, limit: float) -> Plane:
    points = points_of(history, first, second, rows)
    x_axis, y_axis = points.x_axis, points.y_axis
    losses = np.minimum(history.losses[points.number], limit) / 4
    least, span = losses.min(), losses.max() - losses.min()
    x, y, values = np.array(points.x), np.array(points.y), (losses - least) / (span or 1.0)
    found, dice = surface(x_axis, y_axis, x, y, values), np.random.default_rng(0)
    by_chance = (surface(x_axis, y_axis, x, y, dice.permutation(values)).explained for _ in range(_SHUFFLES))
    return Plane(
        points=points,
        pruned=points_of(history, first, second, np.flatnonzero(history.are("pruned"))),
        x=(found.x if x_axis.choices else x_axis.natural(found.x)).tolist(),
        y=(found.y if y_axis.choices else y_axis.natural(found.y)).tolist(),
        mean=[at_of(row) for row in history.signs[0] * 4 * (found.mean * span + least)],
        weight=found.weight.tolist(),
        apart=found.explained >= _TOLD and all(found.explained > one for one in by_chance),
    )


def _finding(info: Info, plane: Plane) -> str:
    x_axis, y_axis = plane.points.x_axis, plane.points.y_axis
    if not plane.apart:
        return f"No part of the plane of {x_axis.name} and {y_axis.name} is told apart from chance"
    mean, weight = np.array(plane.mean, float), np.array(plane.weight)
    middle = float(np.median(plane.points.value))
    careful = (weight * mean + middle) / (weight + 1)  # where few trials are near, a place is no better than the middle
    row, column = np.unravel_index(int(np.nanargmin(info.sign * careful)), mean.shape)
    x, y = _place(x_axis, plane.x[int(column)]), _place(y_axis, plane.y[int(row)])
    near = (
        f"the mean of about {weight[row, column]:.0f} trials" if weight[row, column] >= 1.5 else "with one trial near"
    )
    what = "It" if info.metrics == 1 else info.metric
    return f"{what} is best at {x} and {y}: {theme.number(float(mean[row, column]), 3)}, {near}"


def _place(axis: Axis, value: float) -> str:
    """Return a place on an axis, in words."""
    return f"{axis.name}={axis.said(value)}" if axis.choices else f"{axis.name} near {theme.number(value, 2)}"


def _at(axis: Axis, value: float) -> tuple[str, str | float]:
    """Return a place on an axis, as two cells of a table."""
    return axis.name, axis.choices[int(value)] if axis.choices else float(f"{value:.5g}")


def _colors(info: Info, levels: tuple[float, float, float]) -> dict[str, Any]:
    """Return the scale of colours that all planes have; contours and heat maps cannot share a colour axis."""
    title = {"text": f"{theme.short(info.metric, 20)}<br>brighter: better", "font": {"size": 11}}
    return {
        "colorscale": theme.RAMP,
        "reversescale": info.sign > 0,
        "zmin": levels[0],
        "zmax": levels[1],
        "colorbar": {"title": title, "thickness": 12, "outlinewidth": 0},
    }


def _levels(low: float, high: float) -> tuple[float, float, float]:
    """Return round numbers at which lines are drawn: from, to and their distance."""
    rough = (high / 4 - low / 4) / _LINES * 4 or abs(low) or 1.0
    power = 10.0 ** np.floor(np.log10(rough))
    step = float(power * next(times for times in (1, 2, 5, 10) if power * times >= rough * (1 - 1e-9)))
    return float(np.floor(low / step) * step), float(np.ceil(high / step) * step), step


def _surface(info: Info, plane: Plane, place: int, levels: tuple[float, float, float]) -> Any:
    import plotly.graph_objects as go

    axes, points = _panels.ids(place), plane.points
    x, y, metric = map(theme.plain, (points.x_axis.name, points.y_axis.name, info.metric))
    given = {
        "x": plane.x,
        "y": plane.y,
        "z": [[None if mean is None else float(f"{mean:.4g}") for mean in row] for row in plane.mean],
        **_colors(info, levels),
        "showscale": not place,
        "xaxis": axes[0],
        "yaxis": axes[1],
        "hovertemplate": f"{x} %{{x}}<br>{y} %{{y}}<br>mean {metric} %{{z:.4g}}<extra></extra>",
    }
    if points.x_axis.choices or points.y_axis.choices:
        return go.Heatmap(**given, xgap=2 if points.x_axis.choices else 0, ygap=2 if points.y_axis.choices else 0)
    lines = dict(zip(("start", "end", "size"), levels, strict=True))
    return go.Contour(**given, contours=lines, line={"width": 0.5, "color": "rgba(255,255,255,0.4)"})


def _points(info: Info, plane: Plane, place: int) -> list[go.Scatter]:
    """Return where trials were pruned, where they completed, and which is best."""
    parts = _SHARES * len(info.planes)
    dash = {"symbol": theme.SYMBOLS["pruned"], "color": theme.COLORS["pruned"], "size": 5}
    dot = {"symbol": "circle", "color": theme.COLORS["complete"], "size": 5, "line": {"color": "#ffffff", "width": 0.8}}
    ring = {"symbol": "circle-open", "color": theme.COLORS["best"], "size": 13, "line": {"width": 3}}
    drawn = plane.points.drawn(info.front, parts)
    ringed = drawn[np.isin(np.array(plane.points.number)[drawn], info.front)]
    found = [
        plane.pruned.scatter(plane.pruned.drawn((), parts), place, "pruned", dash),
        plane.points.scatter(drawn, place, "complete", dot),
        plane.points.scatter(ringed, place, _marks.ringed(info.metrics), ring),
    ]
    return [trace for trace in found if len(trace.x)]


PLOT = Plot("contour", "good", "Contour", info, words, figure, data, wide=True)
