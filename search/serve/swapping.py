"""Follows an alias of the registry: a server's model changes when it moves, and no request is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from search.errors import SweepError
from search.registry.resolving import Resolved, resolve
from search.serve.backend import Served

EVERY_S: Final = 0.5

_REST: Final = 60
"""Looks at the registry until a version that was refused is tried again: a cluster may have had no room for it."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What a server follows.

    Attributes:
        results: The results folder.
        text: The model, as it was asked for; only an alias ever moves.
        told: Called with a sentence for each change, and for each version that was refused.
    """

    results: Path
    text: str
    told: Callable[[str], object]


class Swapping(Protocol):
    """What answers with one model at a time."""

    @property
    def served(self) -> Served:
        """The model that answers."""

    async def swap(self, served: Served) -> None:
        """Have another model answer.

        Raises:
            SweepError: It does not; the one before goes on.
        """


async def follow(backend: Swapping, followed: Followed, *, every_s: float = EVERY_S) -> None:
    """Swap the model of a backend whenever another version is meant, until it is cancelled.

    A version that is damaged, or cannot be loaded, never answers: that is told once, and the one before goes on. It is
    tried again after a while, and as soon as the alias has been elsewhere. Nothing that fails ends the following.

    Args:
        backend: Answers meanwhile.
        followed: Names the alias.
        every_s: Seconds between two looks at the registry.
    """
    last, tried, again_s = "", None, 0.0
    while True:
        await asyncio.sleep(every_s)
        try:
            meant = await asyncio.to_thread(resolve, followed.results, followed.text)
        except Exception as error:  # taken away, or half-repaired by hand: it may come back
            said = f"{_sentence(error)}; {backend.served.label} goes on"
        else:
            if _is(backend.served, meant):
                last, tried = "", None
                continue
            if meant == tried and time.monotonic() < again_s:
                continue
            said = await _change(backend, meant)
            tried, again_s = meant, time.monotonic() + _REST * every_s
        if said != last:
            with suppress(Exception):  # nobody reads it: a terminal that is gone, a disk that is full
                followed.told(said)
        last = said


async def _change(backend: Swapping, meant: Resolved) -> str:
    before = backend.served.label
    try:
        bundle = await asyncio.to_thread(meant.open)
        await backend.swap(Served(bundle, meant.name, meant.version))
    except Exception as error:  # whatever it is, the server goes on
        return f"{meant.text} is refused: {_sentence(error)}; {before} goes on"
    return f"{meant.text} answers now, {before} before"


def _sentence(error: Exception) -> str:
    if isinstance(error, SweepError):
        return error.sentence()
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _is(served: Served, meant: Resolved) -> bool:
    if (served.name, served.version) != (meant.name, meant.version):
        return False
    return meant.digest is None or meant.digest == served.bundle.digest
