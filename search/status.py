"""Where a sweep stands: the one value that the live display, `--json`, `list` and `show` are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from search.trial import ParamValue

SweepState = Literal["finished", "stopped", "interrupted", "failed", "running"]
STATES = ("complete", "pruned", "fail", "running", "paused", "waiting")


@dataclass(frozen=True, slots=True)
class TrialScore:
    """A COMPLETE trial by its result.

    Attributes:
        number: In the study.
        values: Of the searched metrics, in natural sign.
        params: As suggested, by full name.
        metrics: Every metric at the trial's best step.
        step: That best step.
    """

    number: int
    values: tuple[float, ...]
    params: Mapping[str, ParamValue]
    metrics: Mapping[str, float] = field(default_factory=dict)
    step: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "value": self.values[0],
            "values": list(self.values),
            "params": dict(self.params),
            "metrics": dict(self.metrics),
            "step": self.step,
        }


@dataclass(frozen=True, slots=True)
class RunningTrial:
    """A trial that a worker holds now: its last reported step and searched value (None: no report yet)."""

    number: int
    step: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """One study at one moment.

    Attributes:
        trials: How many trials are in each of `STATES`.
        best: The best COMPLETE trial, with several metrics the first of the front.
        front: The Pareto front, where there are several metrics.
        best_age: Trials that ended since the best one did.
        epochs_run: Steps reported over all trials, on the sweep's scale.
        epochs_saved: Steps that pruned trials did not run.
        seconds: Wall-clock time of all runs of the sweep.
        baseline: Metrics of a naive prediction, or {}.
        failures: FAIL trials by reason.
        prepared: Ended trials by how they came by their prepared rows: made, or had from others.
        saved_s: Seconds that preparing did not take because others had done it.
        running: Trials held by workers now.
        target_trials: The budget of trials, or None.
        left_s: Seconds of the time budget that are left, or None.
    """

    study: str
    state: SweepState
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    trials: Mapping[str, int]
    best: TrialScore | None = None
    front: tuple[TrialScore, ...] = ()
    best_age: int = 0
    epochs_run: int = 0
    epochs_saved: int = 0
    seconds: float = 0.0
    why_stopped: str = ""
    results: str = ""
    baseline: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    prepared: Mapping[str, int] = field(default_factory=dict)
    saved_s: float = 0.0
    running: tuple[RunningTrial, ...] = ()
    max_epochs: int = 0
    target_trials: int | None = None
    left_s: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that `sweep run`, `resume`, `list` and `show` print."""
        return {
            "study": self.study,
            "state": self.state,
            "metrics": list(self.metrics),
            "directions": list(self.directions),
            "trials": {state: self.trials.get(state, 0) for state in STATES},
            "best": self.best.to_json() if self.best else None,
            "best_trials": [score.to_json() for score in self.front],
            "epochs": {"run": self.epochs_run, "saved_by_pruning": self.epochs_saved},
            "seconds": round(self.seconds, 3),
            "why_stopped": self.why_stopped,
            "results": self.results,
            "baseline": dict(self.baseline),
            "failures": dict(self.failures),
            **({"prepared": {**self.prepared, "saved_s": round(self.saved_s, 3)}} if self.prepared else {}),
        }
