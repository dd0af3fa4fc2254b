"""From what the user chose to a checked launch: objective, space and data loaded, every choice validated.

Writes nothing, starts nothing. Whatever can be wrong with a launch is found here, before Ray is.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search import byvalue, checked, loading, reloading
from search.adopt.optuna_choices import settle
from search.adopt.recognise import searching
from search.checked import Goal, SpaceChoices
from search.choosing import Choices
from search.data.describe import describe as describe_data
from search.data.fetch import Say, quiet
from search.data.reference import absolute_reference, parse_reference
from search.data.scheme import Scheme
from search.data.source import FileSource
from search.errors import RefusedError, did_you_mean
from search.notify import check as check_notify
from search.opening import baseline_of, users_code
from search.paths import StudyFolder, check_study_name
from search.plan import SweepPlan
from search.problem import Problem, open_problem
from search.study.constraints import Constraint
from search.study.example import example
from search.study.lock import refuse_running
from search.study.ranges import in_full
from search.study.storage import check_url, shown, trials_in
from search.trackers.chosen import check as check_trackers

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

DEFAULT_TRIALS: Final = 60
_MAX_STEM: Final = 80  # characters of an objective's name in a study's; with the time it stays below 100
_VERSIONED: Final = ("sweep-search", "optuna", "ray", "torch", "scikit-learn", "scipy", "pandas", "numpy")


@dataclass(frozen=True, slots=True, eq=False)
class Launch:
    """A sweep that is ready to run.

    Attributes:
        plan: Every choice.
        problem: The objective with its data, got and split.
        loaded_space: The search space, as loaded.
        space: Every parameter that it was seen to suggest.
        baseline: Metrics of a naive prediction on the validation rows; {} if the objective has none.
        code_hash: Of the objective, the space, and what they import from their own project.
        data_hash: Fingerprint of the data; "" when the objective gets its own.
        objective_hash: Of the objective's code without its space.
        space_hash: Of the space's, as it was loaded.
        warm_start: Earlier studies that it learns from, as the study will keep them.
        brought: What of objective and space no file holds.
        notes: What reading the data left out or changed, a sentence each.
        accept_changes: Whether code or data may change while the sweep runs.
        resumed: Whether the study is there already, to be gone on with.
        changes: Fields of the plan that differ since the study was launched.
        edits: How many edits of the study it goes by.
        place: Where the study lies, if that is not where the plan says: its folder may have been moved or renamed.
        rows: Key of the study's rows where they came with it, and their source is elsewhere; else "".
        hidden: Variables by which the data of a study that came here was read elsewhere: no trial is to see them.
        prepared_ns: When, in unix nanoseconds: what the user wished before then was of an earlier run.
    """

    plan: SweepPlan
    problem: Problem
    loaded_space: loading.Loaded
    space: Mapping[str, BaseDistribution]
    baseline: Mapping[str, float]
    code_hash: str
    data_hash: str
    notes: tuple[str, ...] = ()
    accept_changes: bool = False
    resumed: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)
    prepared_ns: int = field(default_factory=time.time_ns)
    place: StudyFolder | None = None
    warm_start: tuple[Mapping[str, Any], ...] = ()
    objective_hash: str = ""
    space_hash: str = ""
    edits: int = 0
    rows: str = ""
    hidden: tuple[str, ...] = ()
    brought: byvalue.Brought = field(default_factory=dict)

    @property
    def folder(self) -> StudyFolder:
        return self.place or StudyFolder.of(Path(self.plan.results), self.plan.study)

    def record(self) -> dict[str, Any]:
        """Return what `plan.json` holds."""
        return {
            "schema": 1,
            "launched": datetime.now().astimezone().isoformat(timespec="seconds"),
            "plan": self.plan.to_json(),
            "code_hash": self.code_hash,
            "data_hash": self.data_hash,
            "objective_hash": self.objective_hash,
            "versions": versions(),
            "parameters": {name: str(distribution) for name, distribution in self.space.items()},
        }


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, of what is installed."""
    found = {"python": platform.python_version()}
    for name in _VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def prepare(
    reference: object,
    choices: Choices,
    *,
    results: Path,
    folder: Path,
    accept_changes: bool = False,
    say: Say = quiet,
    own_space: object = None,
    points: Sequence[Mapping[str, object]] = (),
    elsewhere: bool = False,
) -> Launch:
    """Load and check everything that a sweep needs.

    Args:
        reference: The objective, as the user wrote it, or itself.
        choices: The user's choices, parsed.
        results: The results folder.
        folder: What relative paths are relative to.
        accept_changes: Whether code or data may change while the sweep runs.
        say: Hears of data that is fetched.
        own_space: The search space itself, where no reference names it.
        points: To try first, where no file holds them.
        elsewhere: Whether another machine is to run it, which has the secrets that it needs.

    Raises:
        InputError: Something that the user gave is wrong.
        RefusedError: The study exists already, in the results folder or in the database.
        SurroundingsError: The database does not answer, or a tracker's package is not installed.
    """
    study = check_study_name(choices["study"]) if choices["study"] else None
    storage = check_url(choices["storage"]) if choices["storage"] else None
    check_trackers(choices["track"])
    if not elsewhere:
        check_notify(choices["notify"])
    if study is not None:
        _refuse_existing(StudyFolder.of(results, study), storage)
    objective = given = byvalue.loaded(reference, "objective", folder=folder, space=own_space)
    adopted, choices = settle(objective.value, choices)
    objective = replace(objective, value=searching(adopted, choices["metric"], choices["direction"]))
    if own_space is None:
        space = loading.load_space(objective, choices["space"], folder=folder)
    else:
        space = byvalue.loaded(own_space, "space", folder=folder)
    seed = choices["seed"] if choices.given("seed") else secrets.randbelow(2**31)

    search = checked.against_space(choices, objective.value, space.value, seed=seed, points=points, folder=folder)

    data = absolute_reference(choices["data"], folder) if choices["data"] else None
    source = FileSource(data, choices["target"], folder, results=results, say=say)
    scheme = Scheme.parse(choices["split"], choices["folds"])
    with users_code(objective, "data"):
        problem = open_problem(objective.value, source, seed=seed, scheme=scheme)
    goal = checked.against_problem(choices, problem, search, results=results)
    plan = _plan_of(
        choices,
        search,
        goal,
        objective=objective.reference,
        space=space.reference,
        study=study or _free_name(objective.reference, results, storage),
        results=str(results.resolve()),
        seed=seed,
        data=_pinned(data, source, folder),
        split=scheme.text,
        folds=scheme.folds,
        by_hand=getattr(objective.value, "suggests_itself", False),
        storage=storage,
    )
    with users_code(objective, "baseline"):
        baseline = baseline_of(problem, plan)
    return Launch(
        plan=plan,
        problem=problem,
        loaded_space=space,
        space=search.parameters,
        baseline=baseline,
        code_hash=loading.code_hash(objective, space),
        data_hash=problem.data_hash,
        notes=(
            *source.notes,
            *getattr(objective.value, "notes", ()),
            *(problem.split.notes if problem.split is not None else ()),
            *_undeclared(problem, (*goal.metrics, *(Constraint.parse(text).metric for text in goal.bounds))),
            *(source.sentence() for source in goal.earlier),
        ),
        warm_start=tuple(source.to_json() for source in goal.earlier),
        accept_changes=accept_changes,
        objective_hash=reloading.objective_hash(objective, space),
        space_hash=loading.code_hash(space),
        brought=byvalue.brought(("objective", given), ("space", space)),
    )


