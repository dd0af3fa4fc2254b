"""Why trials failed, and which values of the parameters the failed ones share."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from search.records.history import History, Ints, Parameter
from search.report import theme
from search.report.figures import _panels
from search.report.plot import Data, Plot, Words
from search.report.shared import Mask, Pattern, patterns

if TYPE_CHECKING:
    import plotly.graph_objects as go

_KINDS: Final = 6
_PANELS: Final = 3
_MOST: Final = 300
"""Trials of either kind that a panel draws, at most."""

_LEAST: Final = 3
"""Failures below which no pattern is looked for: anything is shared by two."""


class Panel(NamedTuple):
    """One parameter over the failed trials and the others.

    Attributes:
        pattern: What the failed ones share.
        log: Whether its scale is logarithmic.
        choices: Of a choice, in order of their indices; else [].
        failed: Its values, of a choice the indices, with their trials' numbers.
        failed_trial: The numbers.
        other: The same of the others, evenly chosen where there are many.
        other_trial: The numbers.
    """

    pattern: Pattern
    log: bool
    choices: list[str]
    failed: list[float]
    failed_trial: list[int]
    other: list[float]
    other_trial: list[int]


class Info(NamedTuple):
    """The failed trials.

    Attributes:
        failed: How many.
        ended: Trials that ended.
        kinds: Reason and kind of text, with how many failed so, the most frequent first.
        left_out: Failures of other kinds.
        panels: The parameters that tell most, the most telling first.
        trial: Numbers of the failed ones.
        reason: Of each.
        text: Of each.
    """

    failed: int
    ended: int
    kinds: list[tuple[str, str, int]]
    left_out: int
    panels: list[Panel]
    trial: list[int]
    reason: list[str]
    text: list[str]


def info(history: History) -> Info:
    failed, others = history.are("fail"), history.are("complete", "pruned")
    numbers = np.flatnonzero(failed).tolist()
    counts = Counter((history.reason[one], _kind(history.text.get(one, ""))) for one in numbers)
    kinds = [(reason, text, count) for (reason, text), count in counts.most_common(_KINDS)]
    found = patterns(history, failed, others)[:_PANELS] if len(numbers) >= _LEAST else []
    return Info(
        failed=len(numbers),
        ended=int((failed | others).sum()),
        kinds=kinds,
        left_out=len(numbers) - sum(count for *_, count in kinds),
        panels=[_panel(history.parameter(one.name), one, failed, others) for one in found],
        trial=numbers,
        reason=[history.reason[one] for one in numbers],
        text=[history.text.get(one, "") for one in numbers],
    )


def _kind(text: str) -> str:
    """Return the first line of an error, with its numbers taken out: those that differ in them are of one kind."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    return re.sub(r"-?\d+(\.\d+)?(e[+-]?\d+)?", "N", line)[:120]


def _panel(parameter: Parameter, pattern: Pattern, failed: Mask, others: Mask) -> Panel:
    ours, theirs = (_some(np.flatnonzero(mask & parameter.active)) for mask in (failed, others))
    return Panel(
        pattern=pattern,
        log=parameter.log,
        choices=[str(choice) for choice in parameter.choices],
        failed=[float(f"{one:.6g}") for one in parameter.values[ours]],
        failed_trial=ours.tolist(),
        other=[float(f"{one:.6g}") for one in parameter.values[theirs]],
        other_trial=theirs.tolist(),
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
    if not info.panels:
        reason = info.kinds[0][0].replace("_", " ")
        said = f"{many}, {info.kinds[0][2]:,} of them by {reason}"
        few = f" {_LEAST} are needed to look for a pattern." if info.failed < _LEAST else ""
        return Words(said, note + few)
    first = info.panels[0].pattern
    share = f"{first.others_inside / first.others:.0%}"
    seen = f"{first.inside:,} of {first.of:,} failures have {_cut(first.name)} {_cut(first.part)}"
    note += (
        " Each parameter's most telling part is shown, by Fisher's exact test corrected for all parts that were tried "
        f"(Bonferroni): {'; '.join(f'{_cut(one.pattern.name)} {one.pattern.chance}' for one in info.panels)}."
    )
    drawn = sum(len(one.failed) + len(one.other) for one in info.panels[:1])
    if drawn < first.of + first.others:
        note += f" At most {_MOST} failed and {_MOST} other trials are drawn in a panel, evenly chosen."
    if first.is_sure:
        return Words(f"{seen}; so have {share} of the other trials", note)
    return Words(f"{many} show no pattern in the parameters beyond chance", note)


def _cut(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:19]}…{text[-20:]}"


