"""A CSS selector of the simple kind, `li.next > a[rel=next]`, as an XPath."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_-]*"
_COMPOUND: Final = re.compile(
    rf"(?P<tag>{_NAME}|\*)?(?P<rest>(?:[#.]{_NAME}|\[{_NAME}(?:=(?:\"[^\"']*\"|'[^\"']*'|[^\"'\]\s]*))?\])*)"
)
_PART: Final = re.compile(r"([#.])([A-Za-z0-9_-]+)|\[([A-Za-z0-9_-]+)(=[\"']?([^\"'\]]*)[\"']?)?\]")


def xpath_of(selector: str) -> str | None:
    """Return an XPath for tags, `#id`, `.class`, `[attribute=value]`, blanks and `>`; None for anything else."""
    path, axis = "", "//"
    for token in re.sub(r"\s*>\s*", " > ", selector.strip()).split(" "):
        if token == ">" and axis == "//" and path:
            axis = "/"
            continue
        found = _COMPOUND.fullmatch(token)
        if not token or found is None:
            return None
        path += axis + (found["tag"] or "*") + "".join(map(_condition, _PART.finditer(found["rest"])))
        axis = "//"
    return path if axis == "//" and path else None


def _condition(part: re.Match[str]) -> str:
    mark, name, attribute, given, value = part.groups()
    if mark == "#":
        return f"[@id='{name}']"
    if mark == ".":
        return f"[contains(concat(' ', normalize-space(@class), ' '), ' {name} ')]"
    return f"[@{attribute.lower()}='{value}']" if given else f"[@{attribute.lower()}]"
