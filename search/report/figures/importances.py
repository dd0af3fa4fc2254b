"""The importances: how far each parameter sets the best trials apart, and how much of the variance it explains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from search.records.explained import SAMPLE
from search.records.history import History
from search.records.judged import LEAST_TRIALS, Judged
from search.report import theme
from search.report.figures._importance import Panel, panel_of
from search.report.plot import Data, Plot, Words

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MOST_TRIALS, _LEAST_TRIALS = 10_000, 1_000
_MOST_CELLS = 300_000
_METRICS = 3
_ROWS = 15
_MEASURED = tuple(f"{kind}{end}" for kind in ("apart", "explains") for end in ("", "_low", "_high", "_chance"))
_CALLED = ("matters", "matters little", "not told apart from chance")
_WIDE = 0.36
_CLEAR = "rgba(0,0,0,0)"
_KINDS = {
    "apart": ("sets the best trials apart (PED-ANOVA)", theme.COLORS["complete"], -_WIDE / 2 - 0.02),
    "explains": ("explains of the variance (fANOVA)", theme.COLORS["running"], _WIDE / 2 + 0.02),
}
_BAR_OF_CHANCE = {"symbol": "line-ns", "size": 13, "line": {"width": 2, "color": theme.COLORS["fail"]}}


class Info(NamedTuple):
    """The panels, one for each of the first searched metrics.

    Attributes:
        total: Trials of the study, in any state.
        parameters: Of the study.
        panels: By metric.
    """

    total: int
    parameters: int
    panels: list[Panel]


def info(history: History) -> Info:
    metrics = history.metrics[:_METRICS]
    most = most_trials(parameters=len(history.parameters), metrics=len(metrics))
    return Info(
        total=len(history),
        parameters=len(history.parameters),
        panels=[
            panel_of(metric, Judged.of_history(history, index, most), SAMPLE // len(metrics))
            for index, metric in enumerate(metrics)
        ],
    )


def most_trials(*, parameters: int, metrics: int) -> int:
    """Return how many trials are judged by each metric, at most."""
    return min(_MOST_TRIALS, max(_LEAST_TRIALS, _MOST_CELLS // max(1, parameters))) // metrics


def words(info: Info) -> Words:
    first = info.panels[0]
    empty = _missing(info, first)
    if empty:
        return Words("What mattered cannot be told yet", empty=empty)
    return Words(_finding(first, several=len(info.panels) > 1), _note(first))


def figure(info: Info) -> go.Figure:
    panels = [panel for panel in info.panels if panel.name]
    shown = _shown(panels)
    rows = {name: row for row, name in enumerate(shown)}
    traces = _legend() + [trace for place, panel in enumerate(panels, 1) for trace in _traces(panel, rows, place)]
    found = theme.figure(
        traces,
        height=110 + 34 * max(2, len(rows)),
        barmode="overlay",
    )
    labels = _labels(panels, shown)
    axis = {"tickvals": [*range(len(shown))], "ticktext": labels, "range": [len(shown) - 0.4, -0.6], "showgrid": False}
    found.update_layout(yaxis=axis)
    gap = 0.04
    wide = (1 - gap * (len(panels) - 1)) / len(panels)
    for place, panel in enumerate(panels, 1):
        start = (place - 1) * (wide + gap)
        title = f"share, %, for {theme.short(panel.metric)}" if len(info.panels) > 1 else "share, %"
        drawn = {"domain": [start, min(1.0, start + wide)], "title": {"text": title}, "range": [0, 104], "nticks": 6}
        found.update_layout({f"xaxis{'' if place == 1 else place}": drawn})
    return found


def data(info: Info) -> Data:
    rows: list[dict[str, object]] = []
    for panel in info.panels:
        for row, name in enumerate(panel.name):
            told: dict[str, object] = {"metric": panel.metric, "parameter": name, "only_with": panel.condition[row]}
            told |= {"trials": panel.having[row], "verdict": panel.verdict[row]}
            rows.append(told | {one: getattr(panel, one)[row] for one in _MEASURED})
        for first, second, share, low, high in panel.pairs:
            told = {"metric": panel.metric, "parameter": f"{first} x {second}", "trials": panel.forest}
            rows.append(told | {"explains": share, "explains_low": low, "explains_high": high})
    columns = ("metric", "parameter", "only_with", "trials", "verdict", *_MEASURED)
    return {column: [row.get(column) for row in rows] for column in columns}


def _missing(info: Info, panel: Panel) -> str:
    """Return why there is nothing to draw; "" if there is something."""
    if not info.parameters:
        return "no trial has a parameter"
    if panel.failed and not panel.complete and not panel.pruned and not panel.resting:
        return f"{panel.failed} ended, and all failed: nothing sets good ones apart"
    if panel.trials < LEAST_TRIALS:
        return f"{panel.trials} trials can be judged so far: importances take {LEAST_TRIALS}"
    if panel.name:
        return ""
    if panel.left_out and all(having < LEAST_TRIALS for _, having in panel.left_out):
        return f"no parameter was set in {LEAST_TRIALS} trials"
    return f"nothing sets trials apart: their values of {panel.metric} or their parameters are all alike"


def _finding(panel: Panel, *, several: bool) -> str:
    explaining = _leading(panel.explains, panel.explains_low, panel.explains_chance)
    setting = _leading(panel.apart, panel.apart_low, panel.apart_chance)
    of = f" of {panel.metric}" if several else ""
    none = "tells no parameter apart from chance"
    if explaining is None and setting is None:
        return f"No parameter is told apart from chance by {panel.trials} trials"
    apart = "sets the best trials{} apart most (PED-ANOVA)"
    if explaining is None:
        return f"{panel.name[setting or 0]} {apart.format(of)}; fANOVA {none}"
    said = f"{panel.name[explaining]} explains {panel.explains[explaining]:.0%} of the variance{of} (fANOVA)"
    if setting is None:
        return f"{said}; PED-ANOVA {none}"
    if setting == explaining:
        return f"{said} and {apart.format('')}"
    return f"{said}; {panel.name[setting]} {apart.format(of)}"


def _leading(shares: Sequence[float], low: Sequence[float], chance: Sequence[float]) -> int | None:
    """Return the parameter with the greatest share of those that are told apart from chance."""
    told = [row for row in range(len(shares)) if low[row] > chance[row]]
    return max(told, key=lambda row: shares[row], default=None)


def _note(panel: Panel) -> str:
    states = {"complete": panel.complete, "pruned": panel.pruned, "resting": panel.resting, "failed": panel.failed}
    counted = ", ".join(f"{count:,} {state}" for state, count in states.items() if count)
    sampled = f" of {panel.of:,}" if panel.trials < panel.of else ""
    stopped = " and ".join(state for state in ("pruned", "resting") if states[state])
    ordered = f"; {stopped} ones below complete ones" if stopped else ""
    ends = "trials" if panel.resting else "ended trials"
    apart = f"how the best {panel.best:,} differ from all {panel.trials:,}{sampled} {ends} ({counted}{ordered})"
    grown = f"a forest on {panel.forest:,} of {panel.valued:,} trials with a value, those far off clipped"
    unseen = f"it predicts {panel.predicted:.0%} of the variance of trials it has not seen"
    said = [f"PED-ANOVA: {apart}.", f"fANOVA: {grown}; {unseen}."]
    said.append("Whiskers: 90% intervals. Short lines across: what shuffled values reach.")
    if not all(panel.is_told):
        said.append("Open bars: not told apart from chance.")
    if not all(panel.is_told):
        counts = Counter(one.partition(",")[0] for one in panel.verdict)
        listed = ", ".join(f"{count} {called}" for called in _CALLED if (count := counts[called]))
        said.append(f"Of {len(panel.name)} parameters: {listed}.")
    hidden = len(panel.name) - _ROWS
    if hidden > 0:
        told = sum(panel.is_told[_ROWS:])
        which = f"{told} of them" if told else "none of them"
        said.append(f"{hidden} more parameters come to {sum(panel.apart[_ROWS:]):.0%} (PED-ANOVA), {which} told apart.")
    for first, second, share, low, high in panel.pairs:
        said.append(f"{first} and {second} explain {share:.0%} ({low:.0%} to {high:.0%}) more together.")
    few = [f"{name} ({having} trials)" for name, having in panel.left_out if having < LEAST_TRIALS]
    if few:
        more = f" and {len(few) - 3} more" if len(few) > 3 else ""
        said.append(f"Too few trials to judge: {', '.join(few[:3])}{more}.")
    return " ".join(said)


def _shown(panels: Sequence[Panel]) -> list[str]:
    """Return the parameters that are drawn: the first ones of the first metric."""
    return panels[0].name[:_ROWS]


def _labels(panels: Sequence[Panel], shown: Sequence[str]) -> list[str]:
    panel = panels[0]
    labels = []
    for name in shown:
        row = panel.name.index(name)
        label = theme.short(name)
        if panel.condition[row]:
            label += f"<br>(only with {theme.short(panel.condition[row], 32)}, {panel.having[row]:,} trials)"
        elif panel.having[row] < panel.trials:
            label += f"<br>(in {panel.having[row]:,} trials)"
        labels.append(label)
    return labels


def _traces(panel: Panel, rows: dict[str, int], place: int) -> list[go.Bar | go.Scatter]:
    """Return the bars of a panel, and the lines that chance reaches."""
    import plotly.graph_objects as go

    axis = "x" if place == 1 else f"x{place}"
    traces: list[go.Bar | go.Scatter] = []
    for kind, (title, color, shift) in _KINDS.items():
        value, low, high, chance = (
            100 * np.array(getattr(panel, kind + end), float) for end in ("", "_low", "_high", "_chance")
        )
        drawn = [row for row, name in enumerate(panel.name) if name in rows and np.isfinite(value[row])]
        told = low[drawn] > chance[drawn]
        at = [rows[panel.name[row]] + shift for row in drawn]
        hovers = [
            [
                theme.plain(panel.name[row]),
                f"{low[row]:.0f} to {high[row]:.0f}",
                f"{chance[row]:.0f}",
                panel.verdict[row],
            ]
            for row in drawn
        ]
        traces.append(
            go.Bar(
                x=value[drawn].round(1),
                y=at,
                width=_WIDE,
                orientation="h",
                xaxis=axis,
                showlegend=False,
                marker=_look(kind, [color if one else _CLEAR for one in told]),
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": np.maximum(0, high - value)[drawn].round(1),
                    "arrayminus": np.maximum(0, value - low)[drawn].round(1),
                    "thickness": 1,
                    "width": 3,
                    "color": theme.COLORS["pruned"],
                },
                customdata=hovers,
                hovertemplate=f"%{{customdata[0]}}<br>{title}: %{{x:.0f}}% (%{{customdata[1]}}%)"
                "<br>shuffled values reach %{customdata[2]}%<br>%{customdata[3]}<extra></extra>",
            )
        )
        traces.append(
            go.Scatter(
                x=np.minimum(chance[drawn], 100).round(1),
                y=at,
                mode="markers",
                marker=_BAR_OF_CHANCE,
                name="what shuffled values reach",
                legendgroup="chance",
                legendrank=2_000,
                showlegend=place == 1 and kind == "apart",
                hoverinfo="skip",
                xaxis=axis,
            )
        )
    return traces


def _legend() -> list[go.Bar]:
    """Return bars that stand in the legend alone: those drawn may be open."""
    import plotly.graph_objects as go

    return [
        go.Bar(x=[None], y=[None], orientation="h", name=title, marker=_look(kind, [color]))
        for kind, (title, color, _) in _KINDS.items()
    ]


def _look(kind: str, colors: list[str]) -> dict[str, object]:
    """Return plotly's marker of a kind of bars: one kind is hatched, since colour alone tells nothing."""
    look: dict[str, object] = {"color": colors, "line": {"color": _KINDS[kind][1], "width": 1}}
    return look | ({"pattern": {"shape": "/", "size": 5, "solidity": 0.3}} if kind == "explains" else {})


PLOT = Plot("importances", "mattered", "Importances", info, words, figure, data)
