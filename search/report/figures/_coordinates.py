"""What is written at parallel axes: their strokes, names, ends and choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from search.report import theme
from search.report.figures._axis import NOT_SET, Axis

ABSENT: Final = -0.14
"""Where a line passes an axis whose parameter its trial does not have; axes go from 0 to 1."""

_MOST_CHOICES: Final = 8
"""Choices that are named on an axis, at most."""

_ABOVE_PX: Final = 26
_LEVEL_PX: Final = 15
_TAG: Final = {"bgcolor": "rgba(245,246,248,0.85)", "font": {"size": 10, "color": theme.SHADES["light"][theme.INK]}}
"""How what stands on lines is written, in both looks of the page."""


def strokes(count: int) -> list[dict[str, Any]]:
    """Return the axes themselves, as shapes."""
    line = {"color": theme.COLORS["pruned"], "width": 1}
    return [{"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": line} for x in range(count)]


def names(axes: Sequence[Axis], absent: Sequence[bool]) -> list[dict[str, Any]]:
    """Return annotations of the parameters' axes.

    Args:
        axes: From left to right.
        absent: Of each, whether some trial does not have it.
    """
    found = []
    for x, (axis, is_absent) in enumerate(zip(axes, absent, strict=True)):
        found.append(_name(x, theme.short(axis.name, 22)))
        if axis.choices:
            step = -(-len(axis.choices) // _MOST_CHOICES)
            for place in range(0, len(axis.choices), step):
                y = (place + 0.5) / len(axis.choices)
                found.append(_label(x, y, theme.short(axis.choices[place], 12), xshift=4, xanchor="left"))
        else:
            found += _ends(x, axis.said(axis.low), axis.said(axis.high), axis.log)
        if is_absent:
            found.append(_label(x, ABSENT, NOT_SET, xshift=4, xanchor="left"))
    return found


def last(x: int, metric: str, ends: tuple[float, float], *, log: bool) -> list[dict[str, Any]]:
    """Return annotations of the axis of values.

    Args:
        x: Where it stands.
        metric: Its name.
        ends: The values at its lower and its upper end.
        log: Whether it is logarithmic.
    """
    name = _name(x, f"<b>{theme.short(metric, 22)}</b>")
    return [name, *_ends(x, theme.number(ends[0]), theme.number(ends[1]), log)]


def _name(x: int, text: str) -> dict[str, Any]:
    """Return a name; neighbours stand on two levels, so that they do not run into each other."""
    shift = _ABOVE_PX + _LEVEL_PX * (x % 2)
    return {"x": x, "y": 1, "yshift": shift, "text": text, "showarrow": False, "font": {"size": 11}}


def _ends(x: int, low: str, high: str, log: bool) -> list[dict[str, Any]]:
    scale = " (log)" if log else ""
    return [_label(x, 1, f"{theme.plain(high)}{scale}", yshift=9), _label(x, 0, theme.plain(low), yshift=-9)]


def _label(x: int, y: float, text: str, **at: Any) -> dict[str, Any]:
    return {"x": x, "y": y, "text": text, "showarrow": False, **_TAG, **at}
