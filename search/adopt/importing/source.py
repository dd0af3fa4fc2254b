"""What is imported: the trials of one study of another tool, in Optuna's terms: the `SourceStudy`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from search.errors import FailReason
from search.study import attributes


@dataclass(frozen=True, slots=True)
class SourceStudy:
    """A study as it was read from its source.

    Attributes:
        name: As its own tool calls it.
        tool: Whose it is, for people.
        directions: `minimize` or `maximize`, per value.
        metrics: Their names; () where the source has none.
        trials: In order of numbers, without gaps.
        user_attrs: Of the study.
        system_attrs: Of the study.
        notes: What was left out or changed, a sentence each.
    """

    name: str
    tool: str
    directions: tuple[str, ...]
    metrics: tuple[str, ...]
    trials: Sequence[FrozenTrial]
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    system_attrs: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether `sweep` ran it."""
        return attributes.SCHEMA_KEY in self.system_attrs

    @property
    def last_step(self) -> int:
        """The last step that any trial reported, at least 1."""
        return max((step for trial in self.trials for step in trial.intermediate_values), default=1) or 1

    def ended(self) -> SourceStudy:
        """Return the study without what somebody else still does: running trials end, of waiting ones points stay."""
        running = [trial for trial in self.trials if trial.state is TrialState.RUNNING]
        waiting = sum(trial.state is TrialState.WAITING for trial in self.trials)
        notes = []
        if running:
            notes.append(f"{len(running)} running {_trials(len(running))} became FAIL: running when imported")
        if waiting:
            notes.append(f"{waiting} enqueued {_trials(waiting)} stayed enqueued: a resume tries them")
        trials = [_failed(trial) if trial.state is TrialState.RUNNING else trial for trial in self.trials]
        return replace(self, trials=trials, notes=(*self.notes, *notes))


def end_of(
    *, text: str, reason: FailReason | None = None, step: int = 0, metrics: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Return what is told of a trial's end, as our own trials have it.

    Args:
        text: Why it ended.
        reason: Of a FAIL.
        step: Of its value.
        metrics: At that step.
    """
    return {
        "reason": reason.value if reason else None,
        "text": attributes.short(text),
        "step": step,
        "metrics": dict(metrics or {}),
        "units": step,
        "stage_s": {},
    }


def _failed(trial: FrozenTrial) -> FrozenTrial:
    """Return a running trial as one that was lost: nothing is held against its parameters."""
    step = max(trial.intermediate_values, default=0)
    end = end_of(text="it was running when it was imported", reason=FailReason.WORKER_LOST, step=step)
    return FrozenTrial(
        number=trial.number,
        state=TrialState.FAIL,
        value=None,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_start,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
        system_attrs={**trial.system_attrs, attributes.END: end},
        intermediate_values=trial.intermediate_values,
        trial_id=trial._trial_id,
    )


def _trials(count: int) -> str:
    return "trial" if count == 1 else "trials"
