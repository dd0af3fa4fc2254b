"""The learning curves: the searched metric step by step, pruned trials cut where they were pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.records import rungs
from search.records.history import History, Ints
from search.report import theme
from search.report.curves import unit
from search.report.figures._marks import ringed
from search.report.plot import Data, Plot, Words, joined
from search.report.scale import Scale, scale_of
from search.report.sofar import reported_losses
from search.report.thinning import thinned
from search.status import STATES

if TYPE_CHECKING:
    import plotly.graph_objects as go

CURVES: Final = 150
"""Curves that are drawn, at most."""

BEST: Final = 20
WORST: Final = 10
GOING: Final = 30

RULE: Final = (
    f"those of the {BEST} best completed trials, of the {WORST} that ended worst, of up to {GOING} that are not done, "
    "and of the others every n-th by its last value"
)
"""Which curves are drawn of more, for people."""

_POINTS: Final = 6_000
"""Points of all curves together, about."""

_LEAST: Final = 8
"""Points of a curve, at least."""

_LINES: Final = ("pruned", "fail", "paused", "running", "complete")
_MOST_RUNGS: Final = 12
_FEW: Final = 12
"""Steps below which each has a tick."""


class Curve(NamedTuple):
    """One trial that is drawn.

    Attributes:
        number: Of the trial.
        state: Its state.
        step: Of its reports; of a long curve not all.
        value: The metric there.
    """

    number: int
    state: str
    step: list[int]
    value: list[float]


class Info(NamedTuple):
    """Curves of the first searched metric.

    Attributes:
        metric: Its name.
        metrics: How many metrics are searched.
        unit: What a step is: `epoch` or `step`.
        curves: Those that are drawn, in order of numbers.
        of: Trials that have reported.
        points: Reports of all trials that have reported, as a table: trial, step, value.
        state: Of the trial of each of them.
        rungs: Steps at which the pruner judges, at most a dozen.
        front: The best trial, of several metrics the Pareto front: those that have a curve.
        scale: What is shown at first.
        best_step: Of each completed trial with two or more reports, the step of its best one.
        at_end: How many of those were best at their last one.
        means: What a report is, where it is no epoch's own: a sentence.
        thinned: Whether long curves are drawn with less than all of their reports.
        states: Trials by state.
    """

    metric: str
    metrics: int
    unit: str
    curves: list[Curve]
    of: int
    points: tuple[list[int], list[int], list[float]]
    state: list[str]
    rungs: list[int]
    front: list[int]
    scale: Scale
    best_step: list[int]
    at_end: int
    means: str
    thinned: bool
    states: dict[str, int]


def info(history: History) -> Info:
    reports, losses = history.reports, reported_losses(history)
    own = np.isfinite(losses) & (history.same_as[reports.trial] < 0)
    trial, step, loss = reports.trial[own], reports.step[own], losses[own]
    numbers, firsts, counts = np.unique(trial, return_index=True, return_counts=True)
    lasts = firsts + counts - 1
    drawn = _chosen(history, numbers, loss[lasts])
    sign, most = history.signs[0], max(_POINTS // max(int(np.count_nonzero(drawn)), 1), _LEAST)
    curves = []
    for place in np.flatnonzero(drawn):
        where = slice(firsts[place], lasts[place] + 1)
        x, y = step[where], sign * loss[where]
        kept = thinned(x.astype(float), y, most=most)
        number = int(numbers[place])
        curves.append(Curve(number, STATES[history.state[number]], x[kept].tolist(), y[kept].tolist()))
    complete = numbers[history.are("complete")[numbers] & (counts > 1)]
    shown = np.array([value for curve in curves for value in curve.value])
    return Info(
        metric=history.metrics[0],
        metrics=len(history.metrics),
        unit=unit(history.plan),
        curves=curves,
        of=len(numbers),
        points=(trial.tolist(), step.tolist(), (sign * loss).tolist()),
        state=[STATES[code] for code in history.state[trial]],
        rungs=_rungs(history, int(step.max(initial=0))),
        front=[one for one in history.front if one in numbers],
        scale=scale_of(shown, sign=sign),
        best_step=history.best_step[complete].tolist(),
        at_end=int(np.count_nonzero(history.best_step[complete] >= history.epochs[complete])),
        means=_means(history),
        thinned=len(shown) < int(counts[drawn].sum()),
        states={state: count for state, count in history.status.trials.items() if count},
    )


def words(info: Info) -> Words:
    if not any(len(curve.step) > 1 for curve in info.curves):
        once = f": {info.of:,} reported once" if info.of else ""
        return Words("There are no learning curves", empty=f"no trial has reported more than once yet{once}")
    notes = [f"{len(info.curves):,} of {info.of:,} curves are drawn: {RULE}." if len(info.curves) < info.of else ""]
    notes.append(f"Of {info.metrics} metrics it is the first." if info.metrics > 1 else "")
    notes.append("Of long curves the lowest and the highest report of every slice are drawn." if info.thinned else "")
    notes.append(info.means)
    if info.rungs:
        notes.append(f"Thin lines: the pruner's rungs, {info.unit} {', '.join(map(str, info.rungs))}.")
    notes.append(info.scale.said("report"))
    return Words(_finding(info), " ".join(note for note in notes if note))


def figure(info: Info) -> go.Figure:
    traces: list[Any] = []
    for state in _LINES:
        chosen = [one for one in info.curves if one.state == state and one.number not in info.front]
        if chosen:
            traces.append(_lines(chosen, state, info))
            if state != "complete":
                traces.append(_ends(chosen, state, info))
    best = [one for one in info.curves if one.number in info.front]
    if best:
        traces.append(_lines(best, "best", info))
    found = theme.figure(traces, x=info.unit, y=theme.short(info.metric), log_y=info.scale.log)
    found.update_yaxes(info.scale.axis())
    last = max(step for one in info.curves for step in one.step)
    found.update_xaxes(tickformat="d", **({"dtick": 1} if last < _FEW else {}))
    for step in info.rungs:
        found.add_shape(
            type="line",
            x0=step,
            x1=step,
            yref="paper",
            y0=0,
            y1=1,
            layer="below",
            line={"width": 1, "dash": "dot", "color": theme.COLORS["pruned"]},
        )
    theme.mark(found, f"curve:{info.metric}", "")
    return found


def data(info: Info) -> Data:
    trial, step, value = info.points
    rungs = [at in info.rungs for at in step]
    columns: Data = {"trial": trial, "state": info.state, info.unit: step, "at a rung": rungs}
    return joined(columns, "metric", [(info.metric, value)])


def _chosen(history: History, numbers: Ints, last: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of the trials that reported are drawn.

    Args:
        history: The study.
        numbers: Of those trials, rising.
        last: Their last loss.
    """
    if len(numbers) <= CURVES:
        return np.ones(len(numbers), bool)
    drawn = np.zeros(len(numbers), bool)
    complete = np.flatnonzero(history.are("complete")[numbers])
    drawn[complete[np.argsort(history.losses[numbers[complete]], kind="stable")[:BEST]]] = True
    drawn |= np.isin(numbers, history.front[: CURVES // 3])
    going = np.flatnonzero(history.are("running", "paused")[numbers])
    drawn[going[:: -(-len(going) // GOING) or 1]] = True
    order = np.argsort(last, kind="stable")
    drawn[order[-WORST:]] = True
    rest = order[~drawn[order]]
    left = CURVES - int(np.count_nonzero(drawn))
    drawn[rest[np.arange(left) * len(rest) // left]] = True
    return drawn


def _means(history: History) -> str:
    """Say what a report is, where it is no epoch's own."""
    plan, trained = history.plan, []
    if plan.replicates > 1:
        trained.append(f"{plan.replicates} replicates")
    if plan.folds:
        trained.append(f"{plan.folds} folds")
    if not trained:
        return ""
    what = "of a fold by itself" if plan.pruner.startswith("wilcoxon") else "the mean of those trained so far"
    return f"A trial trains {' of '.join(trained)}, spread over the scale of epochs; a report is {what}."


def _rungs(history: History, last: int) -> list[int]:
    steps = [int(step) for step in rungs.ladder(history.plan).steps if step <= last]
    return steps[:_MOST_RUNGS]


def _finding(info: Info) -> str:
    count = len(info.best_step)
    if info.means or not count:
        pruned = info.states.get("pruned", 0)
        reported = f"{info.of:,} trial{'s' * (info.of != 1)} reported {info.metric}"
        return reported + (f", {pruned:,} {'was' if pruned == 1 else 'were'} pruned" if pruned else "")
    if info.at_end > count / 2:
        return (
            f"{info.at_end:,} of {count:,} completed trials were best at their last {info.unit}: longer may be better"
        )
    middle = int(np.median(info.best_step))
    return f"Half of the {count:,} completed trials were best by {info.unit} {middle}"


def _lines(curves: list[Curve], name: str, info: Info) -> go.Scatter:
    import plotly.graph_objects as go

    # A gap, which is no number, ends each curve, so that all are one line of the figure.
    x = np.concatenate([[*one.step, np.nan] for one in curves])
    y = np.concatenate([[*one.value, np.nan] for one in curves])
    numbers = np.repeat([one.number for one in curves], [len(one.step) + 1 for one in curves])
    best, told = name == "best", ringed(info.metrics) if name == "best" else name
    alone = all(len(one.step) == 1 for one in curves)
    return go.Scatter(
        x=x,
        y=y,
        customdata=numbers,
        mode="markers" if alone else "lines",
        name=told,
        legendgroup=name,
        opacity=1 if best else 0.75,
        line={"color": theme.COLORS[name], "width": 2.5 if best else 1},
        marker={"color": theme.COLORS[name], "symbol": theme.SYMBOLS[name], "size": 6},
        hovertemplate=f"trial %{{customdata}}<br>{info.unit} %{{x}}<br>{theme.short(info.metric)} %{{y:.5g}}"
        f"<extra>{name}</extra>",
    )


def _ends(curves: list[Curve], name: str, info: Info) -> go.Scatter:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[one.step[-1] for one in curves],
        y=[one.value[-1] for one in curves],
        customdata=[one.number for one in curves],
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=False,
        marker={"color": theme.COLORS[name], "symbol": theme.SYMBOLS[name], "size": 6},
        hovertemplate=f"trial %{{customdata}}<br>{info.unit} %{{x}}<br>{theme.short(info.metric)} %{{y:.5g}}"
        f"<extra>{name}</extra>",
    )


PLOT = Plot("curves", "progress", "Learning curves", info, words, figure, data)
