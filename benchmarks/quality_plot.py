"""The anytime curves as one SVG: how far from the best what a search would return is, over the epochs spent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

import numpy as np

from benchmarks.quality_shown import Sheet
from benchmarks.quality_stats import Array, marks

COLUMNS: Final = 2
_WIDTH, _HEIGHT = 440, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 26, 30
_ROW: Final = 18
_LEAST: Final = 0.05
"""Points; below is drawn as that."""
_COLORS: Final = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#8c564b", "#ff7f0e", "#17becf", "#7f7f7f", "#bcbd22")
_TICKS: Final = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def drawn(sheets: Sequence[Sheet], arms: Sequence[str]) -> str:
    """Draw a panel for each table of one setting, with the curves of these arms, the first on top."""
    rows = -(-len(sheets) // COLUMNS)
    legend = _ROW * (-(-len(arms) // 4) + 1)
    width, height = COLUMNS * _WIDTH, rows * _HEIGHT + legend
    box = f'viewBox="0 0 {width} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif" font-size="11">',
        "<title>Mean test error above the best of the table, in points, over epochs</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for index, arm in enumerate(arms):
        x, y = 10 + index % 4 * width / 4, 14 + index // 4 * _ROW
        lines.append(f'<path d="M{x:.0f} {y - 4}h22" stroke="{_color(index)}" stroke-width="{_thick(index)}"/>')
        lines.append(f'<text x="{x + 28:.0f}" y="{y}">{escape(arm)}</text>')
    for index, sheet in enumerate(sheets):
        x, y = index % COLUMNS * _WIDTH, legend + index // COLUMNS * _HEIGHT
        lines.append(f'<g transform="translate({x},{y})">{"".join(_panel(sheet, arms))}</g>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(sheet: Sheet, arms: Sequence[str]) -> Iterator[str]:
    at = marks(sheet.setting)
    curves = {arm: 100 * sheet.scores[arm].regrets.mean(axis=0) for arm in arms if arm in sheet.scores}
    top = max([2 * _LEAST, *(float(curve.max()) for curve in curves.values())])
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def across(values: Array) -> Array:
        share = np.log(values / at[0]) / np.log(at[-1] / at[0])
        return np.asarray(_LEFT + share * (right - _LEFT))

    def up(values: Array) -> Array:
        share = np.log(np.maximum(values, _LEAST) / _LEAST) / np.log(top / _LEAST)
        return np.asarray(bottom - share * (bottom - _TOP))

    yield f'<text x="{_LEFT}" y="{_TOP - 9}" font-weight="bold">{escape(sheet.table.name)}</text>'
    unit = "epochs" if sheet.setting.epoch_s is None else "seconds"
    yield f'<text x="{right}" y="{_TOP - 9}" text-anchor="end">points above the best, over {unit}</text>'
    for tick in _TICKS:
        if tick <= top:
            y = float(up(np.array(tick)))
            yield f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#ddd"/>'
            yield f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
    for x, value in zip(across(at[::7]), at[::7], strict=True):
        yield f'<path d="M{x:.1f} {bottom}v4" stroke="#888"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{value:,.{0 if value >= 10 else 1}f}</text>'
    for index, arm in reversed([*enumerate(arms)]):
        if arm in curves:
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across(at), up(curves[arm]), strict=True))
            yield (f'<polyline points="{points}" fill="none" stroke="{_color(index)}" stroke-width="{_thick(index)}"/>')


def _color(index: int) -> str:
    return _COLORS[index % len(_COLORS)]


def _thick(index: int) -> float:
    return 2.5 if index == 0 else 1.2
