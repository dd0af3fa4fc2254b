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
    """Return the error of a full disk, with what is left on it; one may be full of files, too."""
    try:
        left = f"{shutil.disk_usage(folder).free / 1e6:.1f} MB free"
        disk = os.statvfs(folder)
        if disk.f_files and not disk.f_favail:
            left = "as many files as it can hold"
    except OSError:
        left = "? MB free"
    return SurroundingsError(f"no space left on {folder}: {left}", field="results", hint="free some and try again")


def _reason(error: OSError) -> str:
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
