"""Where the time of workers went: seconds by stage, of trials by what became of them, and of idle workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from search.records.history import ENDED, History
from search.report import theme
from search.report.lanes import lanes_of
from search.report.plot import Data, Plot, Words
from search.report.spans import spoken, unit_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

_ORDER: Final = ("data", "preprocess", "build", "train", "evaluate", "report")
_OTHER: Final = "other"
_IDLE: Final = "idle"
_PAUSED: Final = "paused"
_NAMES: Final = {"complete": "complete", "pruned": "pruned", "fail": "failed", _PAUSED: "paused", _IDLE: "no trial"}
_DOING: Final = {
    "train": "training",
    "preprocess": "preprocessing",
    "build": "building models",
    "evaluate": "evaluating",
}
_LOOKS: Final = {
    "data": ("#56B4E9", ""),
    "preprocess": ("#009E73", "/"),
    "build": ("#F0E442", "."),
    "train": ("#0072B2", ""),
    "evaluate": ("#CC79A7", "\\"),
    "report": ("#E69F00", "x"),
    _OTHER: ("#8C8C8C", "-"),
    _IDLE: ("#D9D9D9", "|"),
}
"""Colours of Okabe and Ito's, and a pattern each, so that a print without colours tells stages apart."""


class Info(NamedTuple):
    """Seconds that workers spent.

    Attributes:
        states: `complete`, `pruned`, `fail`, `paused` (those that rest, too): those that took time; then `idle`, where
            lanes of workers were without.
        trials: How many there are of each state.
        stages: What was done, in the order of the work; `other` is what no stage took: starts, waits, lost attempts.
        seconds: (stages, states).
        prepared: Ended trials by how they came by their prepared rows.
        saved_s: Seconds that preparing did not take because others had done it.
        gpu_waited: Share of training in which GPUs had nothing to do; None where nobody measured it.
    """

    states: list[str]
    trials: list[int]
    stages: list[str]
    seconds: list[list[float]]
    prepared: dict[str, int]
    saved_s: float
    gpu_waited: float | None = None


def info(history: History) -> Info:
    ran = np.isfinite(history.held_s) & (history.same_as < 0)
    stages = {name: np.where(ran, seconds, 0.0) for name, seconds in history.stage_s.items()}
    held = np.where(ran, history.held_s, 0.0)
    stages[_OTHER] = np.maximum(held - sum(stages.values(), np.zeros(len(history))), 0.0)
    masks = {state: history.are(state) & ran for state in (*ENDED, _PAUSED)}
    states = [state for state, mask in masks.items() if sum(float(one[mask].sum()) for one in stages.values()) > 0]
    idle = lanes_of(history).idle_s
    known = [*_ORDER, *sorted(stages.keys() - {*_ORDER, _OTHER}), _OTHER]
    names = [name for name in known if name in stages and stages[name].any()]
    table = [[round(float(stages[name][masks[state]].sum()), 6) for state in states] for name in names]
    if states and idle > 0:
        table = [[*row, 0.0] for row in table] + [[0.0] * len(states) + [round(idle, 6)]]
        names = [*names, _IDLE]
        states = [*states, _IDLE]
    return Info(
        states=states,
        trials=[0 if state == _IDLE else int(masks[state].sum()) for state in states],
        stages=names,
        seconds=table,
        prepared=dict(history.status.prepared),
        saved_s=history.status.saved_s,
        gpu_waited=history.gpu_waited,
    )


def words(info: Info) -> Words:
    by_stage = {name: sum(row) for name, row in zip(info.stages, info.seconds, strict=True) if name != _IDLE}
    whole = sum(by_stage.values())
    if whole <= 0:
        return Words("No time is known", empty="no trial has ended or is paused whose time is known")
    longest = max(by_stage, key=lambda name: by_stage[name])
    doing = "neither training nor any other stage" if longest == _OTHER else _DOING.get(longest, longest)
    said = f"{by_stage[longest] / whole:.0%} of {spoken(whole)} of workers' time was {doing}"
    for state, told in (("pruned", "were pruned"), ("fail", "failed"), (_PAUSED, "are paused")):
        if (share := _spent(info, state) / whole) >= 0.005:
            said += f"; {share:.0%} went to trials that {told}"
    note = f"Of {sum(info.trials):,} trials that ended or are paused."
    note += f" What no stage took is {_OTHER}: waits, lost attempts."
    if _IDLE in info.states:
        note += f" Workers were without a trial for {spoken(_spent(info, _IDLE))}."
    if info.gpu_waited is not None:
        note += f" GPUs waited for batches {info.gpu_waited:.0%} of the training."
    if info.prepared:
        had = sum(info.prepared.get(how, 0) for how in ("found", "waited", "moved"))
        note += f" {had:,} of {sum(info.prepared.values()):,} trials had their prepared rows from others"
        note += f", which saved {spoken(info.saved_s)}." if info.saved_s >= 0.1 else "."
    return Words(said, note)


def _spent(info: Info, state: str) -> float:
    if state not in info.states:
        return 0.0
    place = info.states.index(state)
    return sum(row[place] for row in info.seconds)


def figure(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    whole = sum(map(sum, info.seconds))
    unit, second = unit_of(max(_spent(info, state) for state in info.states))
    places = [*range(len(info.states))]
    traces = []
    for name, row in zip(info.stages, info.seconds, strict=True):
        color, pattern = _LOOKS.get(name, ("#000000", "+"))
        traces.append(
            go.Bar(
                orientation="h",
                x=[float(f"{one / second:.5g}") for one in row],
                y=places,
                name=theme.short(name),
                text=[theme.plain(name) if one >= 0.12 * whole else "" for one in row],
                textposition="inside",
                insidetextanchor="middle",
                textangle=0,
                textfont={"color": "#000000" if name in ("build", _IDLE, "data") else "#ffffff"},
                marker={
                    "color": color,
                    "pattern": {"shape": pattern, "size": 6, "fillmode": "overlay", "fgopacity": 0.35},
                },
                hovertemplate=f"{theme.plain(name)} %{{x:.3g}} {unit}<extra></extra>",
            )
        )
    labels = [
        _NAMES[state] if state == _IDLE else f"{count:,} {_NAMES[state]}"
        for state, count in zip(info.states, info.trials, strict=True)
    ]
    found = theme.figure(
        traces,
        x=f"time of all workers together, {unit}",
        height=120 + 48 * max(2, len(places)),
        barmode="stack",
        margin={"t": 48},
        legend={"traceorder": "normal"},
    )
    found.update_yaxes(
        tickvals=places, ticktext=labels, range=[len(places) - 0.5, -0.5], showgrid=False, ticklabelstandoff=6
    )
    return found


def data(info: Info) -> Data:
    cells = [(stage, state) for stage in info.stages for state in info.states]
    return {
        "stage": [stage for stage, _ in cells],
        "trials": [_NAMES[state] for _, state in cells],
        "seconds": [round(one, 3) for row in info.seconds for one in row],
    }


PLOT = Plot("stages", "wasted", "Time by stage", info, words, figure, data)
