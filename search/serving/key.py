"""`Key`: what a request has to bring; it comes from the environment or a file, and never prints."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from search.errors import InputError

_LEAST: Final = 16
_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Key:
    """A key that never prints.

    Attributes:
        file: Where it stands; None if it came from the environment.
    """

    _value: bytes = field(repr=False)
    file: Path | None = None

    def fits(self, header: str | None) -> bool:
        """Tell whether an `Authorization` header brings it; how long that takes says nothing about the key."""
        kind, _, given = (header or "").partition(" ")
        return hmac.compare_digest(given.strip().encode(), self._value) and kind.lower() == "bearer"

    def equals(self, other: Key) -> bool:
        """Tell whether another key is the same; how long that takes says nothing about them."""
        return hmac.compare_digest(self._value, other._value)


def key_of(text: str, of: str, *, flag: str, file: Path | None = None) -> Key:
    """Return a key, checked.

    Args:
        text: That holds it, and blanks around it at most.
        of: Where it comes from, for the error.
        flag: That names its file.
        file: Where it stands.

    Raises:
        InputError: It is too short to be one, or holds what a header cannot.
    """
    text = text.strip()
    if not _LEAST <= len(text) <= _MOST or not text.isascii() or not text.isprintable() or " " in text:
        what = "token" if "token" in flag else "key"
        raise InputError(
            f"{of} holds no {what}: {_LEAST} to {_MOST} printable ASCII characters without blanks", field=flag
        )
    return Key(text.encode(), file)


def read_key(file: Path, *, flag: str) -> Key:
    """Return the key that stands in a file.

    Raises:
        InputError: It cannot be read, or is none.
    """
    of = f"{flag.removeprefix('--').replace('-', ' ')} {file}"
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST + 2).decode(errors="replace")
    except OSError as error:
        raise InputError(f"{of} cannot be read: {error.strerror}", field=flag) from error
    return key_of(text, of, flag=flag, file=file)
