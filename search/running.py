"""Which kind of run a trial gets: the engine's, which drives an objective's stages, or the objective's own; a `Run`."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Protocol

from search.engine import TrialRun
from search.problem import Problem, SelfSuggesting
from search.session import Session, Setting
from search.trial import Answer, Outcome, ParamValue, Progress, TrialSpec


class Run(Protocol):
    """One run of one trial: iterate over it, then read how it ended."""

    outcome: Outcome

    def __iter__(self) -> Generator[Progress, None, None]: ...


class TrialSession(Session, Protocol):
    """A running trial's way out, for both kinds of run."""

    def by_hand(self, action: str, *arguments: Any) -> Answer:
        """Have the study answer a call of an objective that suggests and reports by itself."""


def trial_run(
    problem: Problem,
    spec: TrialSpec,
    setting: Setting,
    session: TrialSession,
    *,
    resume: bool = False,
    told: Mapping[int, Mapping[str, float]] | None = None,
    checkpoint_every_s: float | None = None,
) -> Run:
    """Return the run of a trial; its arguments are those of `TrialRun`."""
    if isinstance(problem.stages, SelfSuggesting):
        run: Run = problem.stages.trial_run(spec, setting, session, told=told or {}, resumed=resume)
        return run
    return TrialRun(problem, spec, setting, session, resume=resume, told=told, checkpoint_every_s=checkpoint_every_s)


class Recorded:
    """Answers an objective that runs a stored trial again, with no study at hand.

    Args:
        number: Of the trial.
        params: As they were suggested.
        pruned_after: The step at which it was pruned the first time, to end it there again.
    """

    def __init__(self, number: int, params: Mapping[str, ParamValue], *, pruned_after: int | None) -> None:
        self._number, self._params, self._pruned_after = number, params, pruned_after

    def answer(self, action: str, arguments: tuple[Any, ...]) -> Answer:
        """Answer one call, as `StudyOwner.by_hand` does."""
        if action == "open":
            return Answer(value=None)
        if action == "suggest":
            name = arguments[0]
            if name not in self._params:
                return Answer(fault=f"{name} was not suggested the first time")
            return Answer(value=self._params[name])
        if action == "prune":
            step = arguments[0]
            return Answer(value=self._pruned_after is not None and step is not None and step >= self._pruned_after)
        if action == "trials":
            return Answer(value=[])
        return Answer(value=({}, {}) if action == "study_attrs" else None)
