"""One study as stored: its plan, its trials, and where it stands. Reads only, also while the sweep runs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from search.errors import InputError, SurroundingsError
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.records.live import Live
from search.records.totals import Totals
from search.records.trials import Trials
from search.status import LostNode, RunningTrial, Status, SweepState
from search.study import attributes, edits
from search.study.holder import Holder
from search.study.internal import UnsupportedError
from search.study.lock import living_holder
from search.study.reading import read_trials
from search.study.record import TrialRecord, latest, several
from search.study.runs import began_at_s

_NOTED_WITHIN_S: Final = 60.0
"""How long ago a running study may have noted its seconds: it does at every end of a trial, and each half minute."""


@dataclass(frozen=True, slots=True)
class StoredStudy:
    """A study at the moment it was read.

    Attributes:
        folder: Where it lies.
        plan: As launched, with what has changed since.
        launch: All of `plan.json`: the plan as launched, versions, hashes.
        records: Every trial, in order of numbers. A trial that nobody holds is paused, never running.
        attributes: Of the study.
        holder: The process that runs it now, or None.
        live: The journal that it was read from; None if Optuna read it.
    """

    folder: StudyFolder
    plan: SweepPlan
    launch: dict[str, Any]
    records: Trials
    attributes: Mapping[str, Any]
    holder: Holder | None
    live: Live | None = field(default=None, repr=False)


def read(folder: StudyFolder) -> StoredStudy:
    """Read a study.

    Raises:
        SurroundingsError: Its plan or its storage is damaged, or cannot be reached.
    """
    launch, plan = read_launch(folder)
    holder = living_holder(folder.root)
    live = open_live(folder, plan)
    if live is not None:
        try:
            live.catch_up()
            return of_live(folder, launch, plan, holder, live)
        except (UnsupportedError, OSError):
            pass
    return _read_by_optuna(folder, launch, plan, holder)


def of_live(
    folder: StudyFolder, launch: dict[str, Any], plan: SweepPlan, holder: Holder | None, live: Live
) -> StoredStudy:
    """Return a study as its journal stands.

    Raises:
        UnsupportedError: Optuna must read it.
    """
    attrs = live.replay.attributes
    trials = live.trials(_paused if holder is None else _as_it_is, _Lookup(folder, plan, live))
    return StoredStudy(folder, changed(plan, attrs), launch, trials, attrs, holder, live)


def open_live(folder: StudyFolder, plan: SweepPlan) -> Live | None:
    """Return the study's journal, read up to where its derived table ends; None if only Optuna can read the study."""
    if plan.storage is not None or not folder.journal.exists():
        return None
    if folder.trials_table.exists():
        from search.records.table_file import open_table  # which loads pyarrow

        table = open_table(folder.trials_table, plan)
        if table is not None:
            try:
                return Live(folder, plan, table)
            except (UnsupportedError, OSError):
                pass  # the journal was cut or replaced since, or the table is damaged
    try:
        return Live(folder, plan)
    except (UnsupportedError, OSError):
        return None


def trial(study: StoredStudy, which: str) -> TrialRecord:
    """Return one trial: by its number, the `best`, or the `last` one that began.

    Raises:
        InputError: There is no such trial.
    """
    if which == "best":
        where = status(study)
        best = where.best
        if best is None and where.nearest is not None:
            near = where.nearest.number
            said = f"study {study.plan.study!r} has no trial that keeps to its constraints"
            raise InputError(said, field="--trial", hint=f"trial {near} comes nearest: --trial {near}")
        if best is None:
            raise InputError(f"study {study.plan.study!r} has no completed trial", field="--trial", hint="try last")
        return study.records[best.number]
    if which == "last":
        last = study.records.last_begun
        if last is None:
            raise InputError(f"study {study.plan.study!r} has no trial yet", field="--trial")
        return last
    if not which.isdecimal() or not which.isascii():
        raise InputError(f"--trial takes a number, best or last, got {which!r}", field="--trial")
    count = len(study.records)
    if len(which) > len(str(count)) + 20 or int(which) >= count:
        has = f"its trials are 0 to {count - 1}" if count else "it has none yet"
        raise InputError(f"study {study.plan.study!r} has no trial {which[:40]}", field="--trial", hint=has)
    return study.records[int(which)]