def _plan_of(choices: Choices, search: SpaceChoices, goal: Goal, **given: Any) -> SweepPlan:
    """Return the plan of a launch.

    Args:
        choices: Of what nobody has to be asked about.
        search: Where and how it searches.
        goal: What it searches for.
        given: Fields that are known already.
    """
    budgets = ("time", "epochs", "gpu-hours", "cpu-hours", "plateau")
    limited = any(choices[name] is not None for name in budgets)
    return SweepPlan(
        **given,
        metrics=goal.metrics,
        directions=goal.directions,
        target=choices["target"],
        trials=choices["trials"] or (None if limited else DEFAULT_TRIALS),
        time_s=choices["time"],
        epochs=choices["epochs"],
        gpu_hours=choices["gpu-hours"],
        cpu_hours=choices["cpu-hours"],
        max_failures=choices["max-failures"],
        max_epochs=choices["max-epochs"],
        plateau=choices["plateau"],
        sampler=search.sampler.text(),
        pruner=search.pruner.text(),
        cpus=choices["cpus"],
        gpus=1.0 if choices["gpus"] == "auto" else choices["gpus"],
        pack=choices["gpus"] == "auto",
        precision=choices["precision"],
        compiled=choices["compile"],
        concurrency=choices["concurrency"],
        priority=choices["priority"],
        patience=choices["patience"],
        trial_timeout_s=choices["trial-timeout"],
        memory_bytes=choices["memory"],
        grace_s=choices["grace"],
        keep_checkpoints=choices["keep-checkpoints"],
        retries=choices["retries"],
        fixed=search.fixed,
        enqueued=search.enqueued,
        cache_bytes=choices["cache"],
        constraints=goal.bounds,
        replicates=choices["replicates"],
        until=choices["until"],
        min_gain=choices["min-gain"],
        until_confident=choices["until-confident"],
        warm_start=tuple(source.study for source in goal.earlier),
        catch=choices["catch"],
        address=choices["address"],
        track=choices["track"],
        notify=choices["notify"],
        origins=dict(choices.origins),
    )


