"""Registers what takes over as a version and moves `production`, once, whatever is killed meanwhile: `Registering`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from search.bundle.bundle import write_bundle
from search.data.fetch import Say
from search.online.buffer import Buffer
from search.online.challenger import Challenger
from search.online.choices import Choices
from search.online.competitor import Fixed
from search.online.contest import Answering, Registered
from search.online.kept import Row
from search.online.rebasing import rebased
from search.online.written import Written
from search.paths import OnlineFolder
from search.registry.entries import PRODUCTION, Facts
from search.registry.registry import Registry
from search.serve.backend import Served


class Sweeping(Protocol):
    """Sweeps over the newest rows, one at a time."""

    @property
    def found(self) -> bool:
        """Whether a winner waits."""

    def start(self, buffer: Buffer, served: Served, why: str) -> None:
        """Start one, unless one runs."""

    def look(self) -> None:
        """See how it stands."""

    def take_winner(self, known: Collection[int]) -> int | None:
        """Return the version that won, once; None if there is none, or it is one of those that are known."""

    def to_json(self) -> dict[str, Any]:
        """Return how it stands, as `status.json` has it."""

    def close(self) -> None:
        """Stop it; it can go on later."""


class Registering:
    """Carries out what an engine decides, in the registry.

    Args:
        results: The results folder.
        name: Of the model.
        identity: Of the log: with a place in it, the mark of a decision.
        champion: In production as far as the engine knows.
        choices: How it learns.
        sweeping: Starts sweeps.
        target: Tells a target as people know it.
        say: Gets a sentence for each change.

    Attributes:
        changed: Whether a version was registered or moved since somebody set it to false.
    """

    def __init__(
        self,
        results: Path,
        name: str,
        identity: str,
        champion: Fixed,
        *,
        choices: Choices,
        sweeping: Sweeping,
        target: Callable[[float], Any],
        say: Say,
    ) -> None:
        folder = OnlineFolder.of(results, name)
        self.changed = False
        self._results, self._registry, self._identity = results, Registry.of(results, name), identity
        self._champion, self._sweeping, self._target, self._say = champion, sweeping, target, say
        self._choices = choices
        self._audit = Written(folder.audit, identity)
        self._aside = Written(folder.aside, identity, older=folder.older_aside)

    def publish(self, challenger: Challenger, place: str, why: str) -> Fixed:
        """Make the challenger, as it is, a version in production; one with this mark is there already after a crash.

        Raises:
            SweepError: It cannot be, or somebody has moved `production` meanwhile.
        """
        mark = self._mark(place)
        contents = self._registry.read()
        version = next((one for one, facts in contents.versions.items() if facts.note == mark), None)
        if version is None:
            manifest, files = challenger.files()
            with self._registry.staging() as staged:
                write_bundle(staged, manifest, files)
                expected = {PRODUCTION: self._champion.served.version}
                version = self._registry.add(staged, Facts(note=mark), expected, f"{why} ({mark})")
        return self._now(Fixed(Served(self._registry.bundle(version), self._registry.name, version)), why)

    def restore(self, model: Answering, place: str, why: str, *, back: bool) -> Fixed:
        """Put a version that there is into production; that it was done before a crash is seen by its mark.

        Raises:
            SweepError: It cannot be, or somebody has moved `production` meanwhile.
        """
        assert isinstance(model, Fixed)
        version, mark = model.served.version, self._mark(place)
        assert version is not None
        contents = self._registry.read()
        if not any(move.why.endswith(f"({mark})") for move in contents.history):
            told, expected = f"{why} ({mark})", self._champion.served.version
            if back:
                self._registry.rollback(told, to=version, expected=expected)
            else:
                self._registry.move(PRODUCTION, version, told, expected=expected)
        return self._now(model, why)

    def follow(self, champion: Registered, challenger: Challenger) -> Challenger:
        """Return a challenger that learns on from another champion, with the buffer of the one before."""
        assert isinstance(champion, Fixed)
        base = rebased(self._results, challenger.base, champion.served, self._choices, say=self._say)
        challenger.reset(base)
        return challenger

    def resweep(self, buffer: Buffer, why: str) -> bool:
        """Start a sweep over the newest rows, unless one runs; tell whether one began."""
        if self._is_sweeping:
            return False
        self._sweeping.start(buffer, self._champion.served, why)
        return self._is_sweeping

    @property
    def _is_sweeping(self) -> bool:
        return self._sweeping.found or self._sweeping.to_json()["state"] == "running"

    def audit(self, number: int, told: Mapping[str, Any]) -> None:
        """Write down what happened, unless that was done before a crash."""
        self._audit.add(number, told)

    def aside(self, number: int, at_s: float, row: Row, why: str) -> None:
        """Write down a row that is not learnt, unless that was done before a crash."""
        columns = {name: _plain(values) for name, values in row.columns.items()}
        told = {"at_s": at_s, "id": row.id, "why": why, "label": self._target(row.target), "row": columns}
        self._aside.add(number, told)

    def succeeded(self, champion: Fixed) -> None:
        """Take notice of a champion that somebody else has put into production."""
        self._champion = champion

    def _mark(self, place: str) -> str:
        return f"online {self._identity}:{place}"

    def _now(self, champion: Fixed, why: str) -> Fixed:
        self._champion, self.changed = champion, True
        self._say(f"{champion.served.label} answers from now on: {why}")
        return champion


def _plain(values: np.ndarray[Any, Any]) -> Any:
    """Return the one value of a column as JSON has it; no number is null."""
    (value,) = values.tolist()
    return None if isinstance(value, float) and not np.isfinite(value) else value
