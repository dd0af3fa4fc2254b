"""What the owner writes of a trial that runs: reports, leases, its end; and when that is synced to the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from optuna.trial import FrozenTrial, TrialState

from search.plan import SweepPlan
from search.study import attributes, constraints
from search.study.held import Held
from search.study.storage import StudyStorage
from search.trial import Ending, Outcome, Progress

SYNC_EVERY_S: Final = 1.0
"""Longest time that an acknowledged report may be lost to a power cut."""

SYNC_GAP_S: Final = 0.1
"""Shortest time between two syncs: where many short trials end, one sync serves several, at the next call."""

_STATES: Final = {
    Ending.COMPLETE: TrialState.COMPLETE,
    Ending.PRUNED: TrialState.PRUNED,
    Ending.FAIL: TrialState.FAIL,
}


class TrialWriter:
    """Writes trials into a study's storage.

    Args:
        plan: Names the searched metrics, and the constraints.
        storage: Open for writing.
        clock: Monotonic seconds.
        synced: Called after each sync.
    """

    def __init__(
        self, plan: SweepPlan, storage: StudyStorage, clock: Callable[[], float], synced: Callable[[], None]
    ) -> None:
        self._metrics = plan.metrics
        self._constraints = plan.constraints
        self._by_hand = plan.by_hand
        self._storage = storage
        self._clock = clock
        self._on_sync = synced
        self._synced = clock()
        self._sync_due = False

    def batch(self) -> AbstractContextManager[None]:
        """Make what is written inside one write: a crash keeps all of it or nothing."""
        return self._storage.batch()

    def attribute(self, held: Held, key: str, value: Any) -> None:
        self._storage.optuna.set_trial_system_attr(held.trial_id, key, value)

    def lease(self, held: Held) -> None:
        """Write whose a trial is."""
        self.attribute(held, attributes.LEASE, held.lease())

    def report(self, held: Held, progress: Progress) -> None:
        value = progress.metrics[self._metrics[0]]
        if len(self._metrics) == 1:
            self._storage.optuna.set_trial_intermediate_value(held.trial_id, progress.step, value)
        if len(progress.metrics) > 1:
            self.attribute(held, attributes.metrics_key(progress.step), dict(progress.metrics))

    def took(self, held: Held, outcome: Outcome, *, at_s: float) -> None:
        """Write what a run took that lets go of a trial before its end, and when, beside what those before it took."""
        stored = self._attributes(held)
        before = stored.get(attributes.TOOK, {})
        began_s = stored.get(attributes.ATTEMPT, {}).get("at_s", at_s)
        spans = [*before.get("spans", ()), [began_s, at_s, held.worker]]
        self.attribute(held, attributes.TOOK, what_it_took(outcome, before) | {"spans": spans})

    def end(self, held: Held, outcome: Outcome, *, at_s: float) -> FrozenTrial:
        """Write a trial's end in one write, and return the trial as it then stands."""
        end = {
            "reason": outcome.reason.value if outcome.reason else None,
            "text": attributes.short(outcome.text),
            "metrics": dict(outcome.metrics),
            "lost": held.lost,
            "held_s": held.seconds(self._clock()),
            "at_s": at_s,
            **what_it_had(held, self._clock()),
            **({"short": [*held.short]} if held.short else {}),
            **what_it_took(outcome, self._attributes(held).get(attributes.TOOK, {})),
        }
        storage = self._storage.optuna
        with self._storage.batch():
            self.attribute(held, attributes.END, end)
            is_shown = outcome.ending is Ending.COMPLETE and not self._by_hand
            for name, value in outcome.metrics.items() if is_shown else ():
                storage.set_trial_user_attr(held.trial_id, name, value)
            if outcome.ending in (Ending.COMPLETE, Ending.PRUNED):
                for key, excess in constraints.measured(self._constraints, outcome.metrics).items():
                    self.attribute(held, key, excess)
            storage.set_trial_state_values(held.trial_id, _STATES[outcome.ending], self._values(held, outcome))
        return storage.get_trial(held.trial_id)

    def sync_at_an_end(self) -> None:
        """Sync soon: a trial has ended."""
        self._sync_due = True
        self.sync_if_due()

    def sync_if_due(self) -> None:
        since = self._clock() - self._synced
        if since > SYNC_EVERY_S or (self._sync_due and since > SYNC_GAP_S):
            self.sync()

    def sync(self) -> None:
        self._storage.sync()
        self._synced, self._sync_due = self._clock(), False
        self._on_sync()

    def _attributes(self, held: Held) -> Mapping[str, Any]:
        stored: Mapping[str, Any] = self._storage.optuna.get_trial(held.trial_id).system_attrs
        return stored

    def _values(self, held: Held, outcome: Outcome) -> list[float] | None:
        if outcome.ending is Ending.COMPLETE:
            return [outcome.metrics[name] for name in self._metrics]
        if outcome.ending is Ending.PRUNED and held.value is not None and len(self._metrics) == 1:
            return [held.value]  # as Optuna does: the last report
        return None


def what_it_had(held: Held, now: float) -> dict[str, Any]:
    """Return what a trial has and had of GPUs, and how it splits its batches, as its attempt and its end keep it."""
    parts = held.need.micro_batches if held.need is not None else 1
    return {
        **({"gpus": held.gpus, "gpu_s": held.gpu_seconds(now)} if held.gpus else {}),
        **({"micro_batches": parts} if parts > 1 else {}),
    }


def what_it_took(outcome: Outcome, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the runs of a trial took, as its end keeps it, and one that was let go of until then.

    Args:
        outcome: Of the last one.
        before: The same of those before it that told; {} of the first.
    """
    mine: dict[str, float] = dict(outcome.stage_s)
    earlier: Mapping[str, float] = before.get("stage_s", {})
    stage_s = {stage: round(earlier.get(stage, 0.0) + mine.get(stage, 0.0), 6) for stage in {**earlier, **mine}}
    notes = [*dict.fromkeys([*before.get("notes", ()), *outcome.notes])]
    peaks = {
        name: max(known)
        for name, one in (("peak_mb", outcome.peak_mb), ("gpu_peak_mb", outcome.gpu_peak_mb))
        if (known := [value for value in (before.get(name), one) if value is not None])
    }
    gpu_mb = before.get("gpu_mb") if outcome.gpu_mb is None else outcome.gpu_mb
    idle = [
        (share, spent.get("train", 0.0))
        for share, spent in ((before.get("gpu_idle"), earlier), (outcome.gpu_idle, mine))
        if share is not None
    ]
    prepared, reuse = before.get("prepared"), outcome.reuse
    if reuse is not None and (prepared is None or reuse.cost_s > prepared["cost_s"]):  # of folds the last one tells all
        prepared = reuse.to_json()
    replays = outcome.replays if outcome.ending is Ending.PAUSED else before.get("replays", False)
    return {
        "step": outcome.step,
        "units": outcome.units or before.get("units", 0),
        "stage_s": stage_s,
        **({"notes": notes} if notes else {}),
        **peaks,
        **({"gpu_mb": gpu_mb} if gpu_mb is not None else {}),
        **({"gpu_idle": round(_mean(idle), 4)} if idle else {}),
        **({"replays": True} if replays else {}),
        **({"prepared": prepared} if prepared is not None else {}),
    }


def _mean(parts: Sequence[tuple[float, float]]) -> float:
    """Return the mean of values, each times its weight; alike if none has one."""
    weight = sum(one for _, one in parts)
    if weight <= 0:
        return sum(value for value, _ in parts) / len(parts)
    return sum(value * one for value, one in parts) / weight
