"""Markdown of words that others chose: names of columns, classes and studies that cannot break a table or a page."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

LONGEST: Final = 80
"""Characters of a name that are shown."""

_PLAIN: Final = re.compile(r"[\w .,:;+=%()/'!?@#&-]*", re.ASCII)
_PUNCTUATION: Final = re.compile(r"([!-/:-@\[-`{-~])")
_UNSEEN: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: str, longest: int = LONGEST) -> str:
    """Return a text in one line, without characters that nobody sees or that turn the line around."""
    seen = "".join(" " if unicodedata.category(one) in _UNSEEN else one for one in text[: 4 * longest])
    seen = " ".join(seen.split())
    return seen if len(seen) <= longest and len(text) <= 4 * longest else seen[: longest - 1] + "…"


def prose(text: str, longest: int = 400) -> str:
    """Return a text that Markdown shows as it is: no link, no HTML, no end of a cell."""
    return _PUNCTUATION.sub(r"\\\1", visible(text, longest))


def name(text: str) -> str:
    """Return a name as code, where code can show it; else as prose."""
    seen = visible(text)
    if not seen:
        return "(empty)"
    return f"`{seen}`" if _PLAIN.fullmatch(seen) else prose(seen, LONGEST)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, whose cells are Markdown already."""
    return [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]


def quoted(text: str) -> str:
    """Return a text as a YAML scalar in double quotes, in one line."""
    return json.dumps(visible(text, 200), ensure_ascii=False)


def number(value: float | None) -> str:
    """Return a number with the digits that people read: four, or all of a whole number."""
    if value is None:
        return "-"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"


def between(low: float | None, high: float | None) -> str:
    """Return an interval, or that there is none."""
    return "-" if low is None or high is None else f"{number(low)} to {number(high)}"
