"""What a tracker is to us: the `Tracker`, whose calls for a trial come from one thread, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from search.paths import StudyFolder
from search.plan import SweepPlan
from search.status import Status
from search.study.record import TrialRecord
from search.trial import ParamValue


@dataclass(frozen=True, slots=True)
class Tracked:
    """The study that is tracked.

    Attributes:
        mark: Tells it from every other study, of the same name too.
        folder: Where it lies.
        plan: Every choice.
        fingerprints: Hashes of data and code at the launch, by name.
        launched: When.
    """

    mark: str
    folder: StudyFolder
    plan: SweepPlan
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    launched: datetime | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    def choices(self) -> dict[str, Any]:
        """Return what was chosen, without what is nobody's choice, as flat values."""
        plan = self.plan.to_json()
        left_out = ("origins", "enqueued", "track", "notify", "storage", "address", "results")
        return {name: value for name, value in plan.items() if name not in left_out and value not in (None, [], {})}


@dataclass(frozen=True, slots=True)
class Report:
    """What a trial measured at one step; finite values only."""

    step: int
    metrics: Mapping[str, float]
    at: datetime | None = None


class Tracker(Protocol):
    """Where a study is written besides its own folder.

    A run is whatever the tracker needs to find a trial's, or the study's, record again: it is kept in the study's
    folder, and given back when the study goes on. `run` is "" for what was not there before. A call may raise anything.
    """

    def begin(self, study: Tracked, run: str) -> str:
        """Open the study's own record, and return its run."""

    def start(self, number: int, params: Mapping[str, ParamValue], run: str, at: datetime | None) -> str:
        """Open the record of a trial that began then, and return its run; it may be one that has ended, of a retry."""

    def report(self, run: str, reports: Sequence[Report]) -> None:
        """Take what a trial measured at steps that were not told before, in order."""

    def end(self, run: str, record: TrialRecord) -> None:
        """Close the record of a trial with its state, its reason and its values."""

    def finish(self, run: str, status: Status) -> None:
        """Close the study's record, and those of trials that are paused; all is where it belongs when this returns."""

    def abandon(self) -> None:
        """Let this process end without it: called from another thread, perhaps while a call of this one hangs."""
