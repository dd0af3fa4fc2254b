"""HTML made from plain values, the one place of the page where a string of a study is escaped: `tag`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from typing import Any, Final, TypeAlias

_VOID: Final = {"meta", "link", "br", "input", "img", "col"}
_UNSEEN: Final = re.compile(
    r"[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What steers a terminal, and marks that turn the direction of text round, as in page.js; and halves of letters."""


class Markup(str):
    """Text that is HTML already; made by `tag`, `join` and `raw` alone."""

    __slots__ = ()


Child: TypeAlias = object
"""A `Markup`, taken as it is; None or False, left out; anything else is text, and escaped."""


def text(value: object) -> Markup:
    """Return a value as text of a page: markup, control letters and marks that turn text round do nothing in it."""
    return Markup(escape(_UNSEEN.sub("\ufffd", str(value)), quote=True))


def tag(name: str, /, *children: Child, **attributes: object) -> Markup:
    """Return an element.

    Args:
        name: Of the element.
        children: What stands in it.
        attributes: `class_` and `for_` stand for those words, `_` in names for `-`; None and False are left out, and
            True is the name alone.
    """
    written = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[Child], between: str = "") -> Markup:
    """Return children one after the other."""
    shown = [one if isinstance(one, Markup) else text(one) for one in children if one is not None and one is not False]
    return Markup(str(text(between)).join(shown))


def command(text: str, told: str = "") -> Markup:
    """Return a command with a button that copies it."""
    button = tag(
        "button", "Copy", type="button", class_="copy", data_copy=text, aria_label=f"Copy the command: {told or text}"
    )
    return tag("div", tag("code", text, tabindex="0"), button, class_="command")


def raw(given: str) -> Markup:
    """Return a string of ours that is HTML: an asset, never a word of a study."""
    return Markup(given)


def as_json(value: Any) -> Markup:
    """Return JSON that may stand within a script element: nothing in it ends the element, or a line of script.

    Raises:
        ValueError: A number in it is not finite; JSON knows none of these.
    """
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        written = written.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(written.encode("utf-8", "replace").decode("utf-8"))


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{text(value)}"'
