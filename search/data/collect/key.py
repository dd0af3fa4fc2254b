"""`Key`: what a request has to bring; from the environment or a file, or made once and kept to its owner."""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from search.data.collect.place import CollectionFolder, cannot_write
from search.errors import InputError
from search.paths import sync_folder

VARIABLE: Final = "SWEEP_COLLECT_KEY"

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


def find_key(folder: CollectionFolder, file: Path | None, variable: str | None) -> Key:
    """Return the key of a collection; one that is nowhere is made.

    Args:
        folder: Of the collection.
        file: The file that the user names, or None.
        variable: The value of `SWEEP_COLLECT_KEY`, or None.

    Raises:
        InputError: The key cannot be read, or is too short to be one.
        SurroundingsError: It cannot be stored.
    """
    if file is not None:
        return _read(file)
    if variable is not None:
        return Key(_checked(variable, VARIABLE))
    if not folder.key.exists():
        _make(folder.key)
    return _read(folder.key)


def _read(file: Path) -> Key:
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST + 2).decode(errors="replace")
    except OSError as error:
        raise InputError(f"key file {file} cannot be read: {error.strerror}", field="--key-file") from error
    return Key(_checked(text, f"key file {file}"), file)


def _checked(text: str, of: str) -> bytes:
    text = text.strip()
    if not _LEAST <= len(text) <= _MOST or not text.isascii() or not text.isprintable() or " " in text:
        raise InputError(
            f"{of} holds no key: {_LEAST} to {_MOST} printable ASCII characters without blanks", field="--key-file"
        )
    return text.encode()


def _make(path: Path) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(fd)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
