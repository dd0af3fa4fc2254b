"""A file that somebody asked for by its name: which it may be, and written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from search.errors import InputError, SurroundingsError
from search.paths import write_atomic


def page_file(given: str | Path, asked: str, *, field: str) -> Path:
    """Return the file that a page is to be written to.

    Args:
        given: What somebody named.
        asked: What it was named by, as the sentence of the error begins.
        field: The same, of the error.

    Raises:
        InputError: It can be no page.
    """
    path = Path(given)
    if "\0" in str(given) or path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise InputError(f"{asked} takes an .html file, got {str(given)!r}", field=field)
    return path


def write_output(path: Path, content: bytes | str, *, field: str) -> None:
    """Write a file that somebody asked for, whole or not at all.

    Raises:
        SurroundingsError: It cannot be written.
    """
    try:
        write_atomic(path, content)
    except OSError as error:
        raise SurroundingsError(f"{path} cannot be written: {error.strerror}", field=field) from error
