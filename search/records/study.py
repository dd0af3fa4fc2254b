"""One study as stored: its plan, its trials, and where it stands. Reads only, also while the sweep runs."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from search.errors import InputError, SurroundingsError
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.status import RunningTrial, Status, SweepState
from search.study import attributes
from search.study.ledger import Ledger
from search.study.lock import Holder, living_holder
from search.study.reading import read_trials
from search.study.record import TrialRecord
from search.study.runs import closed, last_event_of


@dataclass(frozen=True, slots=True)
class StoredStudy:
    """A study at the moment it was read.

    Attributes:
        folder: Where it lies.
        plan: As launched.
        launch: All of `plan.json`: the plan, versions, hashes.
        records: Every trial, in order of numbers. A trial that nobody holds is paused, never running.
        attributes: Of the study.
        holder: The process that runs it now, or None.
    """

    folder: StudyFolder
    plan: SweepPlan
    launch: dict[str, Any]
    records: tuple[TrialRecord, ...]
    attributes: dict[str, Any]
    holder: Holder | None


def read(folder: StudyFolder) -> StoredStudy:
    """Read a study.

    Raises:
        SurroundingsError: Its plan or its storage is damaged, or cannot be reached.
    """
    launch, plan = _read_launch(folder)
    holder = living_holder(folder.root)
    records, attrs = read_trials(folder, plan)
    if holder is None:
        records = [replace(one, state="paused") if one.state == "running" else one for one in records]
    return StoredStudy(folder, plan, launch, tuple(records), attrs, holder)


def trial(study: StoredStudy, which: str) -> TrialRecord:
    """Return one trial: by its number, the `best`, or the `last` one that began.

    Raises:
        InputError: There is no such trial.
    """
    if which == "best":
        best = status(study).best
        if best is None:
            raise InputError(f"study {study.plan.study!r} has no completed trial", field="--trial", hint="try last")
        return study.records[best.number]
    if which == "last":
        begun = [record for record in study.records if record.started is not None]
        if not begun:
            raise InputError(f"study {study.plan.study!r} has no trial yet", field="--trial")
        return begun[-1]
    if not which.isdecimal() or not which.isascii():
        raise InputError(f"--trial takes a number, best or last, got {which!r}", field="--trial")
    found = [record for record in study.records if record.number == int(which)]
    if not found:
        count = len(study.records)
        has = f"its trials are 0 to {count - 1}" if count else "it has none yet"
        raise InputError(f"study {study.plan.study!r} has no trial {which}", field="--trial", hint=has)
    return found[0]


def status(study: StoredStudy) -> Status:
    """Return where a stored study stands: the same value that its owner shows while it runs."""
    plan, records = study.plan, study.records
    ledger = Ledger(plan.directions, plan.max_epochs)
    for record in _as_they_ended(records):
        ledger.count(record)
    scores = ledger.scores
    state, why = _state(study)
    seconds = _seconds(study)
    return Status(
        study=plan.study,
        state=state,
        metrics=plan.metrics,
        directions=plan.directions,
        trials=_counts(records),
        best=scores.best,
        front=scores.front if len(plan.metrics) > 1 else (),
        best_age=scores.since_best,
        epochs_run=sum(record.last_step for record in records),
        epochs_saved=ledger.epochs_saved,
        seconds=seconds,
        why_stopped=why,
        results=str(study.folder.root),
        baseline=study.attributes.get(attributes.BASELINE, {}),
        failures=ledger.failures,
        running=tuple(_running(record, plan) for record in records if record.state == "running"),
        max_epochs=plan.max_epochs,
        target_trials=plan.trials,
        left_s=None if plan.time_s is None else max(0.0, plan.time_s - seconds),
    )


def _read_launch(folder: StudyFolder) -> tuple[dict[str, Any], SweepPlan]:
    try:
        found = json.loads(folder.plan.read_text(encoding="utf-8"))
        return dict(found), SweepPlan.from_json(found["plan"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SurroundingsError(
            f"{folder.plan} is no plan of a study: {type(error).__name__}: {error}", field="study"
        ) from error


def _as_they_ended(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    ended = [record for record in records if record.ended is not None]
    return sorted(ended, key=lambda record: (record.ended, record.number))


def _counts(records: Sequence[TrialRecord]) -> dict[str, int]:
    counts = dict.fromkeys(("complete", "pruned", "fail", "running", "paused", "waiting"), 0)
    for record in records:
        counts[record.state] += 1
    return counts


def _state(study: StoredStudy) -> tuple[SweepState, str]:
    if study.holder is not None:
        return "running", ""
    stopped = study.attributes.get(attributes.STOPPED)
    if stopped is None:
        return "interrupted", "its process ended without a word"
    return stopped["state"], stopped["why"]


def _seconds(study: StoredStudy) -> float:
    runs = study.attributes.get(attributes.RUNS, [])
    now = time.time() if study.holder is not None else last_event_of(study.records)
    return float(sum(run["seconds"] for run in closed(runs, now)))


def _running(record: TrialRecord, plan: SweepPlan) -> RunningTrial:
    step = record.last_step
    value = record.reports.get(step, record.metrics.get(step, {}).get(plan.metrics[0]))
    return RunningTrial(record.number, step, value)