def figure(info: Info) -> go.Figure:
    import plotly.graph_objects as go

    kinds = [f"{reason}: {text}" if text else reason for reason, text, _ in info.kinds]
    counts = [count for *_, count in info.kinds]
    if info.left_out:
        kinds, counts = [*kinds, "other kinds"], [*counts, info.left_out]
    rows = [*range(len(kinds))]
    bars = go.Bar(
        orientation="h",
        x=counts,
        y=rows,
        text=[f" {count:,}  {theme.short(kind, 90)}" for count, kind in zip(counts, kinds, strict=True)],
        textposition="none",
        marker={"color": theme.COLORS["fail"]},
        showlegend=False,
        hoverinfo="skip",
        width=0.35,
    )
    high, gap = 34 * len(kinds) + 12, 74 if info.panels else 0
    panels = 210 if info.panels else 0
    whole = high + gap + panels
    found = theme.figure([bars], height=whole + 70)
    labels = [
        {
            "text": label,
            "x": 0,
            "y": row,
            "xref": "paper",
            "yref": "y",
            "xanchor": "left",
            "yanchor": "bottom",
            "yshift": 5,
            "showarrow": False,
        }
        for row, label in zip(rows, bars.text, strict=True)
    ]
    found.update_layout(
        annotations=labels,
        margin={"l": 60},
        xaxis={"title": {"text": "failed trials", "standoff": 4}, "rangemode": "tozero", "domain": [0, 1]},
        yaxis={
            "domain": [(gap + panels) / whole, 1],
            "range": [len(kinds) - 0.5, -0.8],
            "showticklabels": False,
            "showgrid": False,
        },
    )
    if max(counts) < 6:
        found.update_layout(xaxis={"dtick": 1})
    for place, panel in enumerate(info.panels):
        _draw(found, panel, place, len(info.panels), panels / whole)
    return found


def _draw(found: go.Figure, panel: Panel, place: int, count: int, top: float) -> None:
    """Draw a panel as strips: the failed trials above the others, spread a little so that equal values show."""
    import plotly.graph_objects as go

    x_id, y_id = _panels.ids(place + 1)
    for row, (name, kind, values, numbers) in enumerate(
        (("failed", "fail", panel.failed, panel.failed_trial), ("others", "complete", panel.other, panel.other_trial))
    ):
        spread = (np.arange(len(values)) * 0.569840 % 1 - 0.5) * 0.6
        aside = (np.arange(len(values)) * 0.754878 % 1 - 0.5) * 0.5 if panel.choices else np.zeros(len(values))
        found.add_trace(
            go.Scatter(
                x=(np.array(values) + aside).round(8).tolist(),
                y=(row + spread).round(3).tolist(),
                xaxis=x_id,
                yaxis=y_id,
                customdata=numbers,
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=place == 0,
                marker={
                    "color": theme.COLORS[kind],
                    "symbol": theme.SYMBOLS[kind],
                    "size": 6 if row else 8,
                    "opacity": 0.8,
                },
                hovertemplate="trial %{customdata}"
                + ("" if panel.choices else "<br>%{x:.4g}")
                + f"<extra>{name}</extra>",
            )
        )
    wide = (1 - 0.08 * (count - 1)) / count
    left = place * (wide + 0.08)
    axis: dict[str, Any] = {
        "domain": [left, left + wide],
        "anchor": y_id,
        "title": {"text": theme.short(panel.pattern.name) + (" (log scale)" if panel.log else ""), "standoff": 6},
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
        "domain": [0, top],
        "anchor": x_id,
        "range": [1.6, -0.6],
        "tickvals": [0, 1],
        "ticktext": ["failed", "others"] if place == 0 else ["", ""],
        "showgrid": False,
        "zeroline": False,
    }
    found.update_layout({f"xaxis{x_id[1:]}": axis, f"yaxis{y_id[1:]}": sides})


def data(info: Info) -> Data:
    return {"trial": info.trial, "reason": info.reason, "text": info.text}


PLOT = Plot("failures", "wasted", "Failures by reason, over the parameters", info, words, figure, data, wide=True)
