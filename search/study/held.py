"""A trial in somebody's hands: asked for, and not ended."""

from __future__ import annotations

import time
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from search.study import attributes
from search.study.record import from_frozen
from search.trial import TrialSpec, Verdict


@dataclass(slots=True)
class Held:
    """What the owner remembers of a trial that has not ended.

    Attributes:
        spec: The trial.
        trial_id: Its id in storage.
        request: Of the ask that it answered last; "" once that asker is gone.
        token: Of the attempt that runs it; "" before a worker begins it.
        began: Monotonic seconds at which that attempt began, None before.
        lost: Attempts that ended with their worker.
        step: The last step reported.
        value: The searched value reported there.
        verdict: What was answered to that.
        resumed: Whether that attempt was to go on from a checkpoint.
        paused: RUNNING in storage, on nobody's hands.
    """

    spec: TrialSpec
    trial_id: int
    request: str
    token: str = ""
    began: float | None = None
    lost: int = 0
    step: int = 0
    value: float | None = None
    verdict: Verdict = Verdict.CONTINUE
    resumed: bool = False
    paused: bool = False

    def seconds(self, now: float) -> float:
        """Return how long its worker has held it; `now` is monotonic."""
        return 0.0 if self.began is None or self.paused else now - self.began


def take_up(trial: FrozenTrial, request: str, now: float) -> Held:
    """Return what is known of a trial that the storage calls RUNNING and `request` asked for; `now` is monotonic."""
    record, attempt = from_frozen(trial), trial.system_attrs.get(attributes.ATTEMPT)
    reports = record.reports
    return Held(
        TrialSpec(trial.number, record.params),
        trial._trial_id,
        request,
        token=attempt["token"] if attempt else "",
        began=now - max(0.0, time.time() - attempt["started"]) if attempt else None,
        lost=record.lost,
        step=record.last_step,
        value=reports[max(reports)] if reports else None,
        verdict=Verdict.PRUNE if record.pruning else Verdict.CONTINUE,
        resumed=bool(attempt and attempt.get("resumed")),
        paused=record.state == "paused",
    )
