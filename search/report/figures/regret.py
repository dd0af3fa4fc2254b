"""The pruner's regret: which pruned trials might have won, had they gone on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from search.records.history import Floats, History, Ints
from search.report import theme
from search.report.curves import unit
from search.report.figures._axis import spread
from search.report.missed import LEVEL, SURVIVORS, missed
from search.report.plot import Data, Plot, Words, joined
from search.report.sofar import at_steps, best_so_far, first_from, reported_losses
from search.report.thinning import MOST

if TYPE_CHECKING:
    import plotly.graph_objects as go

LEAST: Final = 5
"""Completed trials below which nothing can be said about those that were pruned."""

STEPS: Final = 12
"""Steps that are told apart, at most; of more, a trial counts for the one before it."""

SUSPECTS: Final = 5
"""Pruned trials that are named, at most."""

_LIKELY: Final = 0.05
"""Chance from which on a pruned trial is named."""


_FEWEST: Final = 0.05


class Info(NamedTuple):
    """Pruned trials, in order of their numbers.

    Attributes:
        metric: The searched one.
        unit: What a step is: `rung`, `epoch` or `step`.
        number: Of each trial.
        step: At which each was pruned; of a pruner with rungs the step of the rung, which its report may be behind.
        value: Where each stood then: its best report; where reports are means, its last.
        chance: Of each, of beating the best; NaN where too few others went on from there, [] if that holds for all.
        left_out: How many chances are NaN.
        expected: How many would have beaten it, on average.
        low: Lower end of the interval of their number.
        high: Its upper end.
        survivors: Completed trials that this is reckoned from, at the step that fewest went on from.
        best: Number of the best trial; None if there is none.
        rule: The pruner, as in the plan.
        metrics: How many metrics are searched.
    """

    metric: str
    unit: str
    number: list[int]
    step: list[int]
    value: list[float]
    chance: list[float]
    left_out: int
    expected: float
    low: int
    high: int
    survivors: int
    best: int | None
    rule: str
    metrics: int


def info(history: History) -> Info:
    plan, losses = history.plan, reported_losses(history)
    if not (plan.by_hand or plan.folds or plan.replicates > 1):
        losses = best_so_far(losses, history.reports.trial)
    ran = (np.diff(history.reports.starts) > 0) & (history.same_as < 0)
    pruned = np.flatnonzero(history.are("pruned") & ran)
    rungs = np.array([history.pruning.get(int(number), {}).get("rung") or 0 for number in pruned], np.int64)
    step = np.where(rungs > 0, rungs, history.epochs[pruned])
    stood = at_steps(history.reports, losses, pruned, history.epochs[pruned])
    known = np.isfinite(stood)
    pruned, step, stood = pruned[known], step[known], stood[known]
    complete = np.flatnonzero(history.candidates & ran)
    found = Info(
        metric=history.metrics[0],
        unit="rung" if rungs.any() else unit(plan),
        number=pruned.tolist(),
        step=step.tolist(),
        value=(history.signs[0] * stood).tolist(),
        chance=[],
        left_out=0,
        expected=0.0,
        low=0,
        high=0,
        survivors=0,
        best=history.best,
        rule=plan.pruner,
        metrics=len(history.metrics),
    )
    if len(history.metrics) > 1 or not len(complete) or not len(pruned) or plan.pruner.startswith("wilcoxon"):
        return found
    return _estimated(found, history, losses, complete)


def words(info: Info) -> Words:
    if not info.number:
        return Words("Nothing was pruned", empty="no trial that has reported was pruned, so nothing can be regretted")
    if not info.chance:
        return Words("It is not known whether a pruned trial might have won", empty=_missing(info))
    suspects = _suspects(info)
    trust = (
        f"Reckoned from at least {info.survivors:,} completed trials: a pruned one is taken to go on as those did that "
        "stood where it stood. They are a selection, so the number is rather too high than too low."
    )
    notes = [trust]
    if info.left_out:
        are = "is" if info.left_out == 1 else "are"
        notes.append(f"{info.left_out:,} {are} left out: fewer than {LEAST} others went on from there.")
    if suspects:
        named = ", ".join(f"{info.number[place]} ({info.chance[place]:.0%})" for place in suspects)
        notes.append(f"Most likely: {named}. To see, run their parameters with --pruner none.")
    if len(info.number) - info.left_out > MOST:
        notes.append(f"{MOST:,} of {len(info.number):,} are drawn: the likeliest.")
    return Words(_finding(info), " ".join(notes))


def figure(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    chance = np.array(info.chance)
    drawn = np.sort(np.argsort(-chance, kind="stable")[: min(MOST, len(chance) - info.left_out)])  # NaN comes last
    number, step, percent = np.array(info.number)[drawn], np.array(info.step)[drawn], 100 * chance[drawn]
    levels, place = np.unique(step, return_inverse=True)
    x = place + spread(number, _SPREAD)
    suspects = np.sort([int(np.searchsorted(number, info.number[one])) for one in _suspects(info)]).astype(np.int64)
    x[suspects] = _side_by_side(place[suspects])
    traces: list[Any] = [
        go.Scatter(
            x=x,
            y=percent,
            customdata=number,
            text=[f"{info.unit} {one}" for one in step],
            mode="markers",
            name="pruned",
            showlegend=False,
            marker={"color": theme.COLORS["pruned"], "symbol": "circle-open", "size": 6},
            hovertemplate="trial %{customdata}<br>pruned at %{text}<br>%{y:.2g}% chance<extra></extra>",
        )
    ]
    if len(suspects):
        traces.append(
            go.Scatter(
                x=x[suspects],
                y=percent[suspects],
                customdata=number[suspects],
                text=[f"{one}" for one in number[suspects]],
                mode="markers+text",
                textposition="middle right",
                showlegend=False,
                marker={"color": theme.COLORS["fail"], "symbol": "diamond", "size": 8},
                hoverinfo="skip",
            )
        )
    found = theme.figure(traces, x=f"pruned at {info.unit}", y="chance of beating the best, %")
    ticks = levels[:: -(-len(levels) // _MOST_TICKS)]
    found.update_xaxes(
        tickvals=np.searchsorted(levels, ticks).tolist(), ticktext=[str(one) for one in ticks],
        range=[-0.6, len(levels) - 0.4], zeroline=False, showgrid=False,
    )  # fmt: skip
    found.update_yaxes(range=[-0.04 * max(float(percent.max()), 1.0), 1.12 * max(float(percent.max()), 1.0)])
    places = {"trial": number.tolist(), "x": x.tolist(), "y": percent.tolist(), "xaxis": "x", "yaxis": "y"}
    found.update_layout(meta={"places": places})
    return found


def data(info: Info) -> Data:
    chance = info.chance or [math.nan] * len(info.number)
    columns: Data = {"trial": info.number, f"pruned at {info.unit}": info.step, "chance of beating the best": chance}
    return joined(columns, "metric", [(info.metric, info.value)])


_SPREAD: Final = 0.7
_MOST_TICKS: Final = 20


def _estimated(found: Info, history: History, losses: Floats, complete: Ints) -> Info:
    """Return what is known of the pruned trials with their chances.

    Where several families are searched, they report at different steps of the scale. So trials are compared as
    pruners with rungs do: by their first report at or after a step.
    """
    reports, number, step = history.reports, np.array(found.number), np.array(found.step)
    levels = np.unique(step)
    if len(levels) > STEPS:
        levels = np.unique(np.quantile(step, np.arange(STEPS) / STEPS, method="lower"))
    column = np.searchsorted(levels, step, side="right") - 1
    best = int(np.argmin(history.losses[complete]))
    some = np.unique(np.linspace(0, len(complete) - 1, min(len(complete), SURVIVORS)).round().astype(np.int64))
    chosen = complete[np.union1d(some, [best])]
    standing = np.full((len(chosen), len(levels)), np.nan)
    for place, level in enumerate(levels):
        report = first_from(reports, chosen, np.full(len(chosen), level))
        went_on = (report >= 0) & (report + 1 < reports.starts[chosen + 1])  # or nothing was left to be learned
        standing[went_on, place] = losses[report[went_on]]
    there = np.isfinite(standing).sum(axis=0)
    known = there[column] >= LEAST
    if not known.any():
        return found
    stood = losses[first_from(reports, number[known], levels[column[known]])]
    results = history.losses[chosen]
    log = bool(min(results.min(), np.nanmin(stood), np.nanmin(standing)) > 0)
    told = missed(stood, column[known], standing, results, log=log)
    chance = np.full(len(number), np.nan)
    chance[known] = told.chance
    return found._replace(
        chance=chance.tolist(),
        left_out=int(np.count_nonzero(~known)),
        expected=told.expected,
        low=told.low,
        high=told.high,
        survivors=int(there[there >= LEAST].min()),
    )


def _side_by_side(place: Ints) -> Floats:
    """Return where trials with labels stand, so that those of one place do not hide each other's."""
    found = place.astype(float)
    for one in np.unique(place):
        there = np.flatnonzero(place == one)
        found[there] += _SPREAD * ((np.arange(len(there)) + 0.5) / len(there) - 0.5)
    return found


