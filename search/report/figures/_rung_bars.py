"""The rungs of a pruner as bars: who was pruned there, rests there, or went on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from search.report import theme

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from search.report.figures.rungs import Rung

_PATTERNS: Final = {"complete": "", "pruned": "/", "paused": "."}
_HATCH: Final = "rgba(255,255,255,0.5)"
_NAMES: Final = {"complete": "went on", "pruned": "pruned there", "paused": "rests there"}


def bars(rungs: Sequence[Rung], unit: str, of: int, done: int) -> go.Figure:
    """Return stacked bars of the trials that came to each rung.

    Args:
        rungs: In order of their steps.
        unit: What a step is.
        of: Trials that reported.
        done: Trials that completed.
    """
    import plotly.graph_objects as go

    labels = [f"rung {rung.step}" for rung in rungs]
    cutoffs = ["" if rung.cutoff is None else f"<br>last cutoff {theme.number(rung.cutoff)}" for rung in rungs]
    counts = {
        "complete": [rung.on for rung in rungs],
        "pruned": [rung.pruned for rung in rungs],
        "paused": [rung.rests for rung in rungs],
    }
    traces: list[Any] = []
    for state, values in counts.items():
        if not any(values):
            continue
        shares = [value / rung.came for value, rung in zip(values, rungs, strict=True)]
        traces.append(
            go.Bar(
                x=labels,
                y=values,
                name=_NAMES[state],
                text=[f"{value:,} ({share:.0%})" if value else "" for value, share in zip(values, shares, strict=True)],
                textposition="auto",
                textangle=0,
                insidetextanchor="middle",
                insidetextfont={"color": "#111111" if state == "pruned" else "#ffffff"},
                marker={
                    "color": theme.COLORS[state],
                    "pattern": {"shape": _PATTERNS[state], "fillmode": "overlay", "fgcolor": _HATCH, "solidity": 0.15},
                },
                hovertext=[f"{_NAMES[state]}: {value:,}{more}" for value, more in zip(values, cutoffs, strict=True)],
                hovertemplate="%{x}<br>%{hovertext}<extra></extra>",
            )
        )
    traces.append(
        go.Bar(
            x=["completed"],
            y=[done],
            name="completed",
            showlegend=False,
            text=[f"{done:,}"],
            textposition="auto",
            insidetextanchor="middle",
            marker={"color": theme.COLORS["complete"]},
            hovertemplate="completed<br>%{y:,}<extra></extra>",
        )
    )
    found = theme.figure(
        traces,
        x=f"rung, in {unit}s",
        y="trials",
        barmode="stack",
        bargap=0.35,
        uniformtext={"minsize": 10, "mode": "hide"},
    )
    found.update_xaxes(type="category", categoryorder="array", categoryarray=[*labels, "completed"])
    found.update_yaxes(rangemode="tozero", **({"dtick": 1} if of < 10 else {}))
    return found
