"""The values of one trial that travel between the study and whoever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from search.errors import FailReason

ParamValue: TypeAlias = bool | int | float | str | None


class Verdict(StrEnum):
    """What the study answers to a report."""

    CONTINUE = "continue"
    PRUNE = "prune"  # this trial is poor: end it as PRUNED
    PAUSE = "pause"  # others go first: save a checkpoint and pause, until this trial is promoted
    STOP = "stop"  # the sweep is ending: save a checkpoint and pause
    GONE = "gone"  # the trial has ended, or is another worker's now: leave it alone


class Ending(StrEnum):
    """How a run of a trial ended; all but PAUSED are final."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAIL = "fail"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """One trial to run: its number in the study and the parameters suggested for it."""

    number: int
    params: Mapping[str, ParamValue]


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of a running trial.

    Attributes:
        step: Where the trial is on the sweep's common scale, 1 to `max_epochs`.
        metrics: Every metric the objective measured at this step, in its natural sign.
        units: Units of the learner's own budget done so far (epochs, batches of trees, folds).
        is_last: Whether the training ends with it, by its budget or its patience, so that the trial cannot rest; an end
            that only the next unit shows, as a generator's may be, is not known yet.
    """

    step: int
    metrics: Mapping[str, float]
    units: int
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Reuse:
    """How a trial came by its prepared rows.

    Attributes:
        how: `found`; `waited` for another process that made them; `moved` here from another machine; `made`; or
            `unkept`: made, and not kept for others.
        cost_s: Seconds that they took to make, by whoever made them.
        took_s: Seconds until this trial had them.
    """

    how: str
    cost_s: float
    took_s: float

    @property
    def saved_s(self) -> float:
        """Seconds that this trial did not have to spend; 0 for the one that made them."""
        return max(0.0, self.cost_s - self.took_s) if self.how in ("found", "waited", "moved") else 0.0

    def to_json(self) -> dict[str, str | float]:
        return {"how": self.how, "cost_s": round(self.cost_s, 6), "took_s": round(self.took_s, 6)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Reuse:
        return cls(values["how"], values["cost_s"], values["took_s"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run of a trial ended.

    Attributes:
        ending: The state it ended in.
        step: Of a COMPLETE trial its best step, else the last one reported (0: none).
        metrics: All metrics at that step.
        units: Units of training done in this trial, over all its runs.
        reason: Of a FAIL, from the fixed list.
        text: Of a FAIL the error in one line; else why it ended (`"full budget"`, `"no better for 8 steps"`).
        trace: Of an exception, its traceback.
        stage_s: Seconds spent in each stage by this run; a study keeps those of all runs that told together.
        notes: What people should know of how it came about, a sentence each.
        peak_mb: Largest memory of its process, in MB, where it was measured.
        reuse: How it came by its prepared rows, where they are kept.
        ends_sweep: Of a FAIL, whether the sweep ends with it.
        gpu_peak_mb: Largest memory that it took of a GPU, in MB, where it had one and it was measured.
        gpu_mb: Memory of that GPU.
        splits_batches: Whether its learner can split its batches, to take less.
        gpu_idle: Share of its training in which its GPU had nothing to do, where it was measured.
        replays: Of a PAUSED one, whether it trains again from the start to go on.
    """

    ending: Ending
    step: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    units: int = 0
    reason: FailReason | None = None
    text: str = ""
    trace: str = ""
    stage_s: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    peak_mb: float | None = None
    reuse: Reuse | None = None
    ends_sweep: bool = False
    gpu_peak_mb: float | None = None
    gpu_mb: float | None = None
    splits_batches: bool = False
    gpu_idle: float | None = None
    replays: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The study's answer to an objective that suggests its parameters and reports by itself.

    Attributes:
        verdict: Whether the trial goes on.
        value: What was asked for, if anything was.
        fault: Why the trial ends as invalid; "" if it does not.
    """

    verdict: Verdict = Verdict.CONTINUE
    value: Any = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Overdue:
    """A trial that its worker should have ended by now, and where that worker runs."""

    number: int
    token: str
    worker: str
    node: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The study's answer to a free worker: a trial, or wait (both None), or why there will be none.

    Attributes:
        gpus: What its worker has to have of GPUs; None where that is not the study's to say.
        apart: Name of the process to ask instead, since the suggestion takes long; "" for none.
    """

    spec: TrialSpec | None = None
    done: str | None = None
    gpus: float | None = None
    apart: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """The study's answer to a worker that starts a trial.

    Attributes:
        action: `start` from nothing, `resume` from the last checkpoint, or `skip`: the trial has ended already
            (it was told so by an earlier attempt, or its retries are used up), or the sweep is stopping.
        timeout_s: Seconds this run may take, or None.
        told: What the study was told at each step before, of a trial that goes on: a training that repeats steps
            has to come to the same.
        micro_batches: Parts into which it splits each batch.
    """

    action: Literal["start", "resume", "skip"]
    timeout_s: float | None = None
    told: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    micro_batches: int = 1