def _missing(info: Info) -> str:
    if info.metrics > 1:
        return "several metrics are searched: a pruned trial has no single best to beat"
    if info.rule.startswith("wilcoxon"):
        return "wilcoxon compares trials fold by fold: nothing is known of the folds that were not run"
    pruned = "the pruned one" if len(info.number) == 1 else f"the {len(info.number):,} pruned ones"
    return f"fewer than {LEAST} trials went on and completed: too few to say what {pruned} would have come to"


def _suspects(info: Info) -> list[int]:
    """Return the places of the pruned trials that are named, the likeliest first."""
    order = np.argsort(-np.nan_to_num(info.chance), kind="stable")[:SUSPECTS]
    return [int(place) for place in order if info.chance[place] >= _LIKELY]


def _finding(info: Info) -> str:
    count = len(info.number) - info.left_out
    trials = f"the {count:,} pruned trials" if count > 1 else "the one pruned trial"
    if not info.high:
        return f"Pruning most likely cost no winner: none of {trials} was near the best"
    about = f"About {info.expected:.0f}" if info.expected >= 10 else f"About {info.expected:.1f}"
    if info.expected < _FEWEST:
        about = f"Fewer than {2 * _FEWEST}"
    between = f"{info.low:,} to {info.high:,}" if info.low < info.high else f"{info.low:,}"
    return f"{about} of {trials} might have beaten the best ({LEVEL:.0%} interval {between})"


PLOT = Plot("regret", "wasted", "Pruner's regret", info, words, figure, data)
