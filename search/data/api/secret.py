"""`Secrets`: what `${NAME}` in a description stands for, and how to keep it out of everything that is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

from search.data.secrets import forms_of, is_secret_name, mask
from search.errors import InputError

_PLACE: Final = re.compile(r"\$\{([^}]*)\}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LEAST_IN_DATA: Final = 8
_LEAST_IN_TEXT: Final = 4
"""Characters of a secret that is looked for: a shorter one also occurs by chance."""

_HEADERS: Final = ("authorization", "proxyauthorization", "cookie")
_HEADER_PARTS: Final = ("key", "token", "secret", "password")

Piece = str | dict[str, str]
"""A part of a text: as it is, or `{"secret": NAME}`."""


class Secrets:
    """Values from the environment, by name.

    Args:
        texts: With `${NAME}` in them.
        environment: Where the values come from.
        file: The description, for people.

    Raises:
        InputError: A variable is not set, or what stands in the braces is no name.
    """

    def __init__(self, texts: Iterable[str], environment: Mapping[str, str], file: str) -> None:
        self._values: dict[str, str] = {}
        for text in texts:
            for name in _PLACE.findall(text):
                if not _NAME.fullmatch(name):
                    raise InputError(f"{file}: ${{{name[:40]}}} is no name of an environment variable", field=name[:40])
                value = environment.get(name, "").strip()
                if not value:
                    said = "empty" if name in environment else "not set"
                    raise InputError(
                        f"{file} needs the environment variable {name}, which is {said}",
                        field=name,
                        hint=f"export {name}=...",
                    )
                if not value.isprintable() or not value.isascii():
                    raise InputError(f"{file}: the environment variable {name} holds what no header can", field=name)
                self._values[name] = value

    def __bool__(self) -> bool:
        return bool(self._values)

    def fill(self, text: str, *, quoted: bool = False) -> str:
        """Return `text` with each value in its place, as a part of a URL where it is `quoted`."""
        return _PLACE.sub(
            lambda found: quote(self._values[found[1]], safe="") if quoted else self._values[found[1]], text
        )

    def take_apart(self, text: str) -> list[Piece]:
        """Return `text`, a URL, without any secret in it, as pieces that `put_together` makes whole again."""
        forms = {form: name for name, value in self._values.items() for form in forms_of(value)}
        if not forms:
            return [text]
        pattern = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))
        pieces: list[Piece] = []
        end = 0
        for found in pattern.finditer(text):
            pieces += [text[end : found.start()], {"secret": forms[found[0]]}]
            end = found.end()
        return [*pieces, text[end:]]

    def put_together(self, pieces: Iterable[Piece]) -> str:
        """Return the URL that was taken apart, with the values of today.

        Raises:
            KeyError: A secret that is in it is no longer known.
        """
        return "".join(one if isinstance(one, str) else quote(self._values[one["secret"]], safe="") for one in pieces)

    def hide(self, text: str) -> str:
        """Return text from the other side, which may repeat what it was sent, without secrets."""
        return self._replaced(text, _LEAST_IN_DATA)

    def keep_out(self, text: str) -> str:
        """Return text for people without secrets."""
        return self._replaced(text, _LEAST_IN_TEXT)

    def _replaced(self, text: str, least: int) -> str:
        return mask(text, *(value for value in self._values.values() if len(value) >= least))


def is_open_header(name: str, value: str) -> bool:
    """Tell whether a header holds a secret itself, and not by a `${NAME}`."""
    plain = re.sub(r"[-_.\s]", "", name).lower()
    is_secret = plain in _HEADERS or any(part in plain for part in _HEADER_PARTS)
    return is_secret and bool(value.strip()) and _PLACE.search(value) is None


def is_open_parameter(name: str, value: str) -> bool:
    """Tell whether a parameter of a query holds a secret itself; a truth value is none."""
    return is_secret_name(name) and value.strip() not in ("", "true", "false") and _PLACE.search(value) is None