def status(study: StoredStudy) -> Status:
    """Return where a stored study stands: the same value that its owner shows while it runs."""
    plan, records = study.plan, study.records
    totals, scores = records.totals, records.totals.scores
    state, why = _state(study)
    seconds = _seconds(study)
    return Status(
        study=study.folder.name,
        state=state,
        metrics=plan.metrics,
        directions=plan.directions,
        trials=records.by_state,
        best=scores.best,
        front=scores.front if len(plan.metrics) > 1 else (),
        worst=scores.worst,
        best_age=scores.since_best,
        moves=scores.moves,
        missed=scores.missed,
        nearest=scores.nearest,
        replicates=plan.replicates,
        epochs_run=records.epochs,
        epochs_saved=totals.epochs_saved(plan.max_epochs),
        seconds=seconds,
        why_stopped=why,
        results=str(study.folder.root),
        baseline=study.attributes.get(attributes.BASELINE, {}),
        failures=dict(totals.failures),
        prepared=dict(totals.reuses.counts),
        saved_s=totals.reuses.saved_s,
        running=tuple(_running(one, plan) for one in records.unended.values() if one.state == "running"),
        max_epochs=plan.max_epochs,
        target_trials=plan.trials,
        left_s=None if plan.time_s is None else max(0.0, plan.time_s - seconds),
        lost_nodes=tuple(map(LostNode.from_json, attributes.lost_nodes(study.attributes))),
        priority=plan.priority,
        queued=study.attributes.get(attributes.QUEUED, "") if state == "running" else "",
    )


def read_launch(folder: StudyFolder) -> tuple[dict[str, Any], SweepPlan]:
    """Return what `plan.json` holds, and the plan in it.

    Raises:
        SurroundingsError: It is damaged.
    """
    try:
        found = json.loads(folder.plan.read_text(encoding="utf-8"))
        return dict(found), SweepPlan.from_json(found["plan"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SurroundingsError(
            f"{folder.plan} is no plan of a study: {type(error).__name__}: {error}", field="study"
        ) from error


def changed(plan: SweepPlan, study_attributes: Mapping[str, Any]) -> SweepPlan:
    """Return a plan with what has changed since the launch."""
    changes = study_attributes.get(attributes.CHANGES)
    resumed = SweepPlan.from_json({**plan.to_json(), **changes}) if changes else plan
    return edits.applied(resumed, study_attributes)


class _Lookup:
    """Finds trials that have ended: in the journal's derived table, by Optuna where that is damaged."""

    def __init__(self, folder: StudyFolder, plan: SweepPlan, live: Live) -> None:
        self._folder, self._plan, self._live = folder, plan, live
        self._all: list[TrialRecord] | None = None

    def __call__(self, number: int) -> TrialRecord:
        if self._all is None:
            try:
                return self._live.record(number)
            except UnsupportedError:
                self._all = read_trials(self._folder, self._plan)[0]
        return self._all[number]


def _read_by_optuna(folder: StudyFolder, launch: dict[str, Any], plan: SweepPlan, holder: Holder | None) -> StoredStudy:
    records, attrs = read_trials(folder, plan)
    shown = _paused if holder is None else _as_it_is
    unended = {record.number: shown(record) for record in records if record.ended is None}
    trials = Trials(len(records), unended, records.__getitem__, Totals.of(plan, records))
    return StoredStudy(folder, changed(plan, attrs), launch, trials, attrs, holder)


def _paused(record: TrialRecord) -> TrialRecord:
    return replace(record, state="paused") if record.state == "running" else record


def _as_it_is(record: TrialRecord) -> TrialRecord:
    return record


def _state(study: StoredStudy) -> tuple[SweepState, str]:
    if study.holder is not None:
        return "running", ""
    stopped = study.attributes.get(attributes.STOPPED)
    if stopped is None:
        usual = "its process ended without a word" if study.attributes else "its process ended before it began"
        return "interrupted", _said_at_its_end(study.folder) or usual
    return stopped["state"], stopped["why"]


def _said_at_its_end(folder: StudyFolder) -> str:
    """Return the error with which the driver ended that a cluster's home ran; "" for none."""
    try:
        return str(json.loads(folder.ended.read_text(encoding="utf-8"))["error"]["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _seconds(study: StoredStudy) -> float:
    known = max(float(study.attributes.get(attributes.CLOCK, 0.0)), study.records.at_s)
    runs = study.attributes.get(attributes.RUNS, [])
    if study.holder is None or not runs:
        return known
    began: float = runs[-1]["started"]
    by_the_wall = began_at_s(study.attributes) + time.time() - began  # a clock that may have been set meanwhile
    return min(max(known, by_the_wall), known + _NOTED_WITHIN_S)


def _running(record: TrialRecord, plan: SweepPlan) -> RunningTrial:
    step = record.last_step
    value = record.reports.get(step, record.metrics.get(step, {}).get(plan.metrics[0]))
    return RunningTrial(record.number, step, value, several(record, plan.metrics), latest(record, plan.metrics[0]))
