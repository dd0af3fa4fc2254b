"""Spans of time as people read them: in the unit that fits."""

from __future__ import annotations

from typing import Final

_UNITS: Final = (("h", 3600.0, 3.0), ("min", 60.0, 3.0), ("s", 1.0, 0.0))
"""Of each its name, its seconds, and how many of it a span has at least that is told in it."""


def unit_of(seconds: float) -> tuple[str, float]:
    """Return the unit in which a span is told, and its seconds."""
    for name, second, least in _UNITS:
        if seconds >= second * least:
            return name, second
    return "s", 1.0


def spoken(seconds: float) -> str:
    """Return a span for people, as in `14 min`."""
    name, second = unit_of(seconds)
    value = seconds / second
    return f"{value:.0f} {name}" if value >= 10 else f"{value:.2g} {name}"
