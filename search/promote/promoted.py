"""What came of a promotion, and what the study's folder keeps of it: the `Promoted`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search.bundle.bundle import as_json
from search.bundle.manifest import Manifest
from search.paths import write_atomic
from search.promote.confirmation import Confirmation
from search.promote.gate import Verdict
from search.promote.loading import Loaded
from search.promote.openings import locked
from search.promote.parity import Parity
from search.promote.scores import Scores
from search.records.study import StoredStudy
from search.registry.stamp import stamp
from search.study.disk import cannot_write


@dataclass(frozen=True, slots=True, eq=False)
class Promoted:
    """What came of a promotion.

    Attributes:
        name: Of the model.
        version: Of it.
        production: Whether it is in production now.
        folder: The bundle's.
        manifest: What it is made of.
        confirmation: Who won; None where a trial was named.
        scores: On the test rows.
        verdict: Of the gate.
        parity: How bundle and Python pipeline agree.
        loaded: How it does in a clean process.
        size_bytes: Of the bundle's files.
        tests_before: Earlier tests that some of the test rows were in.
        notes: What people should know besides, a sentence each.
    """

    name: str
    version: int
    production: bool
    folder: Path
    manifest: Manifest
    confirmation: Confirmation | None
    scores: Scores
    verdict: Verdict
    parity: Parity
    loaded: Loaded
    size_bytes: int
    tests_before: int = 0
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {
            "model": self.name,
            "version": self.version,
            "production": self.production,
            "folder": str(self.folder),
            "study": self.manifest.study,
            "trials": [one.number for one in self.manifest.members],
            "params": [dict(one.params) for one in self.manifest.members],
            "confirmation": self.confirmation and self.confirmation.to_json(),
            "scores": self.scores.to_json(),
            "gate": self.verdict.to_json(),
            "parity": self.parity.to_json(),
            "clean_process": asdict(self.loaded),
            "bytes": self.size_bytes,
            "tests_before": self.tests_before,
            "notes": list(self.notes),
        }


def note(stored: StoredStudy, told: Mapping[str, Any]) -> None:
    """Add to what the study's folder says of its promotions; a file that is damaged is kept beside the new one.

    Raises:
        SurroundingsError: It cannot be read or written.
    """
    path = stored.folder.promotion
    with locked(stored.folder.root.resolve().parent):  # of two at once neither is lost
        try:
            known = _known(path)
            write_atomic(path, as_json({"promotions": [*known, {"when": stamp().when, **told}]}))
        except OSError as error:
            raise cannot_write(path, error) from error


def _known(path: Path) -> list[Any]:
    try:
        return [*json.loads(path.read_bytes())["promotions"]]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError):
        number = 1
        while (kept := path.with_name(f"{path.name}.damaged-{number}")).exists():
            number += 1
        path.rename(kept)
        return []
