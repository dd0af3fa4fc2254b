"""The optimisation history: each trial's value in order of numbers, and the best so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from search.records.history import History
from search.report import theme
from search.report.plot import Data, Plot, Words
from search.report.thinning import said, thinned
from search.status import STATES

if TYPE_CHECKING:
    import plotly.graph_objects as go


class Info(NamedTuple):
    """Trials with a value, in order of numbers.

    Attributes:
        metric: The searched one.
        number: Of each trial.
        state: Of each trial.
        value: Of each; of a pruned trial its last report.
        best_number: Of the trials that were best when they ended, among the completed ones.
        best_value: Their values.
        baseline: Value of a naive prediction; None if there is none.
        last: Highest number of a trial.
        states: Trials by state.
    """

    metric: str
    number: list[int]
    state: list[str]
    value: list[float]
    best_number: list[int]
    best_value: list[float]
    baseline: float | None
    last: int
    states: dict[str, int]


def info(history: History) -> Info:
    value, losses = history.values[:, 0], history.losses
    known = np.flatnonzero(np.isfinite(value))
    kept = history.are("complete") & np.isfinite(value) & (history.violation <= 0)
    candidates = np.flatnonzero(kept)
    so_far = np.minimum.accumulate(losses[candidates]) if len(candidates) else losses[candidates]
    moved = candidates[np.flatnonzero(np.diff(so_far, prepend=np.inf) < 0)]
    return Info(
        metric=history.metrics[0],
        number=known.tolist(),
        state=[STATES[code] for code in history.state[known]],
        value=value[known].tolist(),
        best_number=moved.tolist(),
        best_value=value[moved].tolist(),
        baseline=history.status.baseline.get(history.metrics[0]),
        last=len(history) - 1,
        states={state: count for state, count in history.status.trials.items() if count and state not in ("pruned",)},
    )


def words(info: Info) -> Words:
    if not info.number:
        there = ", ".join(f"{count} {state}" for state, count in info.states.items()) or "no trials"
        return Words("No trial has a value yet", empty=f"no trial has a value yet: {there}")
    note = said(len(_drawn(info)), len(info.number), "trials")
    if not info.best_number:
        return Words("No trial has completed yet", note)
    after = info.last - info.best_number[-1]
    moves = f"{len(info.best_number)} times" if len(info.best_number) > 1 else "once"
    found = f"The best came at trial {info.best_number[-1]}"
    found += f" and has stood for {after} trials" if after else ", the last one"
    return Words(found, f"The best moved {moves}. {note}".strip())


def figure(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    drawn = _drawn(info)
    number, value = np.array(info.number), np.array(info.value)
    state = np.array(info.state)
    traces = []
    for name in ("pruned", "complete", "running", "paused", "fail"):
        chosen = drawn[state[drawn] == name]
        if len(chosen):
            traces.append(
                go.Scatter(
                    x=number[chosen],
                    y=value[chosen],
                    customdata=number[chosen],
                    mode="markers",
                    name=name,
                    marker={"color": theme.COLORS[name], "symbol": theme.SYMBOLS[name], "size": 6},
                    hovertemplate=f"trial %{{x}}<br>{theme.plain(info.metric)} %{{y:.5g}}<extra>{name}</extra>",
                )
            )
    if info.best_number:
        traces.append(
            go.Scatter(
                x=[*info.best_number, info.last],
                y=[*info.best_value, info.best_value[-1]],
                mode="lines",
                line={"shape": "hv", "color": theme.COLORS["best"], "width": 2},
                name="best so far",
                hoverinfo="skip",
            )
        )
    found = theme.figure(traces, x="trial", y=theme.plain(info.metric))
    if info.baseline is not None:
        found.add_hline(y=info.baseline, line={"dash": "dot", "width": 1}, annotation_text="naive baseline")
    theme.mark(found, "number", f"value:{info.metric}")
    return found


def data(info: Info) -> Data:
    return {"trial": info.number, "state": info.state, info.metric: info.value}


def _drawn(info: Info) -> np.ndarray:
    """Return the indices of the trials that are drawn."""
    value = np.array(info.value)
    return thinned(np.array(info.number, float), value, keep=np.isin(info.number, info.best_number))


PLOT = Plot("history", "progress", "Optimisation history", info, words, figure, data)
