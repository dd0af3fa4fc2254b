"""Which trials of a study can be exported, as far as their parameters tell: asked before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable

from search.contract import Context, Foreseeing
from search.data.fetch import Say
from search.errors import RefusedError
from search.problem import Problem
from search.promote.candidates import Keep, NoCandidate, candidates
from search.records.study import StoredStudy
from search.study.record import TrialRecord

_NAMED = 5


def keep_exportable(stored: StoredStudy, top: int, problem: Problem, say: Say) -> Keep:
    """Return what tells of a trial whether it can be exported, and say which better ones cannot.

    Raises:
        NoCandidate: No trial could win.
        RefusedError: None of those that could win can be exported.
    """
    left: dict[int, list[str]] = {}

    def keep(record: TrialRecord) -> bool:
        reasons = why_not(record, problem)
        if reasons:
            left[record.number] = reasons
        return not reasons

    try:
        candidates(stored, top, keep)
    except NoCandidate as error:
        if not left:
            raise
        number, reasons = next(iter(left.items()))
        said = f"no trial of {stored.folder.name!r} can be exported; of the best one, trial {number}: "
        raise RefusedError(said + _joined(reasons), field="study", hint="leave it out of the space") from error
    if left:
        numbers = [str(number) for number in left]
        more = [f"{len(numbers) - _NAMED} more"] if len(numbers) > _NAMED else []
        named = ", ".join(numbers[:_NAMED] + more)
        many = len(numbers) > 1
        reasons = [reason for found in left.values() for reason in found]
        say(f"trial{'s'[:many]} {named} {'are' if many else 'is'} left out: {_joined(reasons)}")
    return keep


def check_exportable(record: TrialRecord, problem: Problem) -> None:
    """Refuse a trial that cannot be exported.

    Raises:
        RefusedError: With the parameters, and why.
    """
    if reasons := why_not(record, problem):
        raise RefusedError(f"trial {record.number} cannot be promoted: {_joined(reasons)}", field="--trial")


def why_not(record: TrialRecord, problem: Problem) -> list[str]:
    """Return why a trial cannot be exported; nothing where nothing is known."""
    if not isinstance(problem.stages, Foreseeing):
        return []
    context = Context(task=problem.task, classes=problem.classes, roles=problem.roles)
    return list(problem.stages.why_no_export(record.params, problem.train, context))


def _joined(reasons: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(reasons))
