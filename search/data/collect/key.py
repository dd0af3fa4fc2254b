"""The key of a collection: from the environment or a file, or made once and kept to its owner."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from search.data.collect.place import CollectionFolder, cannot_write
from search.paths import sync_folder
from search.serving.key import Key, key_of, read_key

VARIABLE: Final = "SWEEP_COLLECT_KEY"
_FLAG: Final = "--key-file"


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
        return read_key(file, flag=_FLAG)
    if variable is not None:
        return key_of(variable, VARIABLE, flag=_FLAG)
    if not folder.key.exists():
        _make(folder.key)
    return read_key(folder.key, flag=_FLAG)


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
