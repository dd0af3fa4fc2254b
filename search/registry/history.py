"""What served when, and what came before, read from the moves of a registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.registry.entries import PRODUCTION, Move


@dataclass(frozen=True, slots=True)
class Served:
    """A version that an alias pointed at for a while.

    Attributes:
        version: Its number.
        since, until: In UTC; until is None while it still does.
        by, why: Who had it begin, and why.
        study, trial: Where it comes from.
    """

    version: int
    since: str
    until: str | None
    by: str
    why: str
    study: str
    trial: int


def served(history: Sequence[Move], alias: str = PRODUCTION) -> tuple[Served, ...]:
    """Return what an alias has pointed at, the oldest first."""
    moves = [move for move in history if move.alias == alias]
    ends = [*(move.when for move in moves[1:]), None]
    return tuple(
        Served(move.to, move.when, until, move.by, move.why, move.study, move.trial)
        for move, until in zip(moves, ends, strict=False)
    )


def before(history: Sequence[Move], alias: str = PRODUCTION) -> int | None:
    """Return the version to go back to: the one before, as a browser's back button has it; None if there is none.

    Each move goes one step on, and a rollback as many steps back as it needs to be where it went; so a second rollback
    goes further back, and not to and fro.
    """
    steps: list[int] = []
    for move in history:
        if move.alias != alias:
            continue
        if move.how == "rollback" and move.to in steps:
            while steps[-1] != move.to:
                steps.pop()
        else:
            steps.append(move.to)
    return steps[-2] if len(steps) > 1 else None
