"""A whole study as columns, read once: the `History` that reports are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search.evaluation import Evaluation
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.records.parameters import Parameter, Readings
from search.records.reports import Reporting, Reports
from search.records.spans import NO_SPANS, Spans
from search.records.study import StoredStudy
from search.records.study import status as status_of
from search.status import STATES, Status
from search.study import attributes
from search.study.constraints import violation
from search.study.origin import NOWHERE, Origin
from search.study.record import TrialRecord, valued
from search.trial import ParamValue
from search.trialfiles import evaluation_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ENDED: Final = ("complete", "pruned", "fail")


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class History:
    """A study at the moment it was read; row n of each column is trial n.

    Attributes:
        folder: Where it lies.
        plan: As launched, with what has changed since.
        launch: All of `plan.json`.
        attributes: Of the study.
        status: Where it stands.
        state: (trials,): index into `STATES`.
        values: (trials, metrics): of the searched metrics; of a trial that was pruned or rests its last report; NaN
            while unknown.
        measured: By metric, (trials,): at the trial's best step.
        parameters: In the order in which they first appeared.
        epochs: (trials,): the last step that it reported.
        best_step: (trials,): the step of its value; 0 while unknown.
        begun_s: (trials,): second of the study's life at which its last attempt began; NaN if none did.
        ended_s: (trials,): second at which it ended; NaN before.
        held_s: (trials,): how long workers held it, of one that rests so far; NaN while unknown.
        stage_s: By stage, (trials,): seconds in it, 0 where it had none.
        worker: (trials,): index into `workers`; -1 where nobody ran it.
        workers: Who ran trials.
        reason: By number: why a trial failed.
        text: By number: what was told at its end.
        pruning: By number: the rule that pruned it, with its figures.
        violation: (trials,): by how much it misses constraints, all together; 0 if it keeps to all.
        constraints: By constraint, (trials,): how far it is beyond; at most 0 is kept to; NaN while unknown.
        same_as: (trials,): the trial whose result it took; -1 if it ran itself.
        lost: (trials,): attempts that ended with their worker.
        gpu_idle: (trials,): share of the training in which its GPU had nothing to do; NaN where nobody measured it.
        reports: All of them.
        evaluation: How the best one does on the validation rows; None where that was not kept.
        runs_s: Second of the study's life at which each launch or resume began.
        resting: By number: the step of the rung at which a paused trial rests until it is promoted.
        prospects: By number: how a resting trial stood there, of rules that say so, as a pruning has it.
        origins: By number: why a trial was suggested, and when it was taken on; of those of which it is known.
        let_go: Attempts whose worker let go of a trial before its end.
    """

    folder: StudyFolder
    plan: SweepPlan
    launch: Mapping[str, Any]
    attributes: Mapping[str, Any]
    status: Status
    state: NDArray[np.int8]
    values: Floats
    measured: Mapping[str, Floats]
    parameters: tuple[Parameter, ...]
    epochs: Ints
    best_step: Ints
    begun_s: Floats
    ended_s: Floats
    held_s: Floats
    stage_s: Mapping[str, Floats]
    worker: Ints
    workers: tuple[str, ...]
    reason: Mapping[int, str]
    text: Mapping[int, str]
    pruning: Mapping[int, Mapping[str, Any]]
    violation: Floats
    constraints: Mapping[str, Floats]
    same_as: Ints
    lost: Ints
    gpu_idle: Floats
    reports: Reports
    evaluation: Evaluation | None = None
    runs_s: tuple[float, ...] = ()
    resting: Mapping[int, int] = field(default_factory=dict)
    prospects: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    origins: Mapping[int, Origin] = field(default_factory=dict)
    let_go: Spans = NO_SPANS

    @classmethod
    def of(cls, study: StoredStudy) -> History:
        """Read a study."""
        return _Columns(study).history()

    def __len__(self) -> int:
        return len(self.state)

    def are(self, *states: str) -> NDArray[np.bool_]:
        """(trials,): which are in one of these states."""
        return np.isin(self.state, [STATES.index(state) for state in states])

    @property
    def spans(self) -> Spans:
        """When trials were in workers' hands, as far as it is known; of one that runs, until now."""
        ended = np.where(self.are("running"), self.status.seconds, self.ended_s)
        ran = np.isfinite(self.begun_s) & (self.same_as < 0) & (self.worker >= 0)
        ran &= np.isfinite(ended) & (ended >= self.begun_s)
        last = np.full(len(self), -np.inf)  # the beginning of the last attempt that let go
        np.maximum.at(last, self.let_go.trial, self.let_go.begin_s)
        number = np.flatnonzero(ran & (self.begun_s > last))
        return Spans(number, self.worker[number], self.begun_s[number], ended[number]).beside(self.let_go)

    @property
    def gpu_waited(self) -> float | None:
        """The share of all training time in which GPUs had nothing to do; None where nobody measured it."""
        seconds = np.where(np.isfinite(self.gpu_idle), self.stage_s.get("train", np.zeros(len(self))), 0.0)
        return float((np.nan_to_num(self.gpu_idle) * seconds).sum() / seconds.sum()) if seconds.any() else None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The searched ones."""
        return self.plan.metrics

    @property
    def signs(self) -> Floats:
        """(metrics,): 1 where less is better, -1 where more is: a value times its sign is a loss."""
        return np.array([1.0 if one == "minimize" else -1.0 for one in self.plan.directions])

    @property
    def losses(self) -> Floats:
        """(trials,): the first searched metric, so that less is better."""
        losses: Floats = self.signs[0] * self.values[:, 0]
        return losses

    @property
    def candidates(self) -> NDArray[np.bool_]:
        """(trials,): which may be the best: COMPLETE, with finite values, within all constraints."""
        return self.are("complete") & np.isfinite(self.values).all(axis=1) & (self.violation <= 0)

    @property
    def best(self) -> int | None:
        """Number of the best trial, of several metrics the first of the front."""
        return None if self.status.best is None else self.status.best.number

    @property
    def front(self) -> tuple[int, ...]:
        """Numbers of the Pareto front; with one metric the best alone."""
        best = (self.status.best,) if self.status.best is not None else ()
        return tuple(score.number for score in self.status.front or best)

    def parameter(self, name: str) -> Parameter:
        """Return one by its name.

        Raises:
            KeyError: There is none.
        """
        for one in self.parameters:
            if one.name == name:
                return one
        raise KeyError(name)

    def params(self, number: int) -> dict[str, ParamValue]:
        """Return the parameters of a trial."""
        return {one.name: one.value(number) for one in self.parameters if not np.isnan(one.values[number])}


class _Columns:
    """Turns trials into columns, one after the other."""

    def __init__(self, study: StoredStudy) -> None:
        self._study = study
        self._count = len(study.records)
        self._parameters = Readings()
        self._reports = Reporting(study.plan.metrics, self._count)
        self._workers: dict[str, int] = {}
        self._stages: dict[str, Floats] = {}
        self._measured: dict[str, Floats] = {}
        self._constraints: dict[str, Floats] = {}
        count, metrics = self._count, len(study.plan.metrics)
        self._state = np.zeros(count, np.int8)
        self._values = np.full((count, metrics), np.nan)
        self._whole = {name: np.zeros(count, np.int64) for name in ("epochs", "best_step", "lost")}
        self._worker, self._same_as = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
        self._begun, self._ended, self._held = (np.full(count, np.nan) for _ in range(3))
        self._violation = np.zeros(count)
        self._gpu_idle = np.full(count, np.nan)
        self._reason: dict[int, str] = {}
        self._text: dict[int, str] = {}
        self._pruning: dict[int, Mapping[str, Any]] = {}
        self._resting: dict[int, int] = {}
        self._prospects: dict[int, Mapping[str, Any]] = {}
        self._origins: dict[int, Origin] = {}
        self._spans: list[tuple[int, int, float, float]] = []
        self._by_the_wall = np.zeros((count, 2), bool)  # whose beginning and end are local time, not the study's
        self._first_s = np.inf

    def history(self) -> History:
        study = self._study
        for record in study.records:  # once: each may have to be read from a file
            self._take(record)
        self._count_from_the_first()
        status = status_of(study)
        return History(
            folder=study.folder,
            plan=study.plan,
            launch=study.launch,
            attributes=study.attributes,
            status=status,
            state=self._state,
            values=self._values,
            measured=self._measured,
            parameters=self._parameters.parameters(self._count),
            begun_s=self._begun,
            ended_s=self._ended,
            held_s=self._held,
            stage_s=self._stages,
            worker=self._worker,
            workers=tuple(self._workers),
            reason=self._reason,
            text=self._text,
            pruning=self._pruning,
            violation=self._violation,
            constraints=self._constraints,
            same_as=self._same_as,
            gpu_idle=self._gpu_idle,
            reports=self._reports.reports(),
            evaluation=None if status.best is None else evaluation_of(study.folder, status.best.number),
            runs_s=tuple(float(run.get("at_s", 0.0)) for run in study.attributes.get(attributes.RUNS, ())),
            resting=self._resting,
            prospects=self._prospects,
            origins=self._origins,
            let_go=self._let_go(),
            **self._whole,
        )

    def _take(self, record: TrialRecord) -> None:
        number, end = record.number, record.end
        self._state[number] = STATES.index(record.state)
        values = valued(record, self._study.plan.metrics)
        self._values[number, : len(values)] = values
        self._whole["epochs"][number] = record.last_step
        self._whole["best_step"][number] = end.get("step") or 0
        self._whole["lost"][number] = record.lost
        if record.worker:
            self._worker[number] = self._workers.setdefault(record.worker, len(self._workers))
        if record.same_as is not None:
            self._same_as[number] = record.same_as
        self._take_times(record)
        for begin_s, end_s, worker in record.took.get("spans", ()):
            self._spans.append((number, self._workers.setdefault(worker, len(self._workers)), begin_s, end_s))
        if record.state == "fail":
            self._reason[number] = str(end.get("reason") or "unknown")
        if end.get("text"):
            self._text[number] = str(end["text"])
        if record.pruning:
            self._pruning[number] = record.pruning
        if record.rests:
            self._resting[number] = int(record.rung["rung"])
            if record.rung.get("told"):
                self._prospects[number] = record.rung["told"]
        if record.origin is not NOWHERE:
            self._origins[number] = record.origin
        self._violation[number] = violation(record.constraints)
        took = end or record.took  # an end tells of all runs
        self._gpu_idle[number] = took.get("gpu_idle", np.nan)
        self._put(self._constraints, number, record.constraints, np.nan)
        self._put(self._measured, number, end.get("metrics") or {}, np.nan)
        self._put(self._stages, number, took.get("stage_s") or {}, 0.0)
        self._parameters.take(number, record)
        self._reports.take(record)

    def _let_go(self) -> Spans:
        trial, worker, begin_s, end_s = zip(*self._spans, strict=True) if self._spans else ((), (), (), ())
        return Spans(np.array(trial, int), np.array(worker, int), np.array(begin_s, float), np.array(end_s, float))

    def _take_times(self, record: TrialRecord) -> None:
        number = record.number
        if record.started is not None:
            self._first_s = min(self._first_s, record.started.timestamp())
        if record.begun_at_s or "at_s" in record.end:
            self._begun[number] = record.begun_at_s
        elif record.started is not None:
            self._begun[number], self._by_the_wall[number, 0] = record.started.timestamp(), True
        if record.seconds is not None:
            self._held[number] = record.seconds
        if record.ended is None:
            return
        if "at_s" in record.end:
            self._ended[number] = record.end["at_s"]
        else:
            self._ended[number], self._by_the_wall[number, 1] = record.ended.timestamp(), True

    def _count_from_the_first(self) -> None:
        """Count times of a study of another program, which were noted by the wall, from its first beginning."""
        first_s = self._first_s if np.isfinite(self._first_s) else np.nan
        for column, known in zip((self._begun, self._ended), self._by_the_wall.T, strict=True):
            column[known] -= first_s

    def _put(self, columns: dict[str, Floats], number: int, values: Mapping[str, Any], missing: float) -> None:
        for name, value in values.items():
            if isinstance(value, int | float):
                if name not in columns:
                    columns[name] = np.full(self._count, missing)
                columns[name][number] = value
