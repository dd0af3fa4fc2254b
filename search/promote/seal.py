"""The test rows come out once, for one winner, across all studies of a results folder: an `Opened`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from search.contract import Dataset, Part
from search.data.splits import SealedTest
from search.errors import InputError, RefusedError, SurroundingsError
from search.problem import Problem
from search.promote.openings import Opening, ledger_file, locked, openings_of
from search.promote.rowprint import KEPT, hashes_in, print_of, share_among
from search.registry.resolving import all_models
from search.registry.stamp import Stamp, stamp

Hashes = np.ndarray[Any, Any]

FIRST: Final = "the winner is tested"
"""Reason of an opening that needs none."""

MOST_SEEN: Final = 0.5
"""Share of the test rows from which on they are no longer new: then they come out with a reason only."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """Test rows that are out.

    Attributes:
        part: The rows.
        opening: As the ledger has it.
        before: Earlier openings that some of the rows were in, in their order.
        seen: How many of the rows these were, about.
    """

    part: Part
    opening: Opening
    before: tuple[Opening, ...]
    seen: int

    @property
    def sentence(self) -> str:
        """What people should know of it; "" where all rows are new."""
        if not self.before:
            return ""
        rows = self.opening.rows
        about = "about " if len(rows.hashes) >= KEPT else ""
        last, times = self.before[-1], f", {len(self.before)} times in all" if len(self.before) > 1 else ""
        told = f"{about}{self.seen:,} of the {rows.rows:,} test rows were seen before, last {last.text}{times}"
        return f"{told}; opened again: {self.opening.reason}" if self.opening.reason != FIRST else told


def open_test(
    results: Path,
    problem: Problem,
    study: str,
    model: str,
    again: str | None = None,
    *,
    stamp: Callable[[], Stamp] = stamp,
) -> Opened:
    """Open the sealed test part of a problem, and write so down before any row is out.

    A row counts as seen if one with the same features and target was in an earlier opening, by whatever study of the
    results folder. Where half of the rows or more were seen, a reason has to be given.

    Args:
        results: The results folder.
        problem: With its data.
        study: Whose winner is tested.
        model: That it is to become.
        again: Why the rows are opened once more.
        stamp: Says when and by whom.

    Raises:
        InputError: There is no sealed part, or the reason is empty.
        RefusedError: The rows were seen before, and no reason is given.
        SurroundingsError: The ledger is damaged or gone, or cannot be written.
    """
    dataset, sealed, hashes = _sealed(problem, again)
    reason = " ".join((again or FIRST).split())  # it stands in tables
    with locked(results) as ledger:
        _check_not_lost(results, ledger.openings)
        before, share = _before(ledger.openings, hashes)
        _refuse_used(before, share, again)
        opening = ledger.add(Opening(0, *stamp(), study, model, reason, problem.data_hash, print_of(hashes)))
    return Opened(sealed.open(dataset, reason), opening, before, round(share * len(hashes)))


def check_closed(results: Path, problem: Problem, again: str | None = None) -> None:
    """Refuse early what `open_test` would refuse anyway; no row comes out.

    Raises:
        InputError, RefusedError, SurroundingsError: As `open_test`.
    """
    _, _, hashes = _sealed(problem, again)
    openings = openings_of(results)
    _check_not_lost(results, openings)
    _refuse_used(*_before(openings, hashes), again)


def ended(
    results: Path,
    opening: Opening,
    *,
    version: int | None = None,
    outcome: str = "",
    stamp: Callable[[], Stamp] = stamp,
) -> None:
    """Write down what became of an opening.

    Args:
        results: The results folder.
        opening: That it is about.
        version: That came of it.
        outcome: What else, in a few words: `refused by the gate`.
        stamp: Says when and by whom.

    Raises:
        SurroundingsError: The ledger is damaged, or cannot be written.
    """
    with locked(results) as ledger:
        ledger.end(opening.number, version, outcome, stamp().when)


def _sealed(problem: Problem, again: str | None) -> tuple[Dataset, SealedTest, Hashes]:
    """Return the data, its sealed part, and the hashes of that part's rows."""
    if problem.split is None or problem.dataset is None:
        said = "the objective gets its own data, so no test rows were kept from its trials to score the winner on"
        raise InputError(said, field="objective", hint="give it the four stages (docs/promote.md)")
    if again is not None and not again.strip():
        raise InputError("--again takes the reason, got nothing", field="--again")
    sealed = problem.split.test
    return problem.dataset, sealed, hashes_in(problem.dataset, sealed._sealed())


def _before(openings: Sequence[Opening], hashes: Hashes) -> tuple[tuple[Opening, ...], float]:
    """Return the openings that some of the rows were in, and the share of rows that were in any."""
    before = tuple(one for one in openings if share_among(hashes, [one.rows]) > 0)
    return before, share_among(hashes, [one.rows for one in before])


def _check_not_lost(results: Path, openings: Sequence[Opening]) -> None:
    """Make sure that openings are known where models are: none is registered without one.

    Raises:
        SurroundingsError: The ledger is gone, or emptied.
    """
    if not openings and (models := all_models(results)):
        said = f"{ledger_file(results)} is gone or empty though {models[0]} has versions"
        hint = "put it back from a copy, or sweep into another results folder"
        raise SurroundingsError(f"{said}, so nobody knows what test rows were seen", field="results", hint=hint)


def _refuse_used(before: Sequence[Opening], share: float, again: str | None) -> None:
    if share >= MOST_SEEN and again is None:
        raise RefusedError(
            f"the test split was used {before[-1].text}",
            field="--again",
            hint='--again "reason" opens it once more and the card says so',
        )
