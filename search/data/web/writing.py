"""Writes a body into a file as it comes."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

from search.data.web.answers import Streamed
from search.data.web.guard import shown
from search.errors import SurroundingsError


def write(path: Path, have: int, chunks: Iterator[bytes]) -> Iterator[int]:
    """Write behind the first `have` bytes of a file, and yield how many there are."""
    try:
        with path.open("r+b" if have else "wb", buffering=0) as file:
            file.truncate(have)
            file.seek(have)
            yield have
            for chunk in chunks:
                have += _write_all(file, chunk)
                yield have
    except OSError as error:
        raise SurroundingsError(f"{path} cannot be written: {error.strerror}", field="data") from error


def begin_anew(path: Path) -> None:
    """Forget what a file holds, before anything else is said to be in it."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise SurroundingsError(f"{path} cannot be written: {error.strerror}", field="data") from error


def check_space(path: Path, answer: Streamed) -> None:
    """Make sure that what is still to come has room."""
    free = shutil.disk_usage(path.parent).free
    if answer.total is not None and answer.total - answer.size > free:
        raise SurroundingsError(
            f"{shown(answer.url)} has {answer.total / 1e6:,.0f} MB, and {path.parent} {free / 1e6:,.0f} MB free",
            field="data",
        )


def _write_all(file: io.FileIO, chunk: bytes) -> int:
    done = 0
    while done < len(chunk):
        done += file.write(chunk[done:])
    return done
