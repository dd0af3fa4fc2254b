"""A registry's file and the folders of versions beside it: read whole, replaced whole, and tidied after a kill."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from search.bundle import strict
from search.errors import SurroundingsError
from search.paths import ModelFolder, sync_folder, write_atomic
from search.registry.entries import Contents

STAGED: Final = ".staged-"
"""What the name of a bundle begins with that is to be a version."""

_STALE_S: Final = 86_400.0
"""Nobody stages a bundle for a day."""


def read(folder: ModelFolder) -> Contents:
    """Return all that a registry knows; of a model without versions, nothing.

    Raises:
        SurroundingsError: The file is damaged, or gone though there are versions.
    """
    try:
        return _read(folder)
    except FileNotFoundError:
        if not numbers(folder):
            return Contents()
    try:
        return _read(folder)  # the first version came between the two looks
    except FileNotFoundError as error:
        raise _damaged(f"{folder.registry} is gone, though versions lie beside it") from error


def write(folder: ModelFolder, contents: Contents) -> None:
    """Replace the file.

    Raises:
        SurroundingsError: It cannot be written, and is as it was.
    """
    try:
        write_atomic(folder.registry, contents.to_bytes())
    except OSError as error:
        raise _cannot_write(folder.registry, error) from error


def numbers(folder: ModelFolder) -> list[int]:
    """Return the versions that have a folder, named by the registry or not."""
    if not folder.root.is_dir():
        return []
    return [int(path.name) for path in folder.root.iterdir() if path.name.isascii() and path.name.isdecimal()]


def put(folder: ModelFolder, staged: Path, number: int, contents: Contents) -> None:
    """Rename a bundle into its number, after a note of that and before the registry names it.

    Args:
        folder: Of the model; this process holds its lock.
        staged: The bundle.
        number: Of the version.
        contents: Of the registry, with the version.

    Raises:
        SurroundingsError: Something cannot be written; the bundle is where it was.
    """
    target, told = folder.version(number), contents.to_bytes()
    try:
        write_atomic(folder.adding, f'{{"version": {number}}}\n')
        staged.rename(target)
        sync_folder(folder.root)
        write_atomic(folder.registry, told)
    except OSError as error:
        if target.exists() and number not in read(folder).versions:
            target.rename(staged)
        raise _cannot_write(target, error) from error
    with suppress(OSError):  # the version is there: the next one who has the lock takes the note away
        folder.adding.unlink()


def tidy(folder: ModelFolder, contents: Contents) -> None:
    """Take away what killed processes have left.

    Only a version that a note says was being added is taken away, never one that an older copy of the registry's file
    knows nothing of.

    Args:
        folder: Of the model; this process holds its lock.
        contents: Of the registry.
    """
    if folder.adding.exists():
        number = _noted(folder.adding)
        if number is not None and number not in contents.versions:
            shutil.rmtree(folder.version(number), ignore_errors=True)
        folder.adding.unlink()
    for path in folder.root.glob(".*.tmp"):
        path.unlink(missing_ok=True)
    for path in folder.root.glob(f"{STAGED}*"):
        if time.time() - path.lstat().st_mtime > _STALE_S:
            shutil.rmtree(path, ignore_errors=True)


def _read(folder: ModelFolder) -> Contents:
    path = folder.registry
    try:
        return Contents.from_bytes(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SurroundingsError(f"{path} cannot be read: {error.strerror}", field="model") from error
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(f"{path} is damaged: {' '.join(str(error).split())[:80]}") from error


def _noted(path: Path) -> int | None:
    try:
        values = strict.parse(path.read_bytes())
    except ValueError:
        return None
    number = values.get("version") if isinstance(values, dict) else None
    return number if isinstance(number, int) else None


def _damaged(said: str) -> SurroundingsError:
    return SurroundingsError(said, field="model", hint="put a good copy of it there; the versions are as they were")


def _cannot_write(path: Path, error: OSError) -> SurroundingsError:
    return SurroundingsError(f"{path} cannot be written: {error.strerror}", field="model")
