"""What happens in a study while one looks on: the `Event`, found by comparing a trial with what it was before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from search.plan import SweepPlan
from search.status import TrialScore
from search.study.record import TrialRecord

Kind = Literal["started", "epoch", "pruned", "completed", "failed", "paused", "best"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a trial did.

    Attributes:
        at: When; None of what happened unseen and left no time.
        more: What else there is to say, by kind.
    """

    kind: Kind
    number: int
    at: datetime | None
    more: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, study: str) -> dict[str, Any]:
        time = None if self.at is None else self.at.astimezone().isoformat(timespec="milliseconds")
        return {"event": self.kind, "study": study, "number": self.number, "time": time, **finite(self.more)}


def between(before: TrialRecord | None, now: TrialRecord, plan: SweepPlan, seen: datetime | None) -> Iterator[Event]:
    """Yield what a trial did since.

    Args:
        before: As it was; None if it was not there.
        now: As it is.
        plan: Of the study.
        seen: When that was noticed; None if it was not when it happened.
    """
    was = before.state if before is not None else "waiting"
    again = before is not None and was == "running" and now.lost > before.lost
    if now.started is not None and (was in ("waiting", "paused") or again) and now.state not in ("waiting", "paused"):
        at = now.started if was == "waiting" else seen
        yield Event("started", now.number, at, {"params": dict(now.params), "attempt": now.lost + 1})
    known = {} if before is None else {**before.reports, **before.metrics}
    for step in sorted({*now.reports, *now.metrics} - {*known}):
        metrics = dict(now.metrics.get(step, {plan.metrics[0]: now.reports.get(step)}))
        value = now.reports.get(step, metrics.get(plan.metrics[0]))
        yield Event("epoch", now.number, seen, {"step": step, "value": value, "metrics": metrics})
    drawn_ahead = was == "waiting" and now.state == "paused" and not now.begun_at_s and not now.last_step
    if now.state != was and not drawn_ahead:
        yield from _reached(now, seen)


def best(score: TrialScore, at: datetime | None) -> Event:
    """Return the event of a trial that is the best so far, or has joined the front."""
    told = score.to_json()
    del told["number"]
    return Event("best", score.number, at, told)


def _reached(now: TrialRecord, seen: datetime | None) -> Iterator[Event]:
    """Yield the event of the state that a trial came to."""
    end, value = now.end, now.values[0] if now.values else None
    at = now.ended or seen
    if now.state == "paused":
        yield Event("paused", now.number, seen, {"step": now.last_step})
    elif now.state == "pruned":
        rule, cutoff = now.pruning.get("rule"), now.pruning.get("cutoff")
        yield Event("pruned", now.number, at, {"step": now.last_step, "value": value, "rule": rule, "cutoff": cutoff})
    elif now.state == "complete":
        told = {"step": end.get("step"), "value": value, "values": list(now.values), "metrics": end.get("metrics", {})}
        yield Event("completed", now.number, at, told | {"text": end.get("text")})
    elif now.state == "fail":
        told = {"reason": end.get("reason") or "unknown", "text": end.get("text"), "step": now.last_step}
        yield Event("failed", now.number, at, told)


def finite(value: Any) -> Any:
    """Return a value as JSON can hold it: what is no number is null."""
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
