"""Several small figures in one: where their axes lie."""

from __future__ import annotations

from typing import Any, Final

from search.report import theme

_ROW_PX: Final = 250
_BETWEEN_PX: Final = 64
"""Of the axis and its title, under each row but the last."""

_MARGINS_PX: Final = 80
_HEADING_PX: Final = 20


def ids(place: int) -> tuple[str, str]:
    """Return plotly's names of a panel's axes: `x`, `y`, then `x2`, `y2`, ..."""
    suffix = str(place + 1) if place else ""
    return f"x{suffix}", f"y{suffix}"


def height_px(count: int, columns: int) -> int:
    """Return how high a figure of so many panels is, in pixels."""
    return _whole_px(count, columns) + _MARGINS_PX


def heading(place: int, text: str) -> dict[str, Any]:
    """Return a title above a panel's vertical axis, which takes no room beside it.

    Args:
        place: Which panel.
        text: Escaped.
    """
    x_id, y_id = ids(place)
    at = {"xref": f"{x_id} domain", "yref": f"{y_id} domain", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
    return {**at, "text": text, "showarrow": False, "yshift": 2}


def legend(count: int, columns: int) -> dict[str, Any]:
    """Return where the legend stands: above the headings."""
    return {"y": 1 + _HEADING_PX / _whole_px(count, columns)}


def layout(
    place: int, count: int, columns: int, x: dict[str, Any], y: dict[str, Any], *, gap: float = 0.06
) -> dict[str, Any]:
    """Return the two axes of a panel, as parts of plotly's layout.

    Args:
        place: Which panel, from 0, row by row.
        count: Of panels.
        columns: At most so many stand side by side.
        x: Settings of the horizontal axis.
        y: Of the vertical one.
        gap: Between two columns, of the whole width.
    """
    beside = min(columns, count)
    whole = _whole_px(count, columns)
    column, row = place % beside, place // beside
    wide = (1 - (beside - 1) * gap) / beside
    top = 1 - row * (_ROW_PX + _BETWEEN_PX) / whole
    left = column * (wide + gap)
    x_id, y_id = ids(place)
    return {
        f"xaxis{x_id[1:]}": {**x, "domain": [left, left + wide], "anchor": y_id},
        f"yaxis{y_id[1:]}": {**y, "domain": [max(0.0, top - _ROW_PX / whole), top], "anchor": x_id},
    }


def ranks(metric: str) -> dict[str, Any]:
    """Return the scale of colours of ranks, from 0, the best, to 1."""
    return {
        "colorscale": theme.RAMP,
        "reversescale": True,
        "cmin": 0,
        "cmax": 1,
        "colorbar": {
            "title": {"text": f"rank by {theme.short(metric, 20)}", "font": {"size": 11}, "side": "right"},
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
            "ticktext": ["best", "25%", "median", "75%", "worst"],
            "thickness": 12,
            "outlinewidth": 0,
        },
    }


def _whole_px(count: int, columns: int) -> int:
    rows = -(-count // columns)
    return rows * _ROW_PX + (rows - 1) * _BETWEEN_PX
