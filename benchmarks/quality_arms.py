"""The searches that are measured, by name: `LIBRARY:NAME`, or the library alone where it has one.

A library is imported when one of its arms runs, so that each can live in a virtual environment of its own
(`quality-peers.txt`, `quality-mobster.txt`): what is missing here is said, and left to a run elsewhere.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from benchmarks.quality_clock import Search
from benchmarks.quality_tables import Table

OURS: Final = "ours"
_MODULES: Final[Mapping[str, str]] = {
    OURS: "quality_ours",
    "optuna": "quality_optuna",
    "ray": "quality_ray",
    "syne": "quality_syne",
    "mobster": "quality_mobster",
    "smac": "quality_smac",
    "dehb": "quality_dehb",
}


def missing(library: str) -> str | None:
    """Say what keeps a library from being run here; None if nothing does."""
    try:
        _module(library)
    except ImportError as error:  # not installed, or another release
        return str(error)
    return None


def names(library: str) -> Iterator[str]:
    """Yield the arms of a library, which is here."""
    for name in _module(library).NAMES:
        yield f"{library}:{name}" if name else library


def libraries() -> tuple[str, ...]:
    return tuple(_MODULES)


def library_of(arm: str) -> str:
    """Return which library an arm is of.

    Raises:
        ValueError: There is no such library.
    """
    library = arm.partition(":")[0]
    if library not in _MODULES:
        raise ValueError(f"no arm {arm!r}: it begins with one of {', '.join(_MODULES)}")
    return library


def make(arm: str, table: Table, seed: int) -> Search:
    """Build a search."""
    search: Search = _module(library_of(arm)).make(arm.partition(":")[2], table, seed)
    return search


def version(arm: str) -> str:
    """Return what an arm's results depend on beside table and seed."""
    return str(_module(library_of(arm)).version(arm.partition(":")[2]))


@cache
def _module(library: str) -> Any:
    return importlib.import_module(f"benchmarks.{_MODULES[library]}")
