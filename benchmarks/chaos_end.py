"""What has to hold of a study that has finished: counts, its journal, what the command said, files, every figure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from benchmarks.chaos_check import reason
from search.checkpoint import Checkpoint, CheckpointKind
from search.trial import Progress, Verdict


def breaches(journal: Path, trials: Mapping[int, FrozenTrial], *, out: str, asked: int, opened: bool) -> list[str]:
    """Return every breach of a rule.

    Args:
        journal: Of the study, in its folder.
        trials: As plain Optuna reads them.
        out: What the last command printed.
        asked: Trials that were asked for.
        opened: Whether the last run opened the study; one that found nothing left to do has changed nothing.
    """
    return [
        *_left_or_uncounted(trials, asked),
        *_of_journal(journal),
        *_of_answer(out, trials),
        *_of_files(journal.parent, trials, opened=opened),
        *_of_training(journal.parent, trials),
    ]


def _left_or_uncounted(trials: Mapping[int, FrozenTrial], asked: int) -> list[str]:
    """Return what is wrong with a study that has finished."""
    found = []
    left = [trial.number for trial in trials.values() if not trial.state.is_finished()]
    if left:
        found.append(f"held by nobody: trials {left} have not ended, and the sweep has")
    counted = [trial for trial in trials.values() if trial.state.is_finished() and reason(trial) != "worker_lost"]
    if len(counted) != asked:
        found.append(f"budget: {len(counted)} trials count, {asked} were asked for")
    failed = [(trial.number, reason(trial)) for trial in trials.values() if trial.state is TrialState.FAIL]
    found += [f"trial {number} failed: {reason}" for number, reason in failed if reason != "worker_lost"]
    for trial in trials.values():
        notes = trial.system_attrs.get("sweep:end", {}).get("notes", ())
        found += [f"trial {trial.number}: {note}" for note in notes if "differs" in note]
    return found


def _of_journal(journal: Path) -> list[str]:
    """Return what plain Optuna would forgive: a step that was written twice, a trial that ended twice."""
    seen: set[tuple[Any, ...]] = set()
    found = []
    for line in journal.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break  # torn when all was done already: nobody has opened it since to write
        record = json.loads(line)
        if record["op_code"] == 7:  # a report
            key: tuple[Any, ...] = ("step", record["trial_id"], record["step"])
        elif record["op_code"] == 6 and record["state"] != TrialState.RUNNING:
            key = ("end", record["trial_id"])
        else:
            continue
        if key in seen:
            found.append(f"written twice: {key}")
        seen.add(key)
    return found


def _of_answer(out: str, trials: Mapping[int, FrozenTrial]) -> list[str]:
    """Compare what the command printed at the end with the storage."""
    try:
        said = json.loads(out)
    except ValueError:
        return [f"the command printed no JSON: {out[-200:]!r}"]
    complete = [trial for trial in trials.values() if trial.state is TrialState.COMPLETE]
    best = min(complete, key=lambda trial: (trial.value, trial.number), default=None)
    found = []
    if said["state"] != "finished":
        found.append(f"the command says {said['state']}, {said['why_stopped']}")
    counts = {state: sum(t.state is state for t in trials.values()) for state in TrialState}
    for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL):
        if said["trials"][state.name.lower()] != counts[state]:
            found.append(f"the command counts {said['trials']}, the storage {counts[state]} {state.name}")
    if best is None or said["best"] is None:
        return [*found, "no trial completed"]
    if (said["best"]["value"], said["best"]["params"]) != (best.value, best.params):
        found.append(f"the command's best is {said['best']}, the storage's {best.number} with {best.value}")
    epochs = sum(len(trial.intermediate_values) for trial in trials.values())
    if said["epochs"]["run"] != epochs:
        found.append(f"the command counts {said['epochs']['run']} epochs, the storage {epochs}")
    return found


def _of_files(study: Path, trials: Mapping[int, FrozenTrial], *, opened: bool) -> list[str]:
    """See that the best trial's checkpoint is there, whole, and of its best step; and no other trial's."""
    from search.checkpoint import CheckpointDamaged
    from search.trialfiles import TrialFiles, decode

    complete = [trial for trial in trials.values() if trial.state is TrialState.COMPLETE]
    if not complete:
        return []
    best = min(complete, key=lambda trial: (trial.value, trial.number))
    try:
        kept = decode(TrialFiles(study).load(best.number, "best"))
    except CheckpointDamaged:
        return [f"the checkpoint of the best trial {best.number} is damaged"]
    if kept is None:
        return [f"the checkpoint of the best trial {best.number} is gone"]
    found = []
    if best.intermediate_values[kept.step] != best.value:
        found.append(f"the checkpoint of the best trial {best.number} is of step {kept.step}, which is not its best")
    there = {int(path.parent.name) for path in study.glob("trials/*/checkpoint")}
    if opened and there != {best.number}:
        found.append(f"checkpoints are kept of trials {sorted(there)}, the best is {best.number}")
    return found


def _of_training(study: Path, trials: Mapping[int, FrozenTrial]) -> list[str]:
    """Train each trial again, undisturbed: it has to come to the very same figures."""
    from benchmarks import chaos_problem
    from search.data.source import FileSource
    from search.engine import TrialRun
    from search.plan import SweepPlan
    from search.problem import open_problem
    from search.session import Setting
    from search.trial import TrialSpec

    plan = SweepPlan.from_json(json.loads((study / "plan.json").read_text())["plan"])
    problem = open_problem(chaos_problem.Noise(), FileSource(None, None, study), seed=plan.seed)
    setting = Setting(plan.seed, problem.metrics[0], plan.max_epochs, plan.patience)
    before, chaos_problem.EPOCH_S = chaos_problem.EPOCH_S, 0.0  # type: ignore[misc]
    found = []
    try:
        for trial in trials.values():
            told = dict(sorted(trial.intermediate_values.items()))
            run = TrialRun(problem, TrialSpec(trial.number, trial.params), setting, _Alone(max(told, default=0)))
            alone = {progress.step: progress.metrics["val_loss"] for progress in run}
            if trial.state is not TrialState.FAIL and alone != told:
                step = next((s for s in told if alone.get(s) != told[s]), len(told) + 1)
                found.append(f"other figures: trial {trial.number} differs from step {step} on when trained alone")
    finally:
        chaos_problem.EPOCH_S = before  # type: ignore[misc]
    return found


@dataclass(frozen=True, slots=True)
class _Alone:
    """A trial's way out that leads nowhere; it ends where the trial ended."""

    last: int

    def report(self, progress: Progress) -> Verdict:
        return Verdict.PRUNE if progress.step >= self.last else Verdict.CONTINUE

    def save(self, kind: CheckpointKind, checkpoint: Checkpoint) -> None:
        """Keep nothing."""

    def load(self, kind: CheckpointKind) -> Checkpoint | None:
        return None
