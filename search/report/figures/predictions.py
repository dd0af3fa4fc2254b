"""What the search expected of trials against what was seen of them, and how much better that was than a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from search.records.history import History, Ints
from search.records.predictions import predictions
from search.report import theme
from search.report.curves import unit
from search.report.foretold import LEVEL, Foretold, foretold
from search.report.plot import Data, Plot, Words, joined
from search.report.scale import Scale, scale_of
from search.report.thinning import EVENLY, said, thinned

if TYPE_CHECKING:
    import plotly.graph_objects as go

LEAST: Final = 10
"""Predictions that have to be seen before anything is said about how good they are."""


_BAR: Final = "rgba(140,140,140,0.45)"
"""So that many intervals do not hide the points."""


class Info(NamedTuple):
    """Every prediction of a study, in order of trials, then as they were made.

    Attributes:
        metric: The first searched one, which they are of.
        unit: Of a step: `epoch` or `step`.
        sampler: Of the study.
        trial: Of each prediction.
        start: The step at which the trial rested when it was taken on; 0 where it was suggested.
        step: For which it was predicted.
        value: The median.
        low: Of its 95% interval.
        high: The same.
        seen: NaN of a trial that was not trained so far.
        held: Whether that lies within the interval, which may be open at its worse end.
        guess: The median of what earlier trials had there; NaN where that is not known, or nothing was seen.
        good: How good they were, all together.
        scale: Of both axes.
    """

    metric: str
    unit: str
    sampler: str
    trial: list[int]
    start: list[int]
    step: list[int]
    value: list[float]
    low: list[float]
    high: list[float]
    seen: list[float]
    held: list[bool]
    guess: list[float]
    good: Foretold
    scale: Scale


def info(history: History) -> Info:
    made = predictions(history)
    there = made.was_seen
    return Info(
        metric=history.metrics[0],
        unit=unit(history.plan),
        sampler=history.plan.sampler.partition(":")[0],
        trial=made.trial.tolist(),
        start=made.start.tolist(),
        step=made.step.tolist(),
        value=made.value.tolist(),
        low=made.low.tolist(),
        high=made.high.tolist(),
        seen=made.seen.tolist(),
        held=made.held.tolist(),
        guess=made.guess.tolist(),
        good=foretold(made),
        scale=scale_of(np.concatenate([made.value[there], made.seen[there]]), sign=float(history.signs[0])),
    )


def words(info: Info) -> Words:
    made, good = len(info.trial), info.good
    if not made:
        nobody = f"no trial was suggested or taken on with a prediction: the sampler is {info.sampler}"
        return Words("Nothing was predicted", empty=nobody)
    if not good.seen:
        which = "the one prediction cannot" if made == 1 else f"none of {made:,} predictions can"
        empty = f"{which} be judged yet: no trial was trained as far as was predicted of it"
        return Words("No prediction was seen", empty=empty)
    notes = [f"{good.seen:,} of {made:,} predictions were seen."]
    if good.seen < made:
        notes.append(
            "Of the others, the trial was not trained so far; those that were are those that did well, so that what "
            "was seen errs towards the better side."
        )
    notes += [
        *(_figures(good) if good.seen >= LEAST else ()),
        said(len(_drawn(info)), good.seen, "predictions", EVENLY),
        info.scale.said("prediction"),
    ]
    return Words(_finding(good), " ".join(one for one in notes if one))


def figure(info: Info) -> go.Figure:
    drawn = _drawn(info)
    value, seen = np.array(info.value)[drawn], np.array(info.seen)[drawn]
    inside = np.array(info.held)[drawn]
    ends = [min(value.min(), seen.min()), max(value.max(), seen.max())]
    look: dict[str, Any] = {"mode": "lines", "line": {"dash": "dot", "width": 1}, "hoverinfo": "skip"}
    traces = [{"type": "scatter", "x": ends, "y": ends, "name": "as predicted", **look}]
    if inside.any():
        marker = {"color": theme.COLORS["complete"], "symbol": "circle", "size": 6}
        traces.append(_points(info, drawn[inside], name="inside its interval", marker=marker))
    if not inside.all():
        marker = {"color": theme.COLORS["fail"], "symbol": "diamond-open", "size": 7}
        traces.append(_points(info, drawn[~inside], name="outside", marker=marker))
    metric = theme.short(info.metric)
    x, y, log = f"{metric}, predicted, with its 95% interval", f"{metric}, seen", info.scale.log
    found = theme.figure(traces, x=x, y=y, log_x=log, log_y=log)
    found.update_xaxes(**info.scale.axis())
    found.update_yaxes(**info.scale.axis())
    trial = np.array(info.trial)[drawn].tolist()
    places = {"trial": trial, "x": value.tolist(), "y": seen.tolist(), "xaxis": "x", "yaxis": "y"}
    found.update_layout(meta={"places": places})
    return found


def data(info: Info) -> Data:
    columns: Data = {
        "trial": info.trial,
        f"taken on at {info.unit}": [start or None for start in info.start],
        f"for {info.unit}": info.step,
        "predicted": info.value,
        "low": info.low,
        "high": info.high,
        "median of earlier trials": _none_at_nan(info.guess),
    }
    return joined(columns, "metric", [(info.metric, _none_at_nan(info.seen))])


def _finding(good: Foretold) -> str:
    within = f"{good.inside:.0%} of {good.seen:,} lie in their 95% intervals"
    if good.seen < LEAST:
        were = "one was" if good.seen == 1 else f"{good.seen} were"
        return f"Too few predictions to say how good they are: {were} seen"
    if good.ratio_high != good.ratio_high:
        return f"Of the predictions, {within}"
    off, guess = theme.apart(good.error, good.guess_error)
    off = f"off by {off} on average, the median of earlier trials by {guess}"
    if good.ratio_high < 1:
        return f"Predictions beat a guess: {off}; {within}"
    if good.ratio_low > 1:
        return f"Predictions are worse than a guess: {off}; {within}"
    return f"Predictions are not told apart from a guess: {off}; {within}"


def _figures(good: Foretold) -> list[str]:
    """Say how good they are in figures."""
    judged = "as it should be, as far as so many can tell"
    if good.inside_high < LEVEL:
        judged = "they are too sure"
    elif good.inside_low > LEVEL:
        judged = "they are less sure than they could be"
    interval = f"[{good.inside_low:.0%}, {good.inside_high:.0%}]"
    told = [f"Within their 95% intervals: {good.inside:.1%} {interval}, {judged}."]
    if good.rank == good.rank:
        told.append(f"Rank correlation {good.rank:.2f}.")
    if good.compared:
        off, guess = theme.number(good.error), theme.number(good.guess_error)
        said = f"Mean absolute error {off}, of guessing the median of what earlier trials had there {guess}"
        if good.ratio_high == good.ratio_high:
            said += f" ({good.error / good.guess_error:.2f} of it [{good.ratio_low:.2f}, {good.ratio_high:.2f}])"
        told.append(f"{said}, over {good.compared:,}.")
    return told


def _points(info: Info, places: Ints, *, name: str, marker: dict[str, Any]) -> dict[str, Any]:
    value = np.array(info.value)[places]
    spans = {
        "array": np.array(info.high)[places] - value,
        "arrayminus": value - np.array(info.low)[places],
        "color": _BAR,
    }
    made = [f"taken on at {info.unit} {info.start[one]}" if info.start[one] else "suggested" for one in places]
    return {
        "type": "scatter",
        "x": value,
        "y": np.array(info.seen)[places],
        "customdata": np.array(info.trial)[places],
        "text": [f"{how}, for {info.unit} {info.step[one]}" for how, one in zip(made, places, strict=True)],
        "mode": "markers",
        "name": name,
        "marker": marker,
        "error_x": {"type": "data", "symmetric": False, "thickness": 1, "width": 0, **spans},
        "hovertemplate": "trial %{customdata}<br>%{text}<br>predicted %{x:.4g}, seen %{y:.4g}<extra></extra>",
    }


def _drawn(info: Info) -> Ints:
    """Return which predictions are drawn: those that were seen, and of many few."""
    there = np.flatnonzero(np.isfinite(np.array(info.seen, float)))
    value, seen = np.array(info.value)[there], np.array(info.seen)[there]
    if info.scale.log:
        value, seen = np.log10(value), np.log10(seen)
    return there[thinned(value, seen)]


def _none_at_nan(values: list[float]) -> list[float | None]:
    return [None if value != value else value for value in values]


PLOT = Plot("predictions", "progress", "Predicted and seen", info, words, figure, data)
