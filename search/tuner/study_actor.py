"""The study actor: the one `StudyOwner` of a sweep, as a Ray actor on the head that restarts without limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search import loading
from search.errors import SurroundingsError, SweepError
from search.plan import SweepPlan
from search.status import Status, SweepState
from search.study.owner import StudyOwner
from search.trial import Asked, Begun, Outcome, Progress, TrialSpec, Verdict


@dataclass(frozen=True, slots=True)
class Next:
    """A slot's next trial, begun already; or none for it now."""

    spec: TrialSpec | None = None
    begun: Begun | None = None


class StudyActor:
    """Calls of workers and of the driver, passed on to the owner.

    A restarted actor gets the same arguments and reloads from storage. Trouble at opening is kept as a value:
    raised in `__init__` it would reach the driver as a dead actor and not as a sentence.

    Args:
        plan: The sweep as launched.
        folder: The study's folder.
        slots: How many trials may be held at once.
        baseline: Score of a naive prediction.
    """

    def __init__(self, plan: SweepPlan, folder: Path, slots: int, baseline: Mapping[str, float]) -> None:
        self._plan = plan
        self._trouble: SweepError | None = None
        self._owner: StudyOwner | None = None
        try:
            space = loading.load(plan.space, kind="space", folder=folder).value
            self._owner = StudyOwner.open(plan, folder, space, slots=slots)
            self._owner.prepare(baseline)
        except SweepError as error:
            self._trouble = error
        except Exception as error:  # a user's space, a driver of a database
            self._trouble = SurroundingsError(f"the study does not open: {type(error).__name__}: {error}")

    def notes(self) -> tuple[str, ...]:
        """Return what was repaired when the storage was opened, a sentence each."""
        return self._owner.notes if self._owner is not None else ()

    def trouble(self) -> SweepError | None:
        """Return what kept the study from opening, or stopped it since."""
        return self._trouble

    def plan(self) -> SweepPlan:
        return self._plan

    def ask(self, request: str) -> Asked:
        if self._owner is None or self._trouble is not None:
            return Asked(done=self._trouble.message if self._trouble else "the study is not open")
        try:
            return self._owner.ask(request)
        except SweepError as error:
            self._keep(error)
            return Asked(done=error.message)

    def begin(self, number: int, token: str, worker: str, hung: str = "") -> Begun:
        if self._owner is None:
            return Begun("skip")
        try:
            return self._owner.begin(number, token, worker=worker, hung=hung)
        except SweepError as error:
            self._keep(error)
            return Begun("skip")

    def report(self, number: int, token: str, step: int, metrics: dict[str, float], units: int) -> str:
        if self._owner is None:
            return Verdict.STOP.value
        try:
            return self._owner.report(number, token, Progress(step, metrics, units)).value
        except SweepError as error:
            self._keep(error)
            return Verdict.STOP.value

    def tell(self, number: int, token: str, outcome: Outcome, wanted: tuple[str, str, str] | None) -> Next:
        """End a trial and, in the same call, begin the next one.

        Args:
            number: The trial that ended.
            token: Of its attempt.
            outcome: How it ended.
            wanted: Request, token and worker for the next one; None for no further trial.
        """
        if self._owner is None:
            return Next()
        try:
            self._owner.tell(number, token, outcome)
        except SweepError as error:
            self._keep(error)
        if wanted is None:
            return Next()
        request, fresh, worker = wanted
        spec = self.ask(request).spec
        if spec is None:
            return Next()
        begun = self.begin(spec.number, fresh, worker)
        return Next(spec, begun) if begun.action != "skip" else Next()

    def release(self, slot: str) -> None:
        if self._owner is not None:
            self._owner.release(slot)

    def stop(self, state: SweepState, why: str) -> None:
        if self._owner is not None:
            self._owner.stop(state, why)

    def give_up(self, said: str) -> None:
        """Stop the sweep because the surroundings are wrong: a worker's files cannot be written."""
        where = Path(self._plan.results) / self._plan.study
        hint = "make room, or choose another folder"
        self._keep(SurroundingsError(f"{where} cannot be written: {said}", field="--results", hint=hint))

    def status(self) -> Status | None:
        """Return where the sweep stands; None while the study is not open."""
        if self._owner is None:
            return None
        try:
            self._owner.tick()
        except SweepError as error:
            self._keep(error)
        return self._owner.status()

    def finish(self) -> Status | None:
        """End this run of the sweep and let go of the storage."""
        if self._owner is None:
            return None
        try:
            return self._owner.finish()
        except SweepError as error:
            self._keep(error)
            return self._owner.status()
        finally:
            self._owner.close()

    def _keep(self, error: SweepError) -> None:
        """Keep the first trouble for the driver, and stop the sweep."""
        self._trouble = self._trouble or error
        self.stop("failed", error.message)


def actor_options(name: str) -> dict[str, Any]:
    """Return the Ray options of the actor: no CPU of its own, restarted and retried without limit."""
    return {"name": name, "num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "max_concurrency": 1}
