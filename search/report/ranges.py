"""Parameters against their ranges, as small bars: `ranges`."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from search.records.history import History
from search.records.parameters import Parameter
from search.report.html import Markup, tag
from search.report.theme import value as as_text

SHOWN: Final = 12
"""Parameters that stand in the head; the others are folded away."""


def ranges(history: History, number: int) -> Markup:
    """Return the parameters of a trial, each with the place of its value in the range that was searched."""
    rows = [_row(one, number) for one in history.parameters if not np.isnan(one.values[number])]
    if not rows:
        return tag("p", "It has no parameters.", class_="quiet")
    first, more = rows[:SHOWN], rows[SHOWN:]
    folded = tag("details", tag("summary", f"{len(more)} more parameters"), tag("dl", *more, class_="ranges"))
    return tag("div", tag("dl", *first, class_="ranges"), folded if more else None)


def _row(one: Parameter, number: int) -> Markup:
    value = one.value(number)
    text = _end(value) if isinstance(value, float) else as_text(value)
    return tag("div", tag("dt", one.name), tag("dd", tag("span", text, class_="value"), _bar(one, number)))


def _bar(one: Parameter, number: int) -> Markup:
    if one.is_choice:
        place, of = int(one.values[number]), len(one.choices)
        dots = [tag("i", class_="on" if here == place else None) for here in range(min(of, 12))]
        among = ", ".join(as_text(choice) for choice in one.choices[:8]) + (", …" if of > 8 else "")
        told = f"one of {of}: {among}" if of > 1 else "fixed"
        return tag("span", *(dots if 1 < of <= 12 else ()), tag("small", told), class_="among")
    if one.low == one.high:
        return tag("span", tag("small", "fixed"), class_="among")
    at = float(one.unit()[number])
    scale = ", log" if one.log else ""
    told = tag("small", tag("span", _end(one.low)), tag("span", f"{_end(one.high)}{scale}"))
    return tag("span", tag("i", style=f"--at:{min(1.0, max(0.0, at)):.4f}"), told, class_="range")


def _end(value: float) -> str:
    """Return a number as short as people write it: 7.31e-5."""
    return re.sub(r"e([+-])0+", r"e\1", f"{value:.4g}")
