"""A study's problem, opened to promote from: the same code, data and split as its trials had, or a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from search import loading, resume
from search.errors import InputError, RefusedError
from search.opening import load_planned, load_planned_space, open_planned, rows_of, users_code
from search.problem import Problem
from search.promote.confirm import Manner
from search.promote.training import check_exporting
from search.records.study import StoredStudy
from search.study.lock import refuse_running

_USUAL: Final = "target"
"""Name of what is predicted where nobody gave it one."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """What a promotion starts from.

    Attributes:
        problem: The objective with its data; the test part is sealed.
        code_hash: Of objective and space, as they are now.
        target: Name of what is predicted.
    """

    problem: Problem
    code_hash: str
    target: str


def opened(stored: StoredStudy, manner: Manner) -> Opened:
    """Open the problem of a study that nobody runs.

    Raises:
        InputError: It is a confirmation, its code or data cannot be had any more, or its objective has no export.
        RefusedError: Somebody runs it, or code, data or split are no longer those of its trials.
    """
    plan = stored.plan
    if plan.confirms is not None:
        said = f"{stored.folder.name!r} is a confirmation of {plan.confirms!r}"
        raise InputError(said, field="study", hint=f"promote {plan.confirms} itself")
    refuse_running(stored.folder.root, study=stored.folder.name)
    if rows_of(stored.launch):
        said = f"{stored.folder.name!r} was fetched without its data, and a promotion opens its test rows"
        raise InputError(said, field="study", hint=f"promote where {plan.data} is, or bring it and fetch again")
    objective = load_planned(plan, manner.brought)
    space = load_planned_space(plan, manner.brought, folder=Path.cwd())
    with users_code(objective, "data"):
        problem = open_planned(objective, plan, stored.folder.root.parent, say=manner.say)
    check_exporting(problem, objective.reference)
    code, last = loading.code_hash(objective, space), resume.last_run(stored)
    try:
        # whatever is accepted: of other data, or of another split, the test rows may have been searched on
        resume.check_unchanged(last, code=last.code_hash, data=problem.data_hash)
        resume.check_split(stored.folder, problem.split)
    except RefusedError as error:
        error.hint = "so its test rows are no longer unseen; sweep the data that is there now"
        raise
    if not manner.accept_changes:
        try:
            resume.check_unchanged(last, code=code, data=problem.data_hash)
        except RefusedError as error:
            error.hint = "--accept-changes promotes what the code comes to now"
            raise
    return Opened(problem, code, plan.target or _USUAL)
