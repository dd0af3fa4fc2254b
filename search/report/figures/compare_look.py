"""How studies look side by side: one colour and one dash a study, in the order in which they were named."""

from __future__ import annotations

from typing import Any, Final

COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C", "#7A5195")
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "8px,3px,2px,3px,2px,3px", "2px,6px")
SYMBOLS: Final = ("circle", "square", "diamond", "cross", "triangle-up", "triangle-down", "star", "x")


def line(place: int) -> dict[str, Any]:
    """Return plotly's line of the study at this place."""
    return {"color": COLORS[place % len(COLORS)], "dash": DASHES[place % len(DASHES)], "width": 2}


def marker(place: int) -> dict[str, Any]:
    """Return plotly's marker of the study at this place."""
    return {"color": COLORS[place % len(COLORS)], "symbol": SYMBOLS[place % len(SYMBOLS)], "size": 9}