def _pinned(given: str | None, source: FileSource, folder: Path) -> str | None:
    """Return the reference that stands in the plan: to exactly what was fetched, also for an objective's default."""
    pinned = source.pinned
    if pinned is None or (given is None and parse_reference(pinned, folder).kind == "file"):
        return given
    return pinned


def describe_launch(launch: Launch) -> dict[str, Any]:
    """Return what `--dry-run` shows besides the plan: the data, the space, one sampled configuration."""
    dataset, plan = launch.problem.dataset, launch.plan
    return {
        "data": describe_data(dataset).to_json() if dataset is not None else None,
        "baseline": dict(launch.baseline),
        "parameters": {name: in_full(distribution) for name, distribution in launch.space.items()},
        "example": example(plan.sampler, launch.loaded_space.value, plan.directions, seed=plan.seed, fixed=plan.fixed),
    }


def _undeclared(problem: Problem, metrics: tuple[str, ...]) -> list[str]:
    """Warn of metrics that the objective does not declare; its first trial shows whether it reports them."""
    declared = [metric.name for metric in problem.metrics]
    return [
        f"the objective declares no metric {name!r}; {did_you_mean(name, declared)}"
        for name in metrics
        if name not in declared
    ]


def _free_name(reference: str, results: Path, storage: str | None) -> str:
    """Return a name made from the objective's and the time that no study has."""
    place, _, own = reference.rpartition(":")
    stem = own if place == loading.BY_VALUE else Path(place).stem.rsplit(".")[-1]
    plain = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[:_MAX_STEM]
    stamp = f"{plain or 'sweep'}-{datetime.now():%Y%m%d-%H%M}"
    name, count = stamp, 1
    while StudyFolder.of(results, name).root.exists() or (storage and trials_in(storage, name) is not None):
        count += 1
        name = f"{stamp}-{count}"
    return name


def _refuse_existing(folder: StudyFolder, storage: str | None) -> None:
    if folder.exists() or folder.journal.exists():
        refuse_running(folder.root, study=folder.name)
        raise RefusedError(
            f"study {folder.name!r} exists already in {folder.root.parent}",
            field="--study",
            hint=f"`sweep resume {folder.name}` goes on with it, or choose another --study",
        )
    trials = trials_in(storage, folder.name) if storage else None
    if storage and trials is not None:
        raise RefusedError(
            f"study {folder.name!r} already has {trials} trials in {shown(storage)}",
            field="--study",
            hint="choose another --study",
        )
