"""Follows an alias of the registry: a server's model changes when it moves, and no request is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from search.errors import SweepError
from search.registry.resolving import Resolved, resolve
from search.serve.backend import Served

EVERY_S: Final = 0.5


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


async def follow(
    backend: Swapping, results: Path, text: str, told: Callable[[str], object], *, every_s: float = EVERY_S
) -> None:
    """Swap the model of a backend whenever another version is meant, until it is cancelled.

    A version that is damaged, or cannot be loaded, never answers: that is told once, and the one before goes on.

    Args:
        backend: Answers meanwhile.
        results: The results folder.
        text: What was asked for; only an alias ever moves.
        told: Called with a sentence for each change, and for each version that was refused.
        every_s: Seconds between two looks at the registry.
    """
    last: Resolved | str | None = None
    while True:
        await asyncio.sleep(every_s)
        try:
            meant = await asyncio.to_thread(resolve, results, text)
        except SweepError as error:  # taken away, or half-repaired by hand: it may come back
            if last != error.sentence():
                last = error.sentence()
                told(f"{last}; {backend.served.label} goes on")
            continue
        if _is(backend.served, meant) or meant == last:
            continue
        last = meant
        told(await _change(backend, meant))


async def _change(backend: Swapping, meant: Resolved) -> str:
    before = backend.served.label
    try:
        bundle = await asyncio.to_thread(meant.open)
        await backend.swap(Served(bundle, meant.name, meant.version))
    except SweepError as error:
        return f"{meant.text} is refused: {error.sentence()}; {before} goes on"
    return f"{meant.text} answers now, {before} before"


def _is(served: Served, meant: Resolved) -> bool:
    if (served.name, served.version) != (meant.name, meant.version):
        return False
    return meant.digest is None or meant.digest == served.bundle.digest
