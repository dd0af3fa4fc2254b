"""Trials in this process, without Ray: for unit tests, for `--repeat`, and for small searches in a notebook."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from search.checkpoint import Checkpoint, CheckpointKind
from search.contract import Metric
from search.plan import SweepPlan
from search.problem import Problem
from search.running import Recorded, trial_run
from search.session import Setting
from search.study.choice import Choice
from search.study.kept import Kept
from search.trial import Answer, Asked, Begun, Outcome, ParamValue, Progress, TrialSpec, Verdict
from search.trialfiles import TrialFiles, decode, encode


class Study(Protocol):
    """The calls of a worker to the study, as `search.study.owner.StudyOwner` has them."""

    def ask(self, request: str) -> Asked: ...
    def begin(self, number: int, token: str, *, worker: str = "") -> Begun: ...
    def report(self, number: int, token: str, progress: Progress) -> Verdict: ...
    def tell(self, number: int, token: str, outcome: Outcome) -> None: ...
    def by_hand(self, number: int, token: str, action: str, arguments: tuple[Any, ...]) -> Answer: ...
    @property
    def checkpoints(self) -> Kept: ...


def setting_of(plan: SweepPlan, problem: Problem, *, device: str = "cpu") -> Setting:
    """Return what of the plan concerns a single trial of this problem."""
    declared = {metric.name: metric for metric in problem.metrics}
    searched = declared.get(plan.metrics[0], Metric(plan.metrics[0], "minimize"))
    return Setting(
        seed=plan.seed,
        searched=Metric(searched.name, plan.directions[0], searched.unit),  # type: ignore[arg-type]
        max_epochs=plan.max_epochs,
        patience=plan.patience,
        timeout_s=plan.trial_timeout_s,
        threads=threads_of(plan),
        device=device,
        fold_scores=compares_folds(Choice.parse(plan.pruner)),
        replicates=plan.replicates,
        catch=plan.catch,
        precision=precision_of(plan, device),
        compiled=plan.compiled,
        devices=devices_of(plan, device),
    )


def compares_folds(pruner: Choice) -> bool:
    """Tell whether a pruner compares trials fold by fold, and so has to see each fold's own score."""
    return "wilcoxon" in (pruner.name, pruner.options.get("wrapped"))


def threads_of(plan: SweepPlan) -> int:
    """Return the CPU threads of one trial: its CPUs, at least one."""
    return max(1, int(plan.cpus))


def device_of(plan: SweepPlan) -> str:
    """Return `cuda` when a trial is given a GPU and torch can use it, else `cpu`."""
    if plan.gpus == 0:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def devices_of(plan: SweepPlan, device: str) -> int:
    """Return how many devices the learner of a trial trains on: its whole GPUs, as far as they are here, or the CPU."""
    if device != "cuda":
        return 1
    import torch

    return max(1, min(int(plan.gpus), torch.cuda.device_count()))  # another machine than the sweep's may have fewer


def precision_of(plan: SweepPlan, device: str) -> str:
    """Return what networks reckon with on this machine; `auto` is bf16 on a GPU that was made for it."""
    if plan.precision != "auto":
        return plan.precision
    if device != "cuda":
        return "float32"
    import torch

    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"


def use_threads(threads: int) -> None:
    """Limit the numeric libraries of this process to `threads`, loaded already or not."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


class LocalSession:
    """A trial's way out, straight to the study and to its folder; without a folder it keeps nothing.

    Args:
        number: The trial.
        report: Takes a step, gives the verdict.
        files: Of the study, or None.
        by_hand: Answers an objective that suggests and reports by itself.
    """

    def __init__(
        self,
        number: int,
        report: Callable[[Progress], Verdict],
        files: TrialFiles | None = None,
        by_hand: Callable[[str, tuple[Any, ...]], Answer] | None = None,
    ) -> None:
        self._number, self._report, self._files, self._by_hand = number, report, files, by_hand

    def by_hand(self, action: str, *arguments: Any) -> Answer:
        assert self._by_hand is not None
        return self._by_hand(action, arguments)

    def report(self, progress: Progress) -> Verdict:
        return self._report(progress)

    def save(self, kind: CheckpointKind, checkpoint: Checkpoint) -> None:
        if self._files is not None:
            self._files.save(self._number, kind, *encode(checkpoint))

    def load(self, kind: CheckpointKind) -> Checkpoint | None:
        return decode(self._files.load(self._number, kind)) if self._files is not None else None


def run_alone(
    problem: Problem,
    number: int,
    params: Mapping[str, ParamValue],
    setting: Setting,
    *,
    pruned_after: int | None = None,
) -> Outcome:
    """Run one trial by itself: no study, no pruning, no files.

    Args:
        problem: The objective with its data.
        number: Of the trial, for its seeds.
        params: Its parameters.
        setting: What of the plan concerns it.
        pruned_after: The step at which it was pruned the first time, to end it there again.
    """

    def report(progress: Progress) -> Verdict:
        return Verdict.PRUNE if pruned_after is not None and progress.step >= pruned_after else Verdict.CONTINUE

    alone = Recorded(number, params, pruned_after=pruned_after)
    session = LocalSession(number, report, by_hand=alone.answer)
    run = trial_run(problem, TrialSpec(number, params), setting, session)
    for _ in run:
        pass
    return run.outcome


def run_here(
    study: Study,
    problem: Problem,
    setting: Setting,
    folder: Path | None = None,
    *,
    checkpoint_every_s: float | None = None,
) -> str:
    """Run trials of a study one after the other in this process until there are no more; say why.

    Args:
        study: Asks and judges.
        problem: The objective with its data.
        setting: What of the plan concerns a single trial.
        folder: The study's folder, or None to keep no files.
        checkpoint_every_s: Seconds of training between two checkpoints, if not the engine's own.
    """
    use_threads(setting.threads)
    files = TrialFiles(folder) if folder is not None else None
    turn = 0
    while True:
        asked = study.ask(f"local-{os.getpid()}:{turn}")
        if asked.spec is None:
            return asked.done or "no trial may start while others are held"
        number, token = asked.spec.number, uuid.uuid4().hex
        begun = study.begin(number, token, worker=f"local:{os.getpid()}")
        if begun.action == "skip":
            turn += 1
            continue
        calls = partial(study.report, number, token), files, partial(study.by_hand, number, token)
        run = trial_run(
            problem,
            asked.spec,
            replace(setting, micro_batches=begun.micro_batches),
            LocalSession(number, *calls),
            resume=begun.action == "resume",
            told=begun.told,
            checkpoint_every_s=checkpoint_every_s,
        )
        for _ in run:
            pass
        if files is not None and run.outcome.trace:
            files.error(number, run.outcome.trace)
        study.tell(number, token, run.outcome)
        spare = study.checkpoints.take_spare()
        if files is not None:
            files.drop(spare)
        turn += 1
