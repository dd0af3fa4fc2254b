"""This project's samplers and pruners as searches that are replayed, driven as the study's owner drives them."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from benchmarks import quality_optuna
from benchmarks.quality_clock import Job, Search
from benchmarks.quality_optuna import suggested
from benchmarks.quality_tables import Table
from search.study import attributes, pruners, samplers
from search.study.choice import Choice
from search.study.draft import draft
from search.study.pruners import Pruning, Reached
from search.study.seen import view_of

NAMES: Final = ("auto+auto", "random+asha", "random+asha:promote=true", "evolve+asha", "evolve+asha:promote=true")
"""Any other `SAMPLER+PRUNER` that `sweep run` takes is one, too."""


def make(name: str, table: Table, seed: int) -> Search:
    """Build the search that is called `SAMPLER+PRUNER`, each with its options as `sweep run` takes them."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler, _, pruner = name.partition("+")
    return Ours(sampler, pruner or "none", partial(suggested, table=table), epochs=table.epochs, seed=seed)


class Ours:
    """A study in memory, without the owner's books.

    A resting trial has the attributes that tell samplers and rules so; its worker lets go of it at once.

    Args:
        sampler: With its options, as `sweep run` takes it.
        pruner: The same.
        space: Suggests the parameters of a trial, and returns the row that they are.
        epochs: The last step.
        seed: Of the search.
    """

    def __init__(self, sampler: str, pruner: str, space: Callable[[Trial], int], *, epochs: int, seed: int) -> None:
        self._sampler, rule = Choice.parse(sampler), Choice.parse(pruner)
        samplers.check(self._sampler)
        pruners.check(rule, epochs)
        self._space, self._epochs, self._seed = space, epochs, seed
        self._study = optuna.create_study(study_name=str(seed))
        self._storage = self._study._storage
        self._rule = pruners.make(rule, directions=["minimize"], seed=seed, max_epochs=epochs)
        self._rule.attend(self._study)
        self._study.pruner = self._rule
        self._begun = 0
        self._resting: dict[int, Job] = {}

    def take_over(self, trials: Iterable[FrozenTrial]) -> None:
        """Go on after these trials, which have ended, as a study does that is opened again."""
        for trial in trials:
            self._storage.create_new_trial(self._study._study_id, template_trial=trial)
            self._begun += 1
        self._rule.replay(self._study.get_trials(deepcopy=False))

    def ask(self) -> Job:
        return self._woken() or self._new()

    def report(self, job: Job, error: float) -> bool:
        self._storage.set_trial_intermediate_value(job.trial, job.done, error)
        if job.done == job.until:
            return self._end(job, TrialState.COMPLETE, error)
        judged = self._rule.judge(self._study, self._stored(job))
        if isinstance(judged, Pruning):
            self._write(job, attributes.PRUNING, judged.to_json())
            return self._end(job, TrialState.PRUNED, error)
        if judged is None:
            return True
        self._reached(job, judged)
        if judged.rests:
            self._lease(job, held=False)
            number = self._stored(job).number
            self._resting[number] = job
            self._rule.rest(number)
        return not judged.rests

    def _woken(self) -> Job | None:
        """Return a resting trial that goes on, if one has earned it."""
        while (number := self._rule.promotable()) is not None:
            job = self._resting[number]
            reached = self._rule.promote(self._stored(job))
            self._reached(job, reached)
            if not reached.rests:
                self._lease(job, held=True)
                return self._resting.pop(number)
        return None

    def _new(self) -> Job:
        self._study.sampler = samplers.make(self._sampler, seed=self._seed, number=self._begun)
        rows: list[int] = []
        template = draft(
            self._study,
            self._study.sampler,
            lambda trial: rows.append(self._space(trial)),
            fixed={},
            attributes={attributes.REQUEST: str(self._begun)},
            number=self._begun,
            seen=view_of(self._sampler.name, self._study),
        )
        self._begun += 1
        trial_id = self._storage.create_new_trial(self._study._study_id, template_trial=template)
        return Job(trial_id, rows[0], 0, self._epochs)

    def _end(self, job: Job, state: TrialState, error: float) -> bool:
        self._storage.set_trial_state_values(job.trial, state, [error])
        self._rule.settle(self._stored(job))
        return False

    def _reached(self, job: Job, reached: Reached) -> None:
        self._write(job, attributes.RUNG, reached.to_json())
        if reached.went_on is not None:
            before = self._stored(job).system_attrs.get(attributes.WENT_ON, [])
            self._write(job, attributes.WENT_ON, [*before, reached.went_on.to_json()])

    def _lease(self, job: Job, *, held: bool) -> None:
        self._write(job, attributes.LEASE, {"held": held})

    def _write(self, job: Job, key: str, value: Any) -> None:
        self._storage.set_trial_system_attr(job.trial, key, value)

    def _stored(self, job: Job) -> FrozenTrial:
        return self._storage.get_trial(job.trial)


def version(name: str) -> str:
    """Return what decides in an arm: a hash of its sampler's and its rule's own code, beside Optuna's version."""
    sampler, _, pruner = name.partition("+")
    built = (
        samplers.make(Choice.parse(sampler), seed=0, number=0),
        pruners.make(Choice.parse(pruner or "none"), directions=["minimize"], seed=0, max_epochs=27),
    )
    told = hashlib.sha256()
    for file in sorted({file for one in built for file in _files(type(one))}):
        told.update(_without_texts(file).encode())
    return f"ours {told.hexdigest()[:12]}, {quality_optuna.version(name)}"


def _files(decides: type) -> list[Path]:
    """Return the file of a class of ours; its whole folder, if that holds nothing else, and what that reckons with."""
    file = Path(inspect.getfile(decides))
    study = Path(samplers.__file__).parent
    if not file.is_relative_to(study):
        return []
    if file.parent in (study, study / "pruners"):
        return [file]
    return [*sorted(file.parent.rglob("*.py")), study / "encoding.py", study / "matern.py"]


def _without_texts(file: Path) -> str:
    """Return code as comments, docstrings and layout do not change it."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [one for one in node.body if not _is_text(one)]
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
