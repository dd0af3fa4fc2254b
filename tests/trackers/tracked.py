"""Studies that are tracked in tests: a real owner that does what it is told, and the thread that follows it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from search.paths import StudyFolder
from search.records.study import read
from search.records.study import status as status_of
from search.status import Status
from search.study.owner import StudyOwner
from search.study.record import TrialRecord
from search.study.runs import Run
from search.trackers.chosen import Chosen
from search.trackers.following import Tracking
from search.trackers.tracker import Report, Tracked, Tracker
from search.trial import Ending, Outcome, Progress
from tests.records.owners import folder_of
from tests.study.studies import flat_space

WAIT_S = 30.0


class Study:
    """A study in this process, run by hand.

    Args:
        results: Its results folder.
        run: Of this opening; another one is a resume.
    """

    def __init__(self, results: Path, run: str = "one", **changes: Any) -> None:
        there = StudyFolder(results / "t")
        plan = read(there).plan if there.exists() else folder_of(results, "t", **changes)[1]
        self.folder = there
        self.owner = StudyOwner.open(plan, there.root, flat_space, slots=4, run=Run(run))
        self.owner.prepare({"val_loss": 0.69})
        self._run = run

    def trial(self, curve: Sequence[float], ending: Ending | None = Ending.COMPLETE, **told: Any) -> int:
        """Run a trial that reports this; with no ending it is left running."""
        spec = self.owner.ask(f"slot {time.monotonic_ns()}:0").spec
        assert spec is not None
        token = f"{self._run}{spec.number}"
        self.owner.begin(spec.number, token)
        for step, loss in enumerate(curve, 1):
            self.owner.report(spec.number, token, Progress(step, {"val_loss": loss, "val_accuracy": 1 - loss}, step))
        if ending is not None:
            best = min(curve, default=0.0)
            metrics = {"val_loss": best, "val_accuracy": 1 - best}
            outcome = Outcome(ending, [*curve].index(best) + 1 if curve else 0, metrics, len(curve), **told)
            self.owner.tell(spec.number, token, outcome)
        return spec.number

    def close(self) -> Status:
        self.owner.finish()
        self.owner.close()
        return status_of(read(self.folder))


@contextmanager
def tracking(
    study: Study, kind: str, where: str = "", made: Tracker | None = None, **options: float
) -> Iterator[tuple[Tracking, list[str]]]:
    """Have a tracker follow a study; at the end it is told the rest. Yields what was said beside it."""
    said: list[str] = []
    thread = Tracking(Chosen(kind, where), study.folder, said.append, made, **options)
    thread.start()
    yield thread, said
    thread.finish(status_of(read(study.folder)))
    thread.wait(time.monotonic() + WAIT_S)


def until(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


class Written:
    """A tracker that keeps what it is told, in words.

    Attributes:
        calls: What it was told.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.going_on = threading.Event()
        self.going_on.set()

    def begin(self, study: Tracked, run: str) -> str:
        self._take(f"begin {study.name} {run or 'new'}")
        return "the study"

    def start(self, number: int, params: Mapping[str, Any], run: str, at: datetime | None) -> str:
        self._take(f"start {number} {run or 'new'} with {len(params)}")
        return f"run {number}"

    def report(self, run: str, reports: Sequence[Report]) -> None:
        for report in reports:
            self._take(f"report {run} {report.step} {dict(report.metrics)}")

    def end(self, run: str, record: TrialRecord) -> None:
        self._take(f"end {run} {record.state} {record.end.get('reason')}")

    def finish(self, run: str, status: Status) -> None:
        self._take(f"finish {run} {sum(status.trials.values())}")

    def abandon(self) -> None:
        self.calls.append("abandon")

    def _take(self, call: str) -> None:
        self.going_on.wait()
        self.calls.append(call)


class Failing(Written):
    """The same, which raises at the first call that begins with a word."""

    def __init__(self, at: str, said: str = "the server\n  is down") -> None:
        super().__init__()
        self._at, self._said = at, said

    def _take(self, call: str) -> None:
        if call.startswith(self._at):
            raise ConnectionError(self._said)
        super()._take(call)
