"""What an app is called where: in text, in markup, in code, and in identifiers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from typing import Final

_PLACE: Final = re.compile(r"\{\{(\w+)\}\}")
_LONGEST: Final = 60


def title(name: str) -> str:
    """Return a model's name for people: one line, no control characters, not endless."""
    plain = "".join(letter if letter.isprintable() else " " for letter in name)
    return " ".join(plain.replace("_", " ").replace("-", " ").split())[:_LONGEST] or "Model"


def identifier(name: str) -> str:
    """Return a name as a part of an application's id: lower-case letters and digits, a letter first."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())[:40]
    return plain if plain[:1].isalpha() else f"m{plain}"


def in_markup(text: str) -> str:
    """Return text as it stands in HTML and XML."""
    return escape(text, quote=True)


def in_android(text: str) -> str:
    """Return text as it stands in a string resource, where quotes, `@` and `?` mean something, too."""
    plain = text.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')
    return escape(f"\\{plain}" if plain.startswith(("@", "?")) else plain, quote=False)


def in_swift(text: str) -> str:
    """Return text as it stands in a string literal of Swift, without its quotes."""
    return "".join(
        letter if (letter.isascii() and letter.isalnum()) or letter == " " else f"\\u{{{ord(letter):x}}}"
        for letter in text
    )


def in_markdown(text: str) -> str:
    """Return text as it stands in Markdown, on one line and without markup of its own."""
    plain = " ".join(text.split())
    return re.sub(r"([\\*_\[\]<>|#])", r"\\\1", plain)


def in_json(value: object) -> str:
    """Return a value as JSON that may stand in a script."""
    return json.dumps(value, ensure_ascii=True).replace("<", "\\u003c")


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return a template with its `{{places}}` filled; values are escaped already."""
    return _PLACE.sub(lambda found: values[found[1]], template)
