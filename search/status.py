"""Where a sweep stands: the one value that the live display, `--json`, `list` and `show` are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from search.study.constraints import violation
from search.study.hypervolume import Hypervolume, hypervolume_of
from search.trial import ParamValue

SweepState = Literal["finished", "stopped", "interrupted", "failed", "running"]
STATES = ("complete", "pruned", "fail", "running", "paused", "waiting")
CURVE = 30
"""Reports of a running trial that are shown of it."""


@dataclass(frozen=True, slots=True)
class TrialScore:
    """A COMPLETE trial by its result.

    Attributes:
        number: In the study.
        values: Of the searched metrics, in natural sign.
        params: As suggested, by full name.
        metrics: Every metric at the trial's best step.
        step: That best step.
        constraints: How far it is beyond each constraint, by name; at most 0 is kept to.
    """

    number: int
    values: tuple[float, ...]
    params: Mapping[str, ParamValue]
    metrics: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    constraints: Mapping[str, float] = field(default_factory=dict)

    @property
    def violation(self) -> float:
        """By how much it misses constraints, all together; 0 if it keeps to all."""
        return violation(self.constraints)

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "value": self.values[0],
            "values": list(self.values),
            "params": dict(self.params),
            "metrics": dict(self.metrics),
            "step": self.step,
            **({"constraints": dict(self.constraints)} if self.constraints else {}),
        }


@dataclass(frozen=True, slots=True)
class RunningTrial:
    """A trial that a worker holds now: its last reported step and searched value (None: no report yet).

    Attributes:
        values: Of all searched metrics, where there are several.
        curve: What it reported of the first one, the last `CURVE` times; finite.
    """

    number: int
    step: int
    value: float | None
    values: tuple[float, ...] = ()
    curve: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class LostNode:
    """A machine of the cluster that trials had to leave.

    Attributes:
        address: Where it was.
        trials: Those that it ran, each with the step from which it goes on elsewhere; 0 is its beginning.
        leaving: Whether it said so before, so that its trials could save a checkpoint.
    """

    address: str
    trials: Mapping[int, int] = field(default_factory=dict)
    leaving: bool = False

    def to_json(self) -> dict[str, Any]:
        trials = [{"number": number, "step": step} for number, step in self.trials.items()]
        return {"address": self.address, "leaving": self.leaving, "trials": trials}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LostNode:
        trials = {int(one["number"]): int(one["step"]) for one in values["trials"]}
        return cls(values["address"], trials, bool(values["leaving"]))


@dataclass(frozen=True, slots=True)
class Status:
    """One study at one moment.

    Attributes:
        trials: How many trials are in each of `STATES`.
        best: The best COMPLETE trial, with several metrics the first of the front.
        front: The Pareto front, where there are several metrics.
        worst: The worst value of each searched metric over all COMPLETE trials.
        best_age: Trials that ended since the best one did.
        moves: Each time that the best moved: how many trials had ended by then, and its value; () with several metrics.
        missed: COMPLETE trials that miss a constraint: none of them is best, or on the front.
        nearest: Of those, the one that misses by least.
        replicates: Trainings that a trial's value is the mean of.
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
        nodes: Machines that it runs on; 0 where nobody counts them.
        lost_nodes: Machines that trials had to leave, in order.
        priority: Among the sweeps of its cluster.
        queued: Whom it waits for there, before it may begin a trial; "" if it does not.
    """

    study: str
    state: SweepState
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    trials: Mapping[str, int]
    best: TrialScore | None = None
    front: tuple[TrialScore, ...] = ()
    worst: tuple[float, ...] = ()
    best_age: int = 0
    moves: tuple[tuple[int, float], ...] = ()
    missed: int = 0
    nearest: TrialScore | None = None
    replicates: int = 1
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
    nodes: int = 0
    lost_nodes: tuple[LostNode, ...] = ()
    priority: int = 0
    queued: str = ""

    @property
    def hypervolume(self) -> Hypervolume | None:
        """What the front is worth; None with one metric."""
        return hypervolume_of(
            [score.values for score in self.front],
            metrics=self.metrics,
            directions=self.directions,
            baseline=self.baseline,
            worst=self.worst,
        )

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
            **({"hypervolume": volume.to_json()} if (volume := self.hypervolume) is not None else {}),
            "epochs": {"run": self.epochs_run, "saved_by_pruning": self.epochs_saved},
            "seconds": round(self.seconds, 3),
            "why_stopped": self.why_stopped,
            "results": self.results,
            "baseline": dict(self.baseline),
            "failures": dict(self.failures),
            **({"infeasible": {"trials": self.missed, "nearest": self.nearest.to_json()}} if self.nearest else {}),
            **({"replicates": self.replicates} if self.replicates > 1 else {}),
            **({"prepared": {**self.prepared, "saved_s": round(self.saved_s, 3)}} if self.prepared else {}),
            **({"lost_nodes": [node.to_json() for node in self.lost_nodes]} if self.lost_nodes else {}),
            **({"priority": self.priority} if self.priority else {}),
            **({"queued": self.queued} if self.queued else {}),
        }
