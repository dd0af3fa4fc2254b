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
        began: Monotonic seconds at which that attempt began; None while nobody runs it.
        before_s: Seconds that earlier attempts held it.
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
    before_s: float = 0.0
    lost: int = 0
    step: int = 0
    value: float | None = None
    verdict: Verdict = Verdict.CONTINUE
    resumed: bool = False
    paused: bool = False

    def seconds(self, now: float) -> float:
        """Return how long workers have held it, over all attempts; `now` is monotonic."""
        return self.before_s + (0.0 if self.began is None else now - self.began)

    def let_go(self, now: float) -> None:
        """Take it out of its worker's hands."""
        self.before_s, self.began = self.seconds(now), None


def take_up(trial: FrozenTrial, request: str, now: float) -> Held:
    """Return what is known of a trial that the storage calls RUNNING and `request` asked for; `now` is monotonic."""
    record, attempt = from_frozen(trial), trial.system_attrs.get(attributes.ATTEMPT, {})
    reports, paused = record.reports, record.state == "paused"
    lease = trial.system_attrs.get(attributes.LEASE, {})
    return Held(
        TrialSpec(trial.number, record.params),
        trial._trial_id,
        request,
        token=attempt.get("token", ""),
        began=now - max(0.0, time.time() - attempt["started"]) if attempt and not paused else None,
        before_s=(lease if paused else attempt).get("held_s", 0.0),
        lost=record.lost,
        step=record.last_step,
        value=reports[max(reports)] if reports else None,
        verdict=Verdict.PRUNE if record.pruning else Verdict.CONTINUE,
        resumed=bool(attempt.get("resumed")),
        paused=paused,
    )
