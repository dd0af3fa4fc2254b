"""Trouble with a disk, as the sentence of a `SurroundingsError`."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Final

from search.errors import SurroundingsError

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}


def cannot_write(path: Path, error: OSError) -> SurroundingsError:
    """Return the error that says why `path` could not be written."""
    if error.errno in _FULL:
        return no_space(path.parent)
    return SurroundingsError(f"{path} cannot be written: {_reason(error)}", field="results")


def cannot_read(path: Path, error: OSError) -> SurroundingsError:
    """Return the error that says why `path` could not be read."""
    return SurroundingsError(f"{path} cannot be read: {_reason(error)}", field="results")


def no_space(folder: Path) -> SurroundingsError:
    """Return the error of a full disk, with what is left on it."""
    try:
        free_mb = f"{shutil.disk_usage(folder).free / 1e6:.1f}"
    except OSError:
        free_mb = "?"
    return SurroundingsError(
        f"no space left on {folder}: {free_mb} MB free", field="results", hint="free some and resume"
    )


def _reason(error: OSError) -> str:
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
