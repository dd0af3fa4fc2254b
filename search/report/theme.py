"""How every figure looks: one palette by state, one scale of values, one layout; and how its points name their trials.

Colours are Okabe and Ito's, which people with any colour vision tell apart; no meaning is carried by colour alone.
Source: Okabe, Ito, "Color Universal Design", 2008.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

from search.trial import ParamValue

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLORS: Final = {
    "complete": "#0072B2",
    "pruned": "#8C8C8C",
    "fail": "#D55E00",
    "running": "#E69F00",
    "paused": "#CC79A7",
    "waiting": "#56B4E9",
    "best": "#009E73",
}
"""By a trial's state, and of the best one."""

SYMBOLS: Final = {
    "complete": "circle",
    "pruned": "line-ew-open",
    "fail": "x-thin-open",
    "running": "triangle-right-open",
    "paused": "square-open",
    "waiting": "diamond-open",
    "best": "circle-open",
}
"""Plotly's marker of each state, so that a print without colours tells them apart."""

RAMP: Final = "Cividis"
"""The scale of values; drawn so that better is brighter."""

INK, PAPER, GRID, QUIET = "ink", "paper", "grid", "quiet"
SHADES: Final = {
    "light": {INK: "#1b1f24", PAPER: "#ffffff", GRID: "#e3e6ea", QUIET: "#5c6670"},
    "dark": {INK: "#e6e9ed", PAPER: "#15191e", GRID: "#2c333b", QUIET: "#a0abb6"},
}
"""Text, background, grid lines and secondary text, in both looks of the page."""

FONT: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif'


def plain(text: object) -> str:
    """Return a string of a study as text of a figure.

    Plotly takes some tags for markup, and fills in `%{...}` of templates and of titles.
    """
    cleaned = "".join(letter if letter.isprintable() else "\ufffd" for letter in str(text))
    return escape(cleaned, quote=False).replace("%{", "%\u200b{")


def short(text: object, most: int = 28) -> str:
    """Return a string of a study, escaped, cut in its middle where it is long: names end in what tells them apart."""
    found = str(text)
    if len(found) > most:
        head = (most - 1) // 2
        found = f"{found[:head]}…{found[head + 1 - most :]}"
    return plain(found)


def number(value: float | None, digits: int = 4) -> str:
    """Return a measured value for people, with so many digits that count."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.{digits}g}" if 1e-4 <= abs(value) < 1e5 or value == 0 else f"{value:.{digits - 1}e}"


def apart(one: float, other: float) -> tuple[str, str]:
    """Return two measured values for people, with as many digits as tell them apart."""
    pairs = ((number(one, digits), number(other, digits)) for digits in range(4, 18))
    return next((pair for pair in pairs if pair[0] != pair[1]), (number(one), number(other)))


def value(given: ParamValue) -> str:
    """Return a parameter's value for people."""
    return number(given) if isinstance(given, float) else str(given)


def template(look: str = "light") -> dict[str, Any]:
    """Return plotly's template of a look: `light` or `dark`."""
    shade = SHADES[look]
    axis = {
        "gridcolor": shade[GRID],
        "linecolor": shade[GRID],
        "zerolinecolor": shade[GRID],
        "tickcolor": shade[GRID],
        "automargin": True,
        "title": {"standoff": 8},
    }
    return {
        "layout": {
            "font": {"family": FONT, "size": 12, "color": shade[INK]},
            "paper_bgcolor": "rgba(0,0,0,0)" if look == "dark" else shade[PAPER],
            "plot_bgcolor": "rgba(0,0,0,0)" if look == "dark" else shade[PAPER],
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 56, "r": 16, "t": 16, "b": 44},
            "hovermode": "closest",
            "hoverlabel": {"align": "left", "bgcolor": shade[PAPER], "font": {"color": shade[INK]}},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
            "colorway": [COLORS[state] for state in ("complete", "running", "best", "paused", "fail", "waiting")],
        }
    }


def figure(
    traces: Sequence[Any],
    *,
    x: str = "",
    y: str = "",
    log_x: bool = False,
    log_y: bool = False,
    height: int = 340,
    **layout: Any,
) -> go.Figure:
    """Return a figure in our look.

    Args:
        traces: Plotly's, as `go` objects or dicts. Points carry their trial's number as `customdata`.
        x: Title of the axis, with its unit.
        y: The same.
        log_x: Whether the scale is logarithmic; the title then says so.
        log_y: The same.
        height: In pixels; the width is what there is.
        layout: More of plotly's layout.
    """
    import plotly.graph_objects as go

    axes = {
        "xaxis": {"title": {"text": _titled(x, log_x)}, "type": "log" if log_x else None},
        "yaxis": {"title": {"text": _titled(y, log_y)}, "type": "log" if log_y else None},
    }
    made = go.Figure(data=[*traces], layout={"template": template(), "height": height})
    made.update_layout(axes)
    made.update_layout(layout)
    return made


def mark(found: go.Figure, x: str, y: str, *, axes: tuple[str, str] = ("x", "y")) -> None:
    """Say where in a figure a trial stands, so that the page can mark any trial there, drawn or thinned out.

    Args:
        found: The figure; may be marked several times, once for each pair of its axes.
        x: A column of the page: `number`, `value:METRIC`, `metric:METRIC`, `param:NAME`, `epochs`, `seconds`, `begun`,
            `ended`; or `curve:METRIC` for all of a trial's reports, where `y` is `""`.
        y: The same.
        axes: Plotly's ids of the axes: `x`, `x2`, ...
    """
    meta = dict(found.layout.meta or {})
    meta["marks"] = [*meta.get("marks", ()), {"x": x, "y": y, "xaxis": axes[0], "yaxis": axes[1]}]
    found.update_layout(meta=meta)


def _titled(title: str, log: bool) -> str:
    return f"{title} (log scale)" if log and title else title
