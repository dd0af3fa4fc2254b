"""Why trials failed, and which values of the parameters those share that failed for one reason."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from search.records.history import History, Ints
from search.records.parameters import Parameter
from search.report import theme
from search.report.failing import LEAST, Failing, failing
from search.report.figures import _panels
from search.report.figures._axis import spread
from search.report.plot import Data, Plot, Words
from search.report.shared import Pattern

if TYPE_CHECKING:
    import plotly.graph_objects as go

_PANELS: Final = 6
_BESIDE: Final = 3
_MOST: Final = 300
"""Trials that a strip of a panel draws, at most."""

_PLASTIC: Final = 0.7548776662466927
"""Steps of it along one axis and of its square along the other spread points evenly over a plane."""

_BAR_PX, _STRIP_PX, _GAP_PX = 34, 38, 74


class Panel(NamedTuple):
    """One parameter, a strip of trials for each kind of failure and one for those that did not fail.

    Attributes:
        name: Of the parameter.
        log: Whether its scale is logarithmic.
        choices: Of a choice, in order of their indices; else [].
        values: By strip, its values, of a choice the indices; evenly chosen where there are many.
        trials: Their numbers.
    """

    name: str
    log: bool
    choices: list[str]
    values: list[list[float]]
    trials: list[list[int]]


class Info(NamedTuple):
    """The failed trials.

    Attributes:
        failed: How many.
        ended: Trials that ended.
        kinds: Of failures, the most frequent first.
        left_out: Failures of other kinds.
        panels: Of the parameters in the kinds' patterns.
        is_drawn_whole: Whether the panels show all trials.
        trial: Numbers of the failed ones.
        reason: Of each.
        text: Of each.
    """

    failed: int
    ended: int
    kinds: list[Failing]
    left_out: int
    panels: list[Panel]
    is_drawn_whole: bool
    trial: list[int]
    reason: list[str]
    text: list[str]


def info(history: History) -> Info:
    failed, others = history.are("fail"), history.are("complete", "pruned")
    numbers = np.flatnonzero(failed).tolist()
    kinds = failing(history)
    strips = [np.array(one.trials, np.int64) for one in kinds] + [np.flatnonzero(others)]
    patterns = [one.pattern for one in kinds if one.pattern is not None]
    patterns.sort(key=lambda one: one.log_chance)
    shown = [one for one in patterns if one.is_sure] or patterns[:_BESIDE]
    names = dict.fromkeys(part.name for one in shown for part in one.parts)
    return Info(
        failed=len(numbers),
        ended=int((failed | others).sum()),
        kinds=kinds,
        left_out=len(numbers) - sum(len(one.trials) for one in kinds),
        panels=[_panel(history.parameter(name), strips) for name in [*names][:_PANELS]],
        is_drawn_whole=max(map(len, strips)) <= _MOST,
        trial=numbers,
        reason=[history.reason[one] for one in numbers],
        text=[history.text.get(one, "") for one in numbers],
    )


def _panel(parameter: Parameter, strips: list[Ints]) -> Panel:
    drawn = [_some(numbers[parameter.active[numbers]]) for numbers in strips]
    return Panel(
        name=parameter.name,
        log=parameter.log,
        choices=[str(choice) for choice in parameter.choices],
        values=[[float(f"{one:.6g}") for one in parameter.values[numbers]] for numbers in drawn],
        trials=[numbers.tolist() for numbers in drawn],
    )


def _some(numbers: Ints) -> Ints:
    if len(numbers) <= _MOST:
        return numbers
    some: Ints = numbers[np.linspace(0, len(numbers) - 1, _MOST).round().astype(int)]
    return some


def words(info: Info) -> Words:
    if not info.failed:
        return Words("No trial failed", empty=f"no trial failed: {info.ended:,} ended")
    many = f"{info.failed:,} failure{'s' * (info.failed != 1)}"
    note = f"{info.failed:,} of {info.ended:,} ended trials failed; numbers in their texts are written as N."
    known = [(one, one.pattern) for one in info.kinds if one.pattern is not None]
    if not known:
        first = info.kinds[0]
        said = f"{many}, {len(first.trials):,} of them by {first.reason.replace('_', ' ')}"
        few = len(first.trials) < LEAST
        return Words(said, note + (f" {LEAST} of a kind are needed to look for a pattern." if few else ""))
    note += (
        " Of each kind, the part of a parameter, or of two together, that tells it best from trials that did not fail: "
        + "; ".join(_judged(*one, info.kinds) for one in known)
        + ". By Fisher's exact test, corrected for all parts and kinds that were tried (Bonferroni)."
    )
    if info.panels and not info.is_drawn_whole:
        note += f" At most {_MOST} trials are drawn in a strip, evenly chosen."
    sure = [(one, found) for one, found in known if found.is_sure]
    if not sure:
        return Words(f"{many} show no pattern in the parameters beyond chance", note)
    if len(info.kinds) == 1:
        found = sure[0][1]
        seen = f"{found.inside:,} of {found.of:,} failures have {where(found)}"
        return Words(f"{seen}; so have {found.others_inside / max(1, found.others):.0%} of the other trials", note)
    told = "; ".join(f"{_called(one, info.kinds)} where {where(found)}" for one, found in sure[:_BESIDE])
    return Words(f"{many}: {told}", note)


def where(found: Pattern) -> str:
    """Return a pattern's parts in words: `train.lr above 0.1 and model.family = mlp`."""
    return " and ".join(f"{_cut(part.name)} {_cut(part.words)}" for part in found.parts)


