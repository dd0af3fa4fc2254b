"""A plan's problem, opened in any process: the objective with its data as it is now, and what is naive about it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from search import frozen, loading
from search.adopt.recognise import searching
from search.byvalue import Brought
from search.contract import Context
from search.data.fetch import Say, quiet
from search.data.scheme import Scheme
from search.data.source import FileSource
from search.errors import InputError, SurroundingsError, SweepError
from search.folds import fold_problem
from search.local import setting_of, use_threads
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.problem import Problem, open_problem
from search.randomness import stage_seed
from search.store import Store

NOTHING: Final[Brought] = MappingProxyType({})
"""Where files hold both objective and space."""


def load_planned(plan: SweepPlan, brought: Brought = NOTHING) -> loading.Loaded:
    """Load the objective of a plan, as it searches the plan's metrics.

    Args:
        plan: Of the sweep.
        brought: What no file holds.

    Raises:
        InputError: It cannot be loaded any more.
    """
    loaded = brought.get("objective") or loading.load(plan.objective, kind="objective", folder=Path.cwd())
    return replace(loaded, value=searching(loaded.value, plan.metrics, plan.directions))


def load_planned_space(plan: SweepPlan, brought: Brought, *, folder: Path) -> loading.Loaded:
    """Load the space of a plan, unless it was brought along.

    Raises:
        InputError: It cannot be loaded any more.
    """
    return brought.get("space") or loading.load(plan.space, kind="space", folder=folder)


def open_planned(objective: loading.Loaded, plan: SweepPlan, results: Path, *, say: Say = quiet) -> Problem:
    """Open the problem of a plan, its data as it is now.

    Args:
        objective: As the plan names it.
        plan: Of the sweep.
        results: The results folder, as it is called here.
        say: Hears of data that is fetched.

    Raises:
        SweepError: The data cannot be had, or nothing can be learned from it.
    """
    source = FileSource(plan.data, plan.target, Path.cwd(), results=results, say=say)
    return open_problem(objective.value, source, seed=plan.rows_seed, scheme=Scheme.parse(plan.split, plan.folds))


def rows_of(launch: Mapping[str, Any]) -> str:
    """Return the key of the rows that came with a study; "" where its data is to be had.

    Args:
        launch: What its `plan.json` holds.
    """
    return str(launch.get("sent", {}).get("rows", ""))


def open_sent(
    objective: loading.Loaded, plan: SweepPlan, folder: StudyFolder, rows: str, *, say: Say = quiet
) -> Problem:
    """Open the problem of a study: with the rows that came with it, where it was sent here, else as `open_planned`.

    Args:
        objective: As the plan names it.
        plan: Of the sweep.
        folder: Of the study.
        rows: Their key; "" where none came.
        say: Hears of data that is fetched.
    """
    results = folder.root.parent
    if not rows:
        return open_planned(objective, plan, results, say=say)
    source = FileSource(plan.data, plan.target, Path.cwd(), results=results)

    def lost() -> Problem:
        raise SurroundingsError(
            f"the rows in {folder.rows} are lost or damaged", field="study", hint="send the study again"
        )

    return frozen.thaw(Store(folder.rows), rows, objective.value, source, lost)


@contextmanager
def users_code(objective: loading.Loaded, stage: str) -> Iterator[None]:
    """Turn an exception of the user's own stage, or its exit, into a sentence, with its traceback as a note.

    Raises:
        InputError: The stage raised.
    """
    try:
        yield
    except SweepError:
        raise
    except (Exception, SystemExit) as error:
        said = str(error).strip().splitlines()
        text = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
        fault = InputError(f"{objective.file.name}: {stage} raised {text}", field=stage, hint="fix it and try again")
        fault.add_note(traceback.format_exc().rstrip())
        raise fault from error


def baseline_of(problem: Problem, plan: SweepPlan) -> dict[str, float]:
    """Return the metrics of a naive prediction on the validation rows; {} if the objective has none.

    With folds they are means over the folds, as those of trials are.
    """
    score = getattr(problem.stages, "baseline", None)
    if score is None:
        return {}
    setting = setting_of(plan, problem)
    use_threads(setting.threads)
    context = Context(
        seed=stage_seed(plan.seed, 0, "baseline"),
        max_epochs=plan.max_epochs,
        threads=setting.threads,
        task=problem.task,
        classes=problem.classes,
    )
    parts = [fold_problem(problem, fold) for fold in problem.folds] or [problem]
    scores = [score(one.train, one.validation, replace(context, target_variance=one.target_variance)) for one in parts]
    return {name: float(sum(one[name] for one in scores)) / len(scores) for name in scores[0]}
