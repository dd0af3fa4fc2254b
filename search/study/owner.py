"""The study's one owner: suggests trials, judges reports, and is the only writer of the storage.

Usable without Ray. Calls are at-least-once, so each is idempotent: an ask by its request, a begin by its token, a
report by (trial, step), a tell by the trial, a wish of the user's by its id. One thread calls it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from optuna.trial import FrozenTrial

from search.contract import Space
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.status import Status, SweepState
from search.study import asking, attempts, attributes, endings, judging, reopening, standing
from search.study.drawing import Draw
from search.study.kept import Kept
from search.study.nodes import Members
from search.study.parts import Parts
from search.study.runs import Run, check_saw_edits, is_last
from search.study.shares import Bid, Grant
from search.study.steering import Steering, as_edited
from search.study.storage import StudyStorage, open_for_writing
from search.study.takeover import open_study
from search.trial import Answer, Asked, Begun, Ending, Outcome, Overdue, Progress, TrialSpec, Verdict

CLOCK_EVERY_S: Final = 30.0
"""How often the time spent is noted, for the case that nothing else tells of it."""


class StudyOwner:
    """The one `optuna.Study` of a sweep, and what is known of its trials.

    Args:
        plan: The sweep, with all changes since its launch.
        storage: Open for writing; the owner's from here on.
        space: The search space.
        slots: How many trials may be held at once.
        run: The launch or resume that this is. A new one takes back what the run before left in nobody's hands; an
            owner that is opened again within a run leaves the trials of living workers alone. None is a visit, to
            grant a wish of the user's while nothing runs.
        capacity: How many slots there could be; None for no more. An edit may raise the plan's concurrency to it.
        gpus: That there are, all together; None where nobody counts them.
        queues: Whether a queue says how many of the slots may be used.
        clock: Monotonic seconds.

    Attributes:
        steering: Grants what the user wishes.
        nodes: Machines of the cluster.
    """

    def __init__(
        self,
        plan: SweepPlan,
        storage: StudyStorage,
        space: Space,
        *,
        slots: int,
        run: Run | None,
        capacity: int | None = None,
        gpus: float | None = None,
        queues: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        study = open_study(plan, storage.optuna)
        attrs = storage.optuna.get_study_system_attrs(study._study_id)
        if run is None or is_last(run, attrs):
            plan, space = as_edited(plan, space, attrs, visit=run is None)
        else:
            check_saw_edits(run, attrs, study=plan.study)
        limits: dict[str, Any] = {"slots": slots, "capacity": capacity, "gpus": gpus, "queues": queues}
        self._parts = parts = Parts.of(plan, study, storage, space, **limits, clock=clock)
        self._hands, self._course = parts.hands, parts.course
        self._noted = clock()
        self.steering = Steering(parts)
        self.nodes = parts.nodes
        reopening.take_up(parts, run)

    @classmethod
    def open(
        cls,
        plan: SweepPlan,
        folder: Path,
        space: Space,
        *,
        slots: int,
        run: Run | None,
        capacity: int | None = None,
        gpus: float | None = None,
        queues: bool = False,
        driver: int = 0,
    ) -> Self:
        """Open, or make, the study of `plan` in its folder.

        Args:
            plan: As in the class, like `space`, `slots`, `run`, `capacity`, `gpus` and `queues`.
            folder: Of the study.
            driver: Process that people know as the sweep, if it is another one.

        Raises:
            RefusedError: Another process owns it.
            SurroundingsError: The storage cannot be written, or is damaged.
        """
        place = plan.storage or StudyFolder(folder).journal
        storage = open_for_writing(place, study=plan.study, folder=folder, driver=driver)
        try:
            return cls(plan, storage, space, slots=slots, run=run, capacity=capacity, gpus=gpus, queues=queues)
        except BaseException:
            storage.close()
            raise

    @property
    def notes(self) -> tuple[str, ...]:
        """What was repaired in the storage when it was opened, a sentence each."""
        return tuple(self._parts.storage.notes)

    # --- the calls of a worker ---

    def ask(self, request: str) -> Asked:
        """Give a free worker its next trial; the same request gets the same answer.

        What was begun before and waits for a worker comes before anything new.

        Raises:
            InputError: The space is wrong.
        """
        known = self._hands.number_of(request)
        if known is None:
            return asking.ask(self._parts, request)
        held = self._hands.get(known)
        if held is None:
            return Asked(TrialSpec(known, {}))  # `begin` skips what has ended
        return Asked(held.spec, gpus=held.gpus or None)

    def foresee(self, request: str) -> Draw | None:
        """Return what an ask would have to draw for a long time, None where it answers at once."""
        return None if self._hands.number_of(request) is not None else asking.foresee(self._parts, request)

    def bring(self, wanted: Draw, made: FrozenTrial) -> None:
        """Take in what another process has drawn, for the next ask."""
        self._parts.suggester.drafts.bring(wanted, made)

    def begin(
        self, number: int, token: str, *, worker: str = "", node: str = "", hung: str = "", lost_to: str = ""
    ) -> Begun:
        """Let a worker start a trial: anew, from its last checkpoint, or not at all.

        A fresh token for a trial that has begun already means that the worker before was lost. How often that may
        happen is decided here and nowhere else.

        Args:
            number: The trial.
            token: Unique to this attempt.
            worker: Who, for people.
            node: Where, for whoever finds out that a node is gone.
            hung: Where the attempt before hung when its watchdog ended it; "" if it was lost otherwise.
            lost_to: What the attempt before was lost to, if that is known: `memory` (of its machine), `limit` (the
                memory that a trial may take), or `node` (its machine went).
        """
        held = self._hands.get(number)
        if held is None:
            return Begun("skip")
        return attempts.begin(self._parts, held, token, worker=worker, node=node, hung=hung, lost_to=lost_to)

    def report(self, number: int, token: str, progress: Progress) -> Verdict:
        """Take one step of a trial in, and say whether it goes on. Stored before it is answered."""
        held = self._hands.get(number)
        if held is None or held.token != token:
            return Verdict.GONE
        return Verdict.STOP if held.paused else judging.report(self._parts, held, progress)

    def by_hand(self, number: int, token: str, action: str, arguments: tuple[Any, ...]) -> Answer:
        """Answer a call of an objective that suggests and reports by itself; what it stores is one write."""
        held = self._hands.get(number)
        if held is None or held.token != token:
            return Answer(Verdict.GONE)
        return Answer(Verdict.STOP) if held.paused else judging.by_hand(self._parts, held, action, arguments)

    def tell(self, number: int, token: str, outcome: Outcome) -> None:
        """End a trial, or pause it; whatever comes after its end changes nothing."""
        held, packed = self._hands.get(number), self._parts.packed
        if held is None or held.token != token or held.paused:
            return
        if outcome.ending is Ending.PAUSED:
            endings.pause(self._parts, held, outcome)
            if self.nodes.is_leaving(held.node):
                self.nodes.take_from(held)
        elif (need := packed.after(held, outcome)) is not None:
            endings.try_again(self._parts, held, outcome, need)
        else:
            endings.end(self._parts, held, packed.ended(held, outcome))
            self._course.stop_if_hopeless()

    # --- what becomes of workers and machines ---

    def overdue(self) -> tuple[Overdue, ...]:
        """Return the trials that their workers should have ended by now: those cannot, and have to be ended."""
        return attempts.overdue(self._parts)

    def time_out(self, number: int, token: str) -> None:
        """End a trial as out of time: its worker has been ended for it."""
        held = self._hands.get(number)
        if held is None or held.token != token or held.began is None:
            return
        endings.lose(self._parts, held, hung="ended from outside", lost_to="")

    def release(self, slot: str) -> None:
        """Take back the trials that a slot asked for and did not end; the next ask gets them, or they rest.

        Args:
            slot: Or the name of who prepares rows: those of its trial are there, or it makes none.
        """
        self._parts.packed.forget(slot)
        self._hands.ahead.settle(slot)
        for held in self._hands.of_slot(slot):
            if held.verdict is Verdict.PAUSE and not held.paused:  # lost before it could say that it does
                endings.pause(self._parts, held)
                continue
            endings.leave(self._parts, held)

    def hear_of(self, members: Members) -> None:
        """Take in which machines there are now: trials leave those that are about to go, and no more begin than fit."""
        self.nodes.hear(members)
        self._parts.allowance.fit(max(1, members.slots))
        packed = self._parts.packed
        packed.gpus = members.gpus if packed.gpus is not None else None

    def begun_in(self, slot: str) -> dict[int, str]:
        """Return the trials that a slot runs, each with its worker."""
        return {held.spec.number: held.worker for held in self._hands.begun_in(slot)}

    # --- the sweep as a whole ---

    @property
    def plan(self) -> SweepPlan:
        """The sweep, with all changes since its launch, those among them that were made while it runs."""
        return self._parts.plan

    def bid(self, sweep: str, since: float) -> Bid:
        """Return what the sweep asks the queue of its cluster for; the arguments are those of `Allowance.bid`."""
        waiting, gpus = len(self._parts.suggester.enqueued), self._parts.packed.share
        return self._parts.allowance.bid(sweep, since, waiting=waiting, gpus=gpus)

    def allow(self, grant: Grant) -> None:
        """Hold as many trials as the queue grants, from here on; those beyond what may be kept pause."""
        allowance = self._parts.allowance
        was = allowance.queued
        allowance.take(grant)
        if allowance.queued != was:
            self._parts.store(attributes.QUEUED, allowance.queued)

    def stop(self, state: SweepState, why: str) -> None:
        """Ask for no more trials, and let running ones pause at their next report."""
        self._course.stop(state, why)

    def finish(self) -> Status:
        """End this run of the sweep: nothing stays held by nobody, and everything is on disk."""
        return standing.finish(self._parts)

    def close(self) -> None:
        """Let go of the storage and its lock."""
        self._parts.storage.close()

    def tick(self) -> str | None:
        """Do what time asks for: sync, and notice used-up budgets. Say why the sweep is stopping, if it is."""
        now = self._parts.clock()
        if now - self._noted > CLOCK_EVERY_S:
            self._noted = now
            self._parts.store(attributes.CLOCK, self._course.seconds)
        self._parts.writer.sync_if_due()
        return self._course.why_stopping()

    def sync(self) -> None:
        """Make everything written so far survive a power cut."""
        self._parts.writer.sync()

    def prepare(self, baseline: Mapping[str, float], warm_start: Sequence[Mapping[str, Any]] = ()) -> None:
        """Keep what a study begins with, and queue the points to try first; done once in its life.

        Args:
            baseline: Score of a naive prediction.
            warm_start: Earlier studies that it learns from, as `warm.Source.to_json` gives them.
        """
        reopening.prepare(self._parts, baseline, warm_start)

    @property
    def checkpoints(self) -> Kept:
        """Whose checkpoints are kept."""
        return self._parts.kept

    def status(self) -> Status:
        """Return where the sweep stands."""
        return standing.status(self._parts)
