"""Packages that only some commands need: which extra brings the one that is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from search.extras import lacking


@contextmanager
def needed(extra: str, *packages: str, what: str) -> Iterator[None]:
    """Turn the lack of a package into a sentence.

    Args:
        extra: That brings them.
        packages: By the names that they are imported by.
        what: Needs them, for people.

    Raises:
        SurroundingsError: One of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in packages:
            raise
        raise lacking(extra, missing, what=what) from error
