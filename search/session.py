"""What a trial runs with: the `Session`, its way out, and the `Setting`, what of the plan concerns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from search.checkpoint import Checkpoint, CheckpointKind
from search.contract import Metric
from search.trial import Progress, Verdict


class Session(Protocol):
    """A running trial's only way out: to the study, and to its folder."""

    def report(self, progress: Progress) -> Verdict:
        """Tell the study one step and get its verdict."""

    def save(self, kind: CheckpointKind, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint in the trial's folder."""

    def load(self, kind: CheckpointKind) -> Checkpoint | None:
        """Return the trial's checkpoint, or None if there is none.

        Raises:
            CheckpointDamaged: There is one that cannot be read.
        """


@dataclass(frozen=True, slots=True)
class Setting:
    """What of the plan concerns a single trial.

    Attributes:
        searched: The searched metric: what "best" means within a trial.
        patience: Steps without a better `val_loss` before the trial ends; 0 for never.
        timeout_s: Longest run of one trial, or None.
        fold_scores: Whether a trial with folds reports each fold's own scores, and not the means so far: what a pruner
            needs that compares trials fold by fold. The value of a trial is the mean either way.
        replicates: How often a trial is trained, with different seeds.
        catch: Exceptions that end their trial alone, by name; () for all.
        micro_batches: Parts into which a learner splits each batch.
        precision: What networks reckon with: `float32` or `bf16`.
        compiled: Whether networks are compiled.
        devices: GPUs that a learner trains on together.
    """

    seed: int
    searched: Metric
    max_epochs: int
    patience: int = 0
    timeout_s: float | None = None
    threads: int = 1
    device: str = "cpu"
    fold_scores: bool = False
    replicates: int = 1
    catch: tuple[str, ...] = ()
    micro_batches: int = 1
    precision: str = "float32"
    compiled: bool = False
    devices: int = 1


class SessionLost(Exception):
    """The way out is gone (study or folder out of reach): no fault of the trial, so it gets no outcome."""
