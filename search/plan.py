"""Every choice of a launch, validated, frozen and ready to travel: the `SweepPlan`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from search.trial import ParamValue


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """A sweep as launched. Times in seconds; None means no limit.

    Attributes:
        objective: Canonical reference of the objective.
        space: Canonical reference of the search space.
        study: Name of the study, and of its folder.
        metrics: Names of the searched metrics, one direction each.
        directions: `minimize` or `maximize`, per searched metric.
        sampler: Sampler with its options, as text.
        pruner: Pruner with its options, as text.
        split: How rows are shared out to train, validation and test: a `Scheme` as text.
        folds: Parts of a cross-validation over train and validation; 0 for one validation part.
        fixed: Parameters that `--set` fixes.
        enqueued: Points to try first.
        memory_bytes: What a trial may take beyond what its worker held before; None for no limit.
        grace_s: How long running trials may take to pause when the sweep stops.
        keep_checkpoints: Whose are kept of ended trials: `best`, `all` or `none`.
        cache_bytes: What prepared data may take on a machine's disk; 0 to keep none, None for a fifth of what is free.
        constraints: Bounds that a trial has to keep to, each as text such as `latency_ms<=30`.
        replicates: How often each trial is trained, with different seeds; its value is the mean.
        until: Value of the searched metric at which the sweep stops.
        min_gain: Expected improvement, in the searched metric's unit, below which it stops.
        until_confident: Share of the noise of the best result, below which what is expected to be gained stops it.
        warm_start: Earlier studies that it learns from, by name.
        by_hand: Whether the objective suggests its parameters and reports by itself, as Optuna's do; it has no epochs.
        catch: Exceptions of such an objective that end their trial alone, by name; () for all.
        storage: URL of a database, without a password; None is a journal in the study's folder.
        track: Trackers that hear of its trials, each as text such as `mlflow:URI`.
        notify: URL that hears of a new best and of the end; `${NAME}` in it stands for a secret of the environment.
        split_seed: What the split is made from, where that is not `seed`.
        confirms: Study whose best trials this one trains again, by its name.
        candidates: Their numbers there, in the order of their points among `enqueued`.
        pack: Whether trials share GPUs by what they use; `gpus` is then what the first ones get.
        priority: Among the sweeps of its cluster; higher ones come first.
        precision: What networks reckon with: `float32`, `bf16`, or `auto`: bf16 on a GPU that has it.
        compiled: Whether networks are compiled.
        origins: Where each choice came from.
    """

    objective: str
    space: str
    study: str
    results: str
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    seed: int
    data: str | None = None
    target: str | None = None
    split: str = "auto"
    folds: int = 0
    trials: int | None = None
    time_s: float | None = None
    epochs: int | None = None
    gpu_hours: float | None = None
    cpu_hours: float | None = None
    max_failures: int | None = None
    max_epochs: int = 27
    plateau: int | None = None
    sampler: str = "auto"
    pruner: str = "auto"
    cpus: float = 1.0
    gpus: float = 0.0
    concurrency: int | None = None
    patience: int = 8
    trial_timeout_s: float | None = None
    memory_bytes: int | None = None
    grace_s: float = 8.0
    keep_checkpoints: str = "best"
    retries: int = 3
    fixed: Mapping[str, ParamValue] = field(default_factory=dict)
    enqueued: tuple[Mapping[str, ParamValue], ...] = ()
    cache_bytes: int | None = None
    constraints: tuple[str, ...] = ()
    replicates: int = 1
    until: float | None = None
    min_gain: float | None = None
    until_confident: float | None = None
    warm_start: tuple[str, ...] = ()
    by_hand: bool = False
    catch: tuple[str, ...] = ()
    storage: str | None = None
    address: str | None = None
    track: tuple[str, ...] = ()
    notify: str | None = None
    split_seed: int | None = None
    confirms: str | None = None
    candidates: tuple[int, ...] = ()
    pack: bool = False
    priority: int = 0
    precision: str = "float32"
    compiled: bool = False
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows_seed(self) -> int:
        """The seed that rows are shared out by."""
        return self.seed if self.split_seed is None else self.split_seed

    @property
    def asked_gpus(self) -> float | str:
        """What `--gpus` was given as."""
        return "auto" if self.pack else self.gpus

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON-ready values."""
        return {
            one.name: list(value) if isinstance(value := getattr(self, one.name), tuple) else value
            for one in fields(self)
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SweepPlan:
        """Return the plan that `to_json` described."""
        tuples = {"metrics", "directions", "enqueued", "constraints", "warm_start", "catch", "track", "candidates"}
        typed: dict[str, Any] = {key: tuple(value) if key in tuples else value for key, value in values.items()}
        return cls(**typed)

    def differing(self, other: SweepPlan) -> dict[str, Any]:
        """Return the fields of `other`, JSON-ready, that differ from this plan's."""
        mine, theirs = self.to_json(), other.to_json()
        return {name: value for name, value in theirs.items() if value != mine[name]}
