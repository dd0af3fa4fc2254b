"""A trial as it stands in storage, freed from Optuna's types: the `TrialRecord`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from search.status import CURVE
from search.study import attributes, constraints
from search.study.origin import NOWHERE, Origin, origin_of
from search.trial import ParamValue

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial, as stored.

    Attributes:
        number: In the study.
        state: complete, pruned, fail, running, paused or waiting.
        params: As suggested, by full name.
        distributions: What each was taken from, as Optuna's JSON.
        values: Of the searched metrics; of a pruned trial its last report; () while unknown.
        reports: Searched value by step, as reported.
        metrics: Every metric by step.
        end: What was told at its end: `reason`, `text`, `step`, `metrics`, `units`, `stage_s`; {} before.
        pruning: The rule that pruned it, with its figures; {} otherwise.
        rung: Where it came to with a pruner that promotes: the step of that rung, and whether it rests there; else {}.
        constraints: How far it is beyond each constraint, by name; at most 0 is kept to.
        origin: Why its parameters are what they are, and when it was taken on from where it rested.
        same_as: The trial whose result it took without being run, having the same parameters.
        lost: Attempts that ended with their worker.
        worker: Who ran it last.
        at_s: Seconds of the study's life, over all its runs, at which it last began or ended.
        begun_at_s: The same of the beginning of its last attempt; of one that never began, 0.
        took: What those of its runs took that let go of it: see `writer.what_it_took`; with their `spans`, each its
            beginning, its end and its worker.
        started: Local time, None of a waiting trial.
        ended: Local time, None before its end.
    """

    number: int
    state: str
    params: Mapping[str, ParamValue]
    distributions: Mapping[str, str] = field(default_factory=dict)
    values: tuple[float, ...] = ()
    reports: Mapping[int, float] = field(default_factory=dict)
    metrics: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    end: Mapping[str, Any] = field(default_factory=dict)
    pruning: Mapping[str, Any] = field(default_factory=dict)
    rung: Mapping[str, Any] = field(default_factory=dict)
    constraints: Mapping[str, float] = field(default_factory=dict)
    origin: Origin = NOWHERE
    same_as: int | None = None
    lost: int = 0
    worker: str = ""
    at_s: float = 0.0
    begun_at_s: float = 0.0
    took: Mapping[str, Any] = field(default_factory=dict)
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def last_step(self) -> int:
        """The last step that it reported, 0 if none."""
        return max(self.metrics, default=0) or max(self.reports, default=0)

    @property
    def rests(self) -> bool:
        """Whether it waits at a rung until it is taken on."""
        return self.state == "paused" and bool(self.rung.get("rests"))

    @property
    def place(self) -> tuple[str, str]:
        """The machine of its last worker, and the GPUs there that it was given, as in `("10.0.0.2", "0,1")`."""
        name, _, gpus = self.worker.partition(" gpu ")
        return name.rpartition(":")[0] or name, gpus

    @property
    def epochs_run(self) -> int:
        """The steps that were run for it: none where it took another trial's result."""
        return self.last_step if self.same_as is None else 0

    @property
    def seconds(self) -> float | None:
        """How long workers held it, of one that is paused so far; of another program's, from start to end."""
        if "held_s" in self.end:
            return float(self.end["held_s"])
        if self.state == "paused" and self.took.get("spans"):
            return float(sum(end_s - begin_s for begin_s, end_s, _ in self.took["spans"]))
        if self.started is None or self.ended is None:
            return None
        return (self.ended - self.started).total_seconds()


def from_frozen(trial: FrozenTrial) -> TrialRecord:
    """Read one trial of Optuna."""
    attrs = trial.system_attrs
    state = trial.state.name.lower()
    ended = state in ("complete", "pruned", "fail")
    end = attrs.get(attributes.END, {}) if ended else {}  # in a database it may stand before its state
    attempt, lease = attrs.get(attributes.ATTEMPT, {}), attrs.get(attributes.LEASE, {})
    token = attempt.get("token", "")
    if state == "running" and lease.get("held") is False and lease.get("token", token) == token:
        state = "paused"
    return TrialRecord(
        number=trial.number,
        state=state,
        params=dict(trial.params),
        distributions={name: _as_json(one) for name, one in trial.distributions.items()},
        values=tuple(trial.values or ()),
        reports=dict(sorted(trial.intermediate_values.items())),
        metrics=attributes.metrics_by_step(attrs),
        end=end,
        pruning=attrs.get(attributes.PRUNING, {}),
        rung=attrs.get(attributes.RUNG, {}),
        constraints=constraints.stored(attrs),
        origin=origin_of(attrs),
        same_as=attrs.get(attributes.SAME_AS),
        lost=(end or attempt).get("lost", 0),
        worker=attempt.get("worker", ""),
        at_s=(end or attempt).get("at_s", 0.0),
        begun_at_s=attempt.get("at_s", 0.0),
        took=attrs.get(attributes.TOOK, {}),
        started=trial.datetime_start,
        ended=trial.datetime_complete,
    )


def _as_json(distribution: Any) -> str:
    if isinstance(distribution, str):  # a journal's own text
        return distribution
    return _text_of(distribution)


@lru_cache(maxsize=4096)
def _text_of(distribution: Any) -> str:
    from optuna.distributions import distribution_to_json

    return distribution_to_json(distribution)


def begun_at_s(trial: FrozenTrial) -> float:
    """Return the seconds of the study's life at which its last attempt began; of one that never did, its end."""
    attempt = trial.system_attrs.get(attributes.ATTEMPT, {})
    return float(attempt.get("at_s", from_frozen(trial).at_s))


def valued(record: TrialRecord, metrics: Sequence[str]) -> tuple[float, ...]:
    """Return the values of the searched metrics.

    Optuna keeps none of a trial that rests, and no several ones of a pruned trial: of those, their last reports.
    """
    if record.rests and len(metrics) == 1:
        return tuple([*record.reports.values()][-1:])
    return record.values or (several(record, metrics) if record.rests or record.state == "pruned" else ())


def several(record: TrialRecord, metrics: Sequence[str]) -> tuple[float, ...]:
    """Return the last values of all searched metrics; () with one metric, and before the first report."""
    last = record.metrics.get(record.last_step, {})
    return tuple(last[name] for name in metrics) if len(metrics) > 1 and all(name in last for name in metrics) else ()


def latest(record: TrialRecord, metric: str) -> tuple[float, ...]:
    """Return what was reported last of a metric, as much as is shown of a running trial."""
    curve = (values.get(metric) for _, values in sorted(told(record, metric).items()))
    return tuple(value for value in curve if value is not None and math.isfinite(value))[-CURVE:]


def told(record: TrialRecord, metric: str) -> dict[int, dict[str, float]]:
    """Return what was reported at each step, by metric; `metric` is the searched one, which may stand alone there."""
    alone = {step: {metric: value} for step, value in record.reports.items()}
    return alone | {step: dict(metrics) for step, metrics in record.metrics.items()}