def _judged(one: Failing, found: Pattern, kinds: list[Failing]) -> str:
    counts = f"{found.inside:,} of {found.of:,}, and {found.others_inside:,} of {found.others:,} others"
    unsure = "" if found.is_sure else ", which may be chance"
    return f"{_called(one, kinds)} (such as trial {one.example}), {where(found)}: {counts} ({found.chance}{unsure})"


def _called(one: Failing, kinds: list[Failing]) -> str:
    """Return what a kind is called beside the others: its reason, or what it says where several have that reason."""
    several = sum(other.reason == one.reason for other in kinds) > 1
    return _cut(one.text) if several and one.text else one.reason.replace("_", " ")


def _cut(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:19]}…{text[-20:]}"


def figure(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    labels = [f" {len(one.trials):,}  {theme.short(one.words, 90)} · trial {one.example}" for one in info.kinds]
    counts = [len(one.trials) for one in info.kinds]
    examples: list[int | None] = [one.example for one in info.kinds]
    if info.left_out:
        labels, counts = [*labels, f" {info.left_out:,}  other kinds"], [*counts, info.left_out]
        examples.append(None)
    rows = [*range(len(counts))]
    bars = go.Bar(
        orientation="h",
        x=counts,
        y=rows,
        customdata=examples,
        marker={"color": theme.COLORS["fail"]},
        showlegend=False,
        hovertemplate="%{x} trials, such as %{customdata}<extra></extra>",
        width=0.35,
    )
    high, strip = _BAR_PX * len(rows) + 12, _STRIP_PX * (len(info.kinds) + 1)
    lines = -(-len(info.panels) // _BESIDE)
    whole = high + lines * (_GAP_PX + strip)
    found = theme.figure([bars], height=whole + 70)
    at = {"x": 0, "xref": "paper", "yref": "y", "xanchor": "left", "yanchor": "bottom", "yshift": 5, "showarrow": False}
    found.update_layout(
        annotations=[{"text": label, "y": row, **at} for row, label in enumerate(labels)],
        margin={"l": 60},
        xaxis={"title": {"text": "failed trials", "standoff": 4}, "rangemode": "tozero", "domain": [0, 1]},
        yaxis={
            "domain": [1 - high / whole, 1],
            "range": [len(rows) - 0.5, -0.8],
            "showticklabels": False,
            "showgrid": False,
        },
    )
    if max(counts) < 6:
        found.update_layout(xaxis={"dtick": 1})
    for place, panel in enumerate(info.panels):
        top = 1 - (high + _GAP_PX + place // _BESIDE * (_GAP_PX + strip)) / whole
        _draw(found, panel, place, info.kinds, (max(0.0, top - strip / whole), top))
    return found


def _draw(found: go.Figure, panel: Panel, place: int, kinds: list[Failing], domain: tuple[float, float]) -> None:
    """Draw a panel: a strip for each kind, the others below, spread a little so that equal values show."""
    import plotly.graph_objects as go

    x_id, y_id = _panels.ids(place + 1)
    names = [theme.short(_called(one, kinds), 18) for one in kinds]
    strips = [*zip(panel.values, panel.trials, strict=True)]
    for name, kind, first, drawn in (
        ("failed", "fail", 0, strips[:-1]),
        ("others", "complete", len(kinds), strips[-1:]),
    ):
        x: list[float] = []
        y: list[float] = []
        for row, (values, _) in enumerate(drawn, first):
            order = range(len(values))
            aside = spread(order, 0.5, step=_PLASTIC) if panel.choices else np.zeros(len(values))
            x += (np.array(values) + aside).round(8).tolist()
            y += (row + spread(order, 0.6, step=_PLASTIC**2)).round(3).tolist()
        found.add_trace(
            go.Scatter(
                x=x,
                y=y,
                xaxis=x_id,
                yaxis=y_id,
                customdata=[*chain.from_iterable(numbers for _, numbers in drawn)],
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=place == 0,
                marker={
                    "color": theme.COLORS[kind],
                    "symbol": theme.SYMBOLS[kind],
                    "size": 8 if name == "failed" else 6,
                    "opacity": 0.8,
                },
                hovertemplate="trial %{customdata}"
                + ("" if panel.choices else "<br>%{x:.4g}")
                + f"<extra>{name}</extra>",
            )
        )
    beside = place % _BESIDE
    wide = (1 - 0.08 * (_BESIDE - 1)) / _BESIDE
    left = beside * (wide + 0.08)
    axis: dict[str, Any] = {
        "domain": [left, left + wide],
        "anchor": y_id,
        "title": {"text": theme.short(panel.name) + (" (log scale)" if panel.log else ""), "standoff": 6},
        "type": "log" if panel.log else None,
        "nticks": 5,
    }
    if panel.choices:
        step = -(-len(panel.choices) // 8)
        axis |= {
            "tickvals": [*range(len(panel.choices))][::step],
            "ticktext": [theme.short(choice, 12) for choice in panel.choices][::step],
            "range": [-0.6, len(panel.choices) - 0.4],
        }
    sides: dict[str, Any] = {
        "domain": [*domain],
        "anchor": x_id,
        "range": [len(kinds) + 0.6, -0.6],
        "tickvals": [*range(len(kinds) + 1)],
        "ticktext": [*names, "others"] if not beside else [""] * (len(kinds) + 1),
        "showgrid": False,
        "zeroline": False,
    }
    found.update_layout({f"xaxis{x_id[1:]}": axis, f"yaxis{y_id[1:]}": sides})


def data(info: Info) -> Data:
    return {"trial": info.trial, "reason": info.reason, "text": info.text}


PLOT = Plot("failures", "wasted", "Failures by reason, over the parameters", info, words, figure, data, wide=True)
