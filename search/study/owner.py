"""The study's one owner: suggests trials, judges reports, and is the only writer of the storage.

Usable without Ray. Calls are at-least-once, so each is idempotent: an ask by its request, a begin by its token, a
report by (trial, step), a tell by the trial, a wish of the user's by its id. One thread calls it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from optuna.trial import FrozenTrial

from search.contract import Space
from search.errors import FailReason
from search.plan import SweepPlan
from search.status import Status, SweepState
from search.study import attributes, edits, losing, pruners, takeover
from search.study.allowance import Allowance
from search.study.byhand import ByHand
from search.study.choice import Choice
from search.study.constraints import Constraint
from search.study.course import Course
from search.study.draft import UnfitPoint
from search.study.drawing import Draw
from search.study.edits import Edit
from search.study.held import Hands, Held
from search.study.kept import Kept
from search.study.ledger import Ledger
from search.study.mixed import MovedPoint
from search.study.nodes import Members, Nodes
from search.study.packed import Packed
from search.study.packing import Need
from search.study.pruners import Pruning
from search.study.record import begun_at_s, from_frozen, latest, several, told
from search.study.remainder import Remainder
from search.study.resting import Resting
from search.study.runs import Run, began_at_s, check_saw_edits, is_last, seconds_of, unchanged_since_s
from search.study.shares import Bid, Grant
from search.study.steering import Steering, as_edited, mapping_of
from search.study.storage import StudyStorage, open_for_writing
from search.study.suggester import Suggester
from search.study.warm import WarmStart
from search.study.writer import TrialWriter, what_it_had
from search.trial import Answer, Asked, Begun, Ending, Outcome, Overdue, Progress, TrialSpec, Verdict

if TYPE_CHECKING:
    from search.study.improvement import Improvement

OVERDUE_S: Final = 4.0
"""How much later than its time-out a trial has to have ended; long before that its worker would end itself."""

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
        self._study = takeover.open_study(plan, storage.optuna)
        attrs = storage.optuna.get_study_system_attrs(self._study._study_id)
        if run is None or is_last(run, attrs):
            plan, space = as_edited(plan, space, attrs, visit=run is None)
        else:
            check_saw_edits(run, attrs, study=plan.study)
        self._plan = plan
        self._storage = storage
        self._capacity = capacity or slots
        self._slots = min(self._capacity, plan.concurrency or self._capacity) if capacity else slots
        self._clock = clock
        self._noted = clock()
        self._pruner = pruners.make(
            Choice.parse(plan.pruner),
            directions=plan.directions,
            seed=plan.seed,
            max_epochs=plan.max_epochs or pruners.NO_LIMIT,
            metrics=plan.metrics,
        )
        self._ledger = Ledger(plan.directions, plan.max_epochs)
        self._hands = Hands()
        self._packed = Packed(plan, gpus)
        self._course = Course(plan, self._ledger, self._hands, clock)
        self._allowance = Allowance(self._hands, self._course, queues=queues)
        self._kept = Kept(plan.keep_checkpoints, self._ledger.scores, self._hands)
        self._writer = TrialWriter(plan, storage, clock, self._kept.synced)
        self._resting = Resting(plan.metrics[0], self._pruner, self._hands, storage.optuna, self._writer)
        self._suggester = Suggester(plan, self._study, storage, space)
        if (edited := edits.last_space(attrs)) is not None:
            self._suggester.search(space, mapping_of(edited, space, plan))
        self.steering = Steering(plan, self._study, self._suggester, self._ledger, self._follow, self._seconds)
        self._remainder = Remainder(
            self._hands, self._ledger, self._course, self._resting, self._suggester, self._writer, self._end
        )
        self.nodes = Nodes(attributes.lost_nodes(attrs))
        self._required = (*plan.metrics, *(Constraint.parse(text).metric for text in plan.constraints))
        self._improvement = _improvement_of(plan)
        known = (self._study, storage, self._pruner, self._ledger, self._course, self._suggester.retried)
        self._by_hand = ByHand(plan, *known) if plan.by_hand else None
        self._take_over(run)

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
        place = plan.storage or folder / "study.journal"
        storage = open_for_writing(place, study=plan.study, folder=folder, driver=driver)
        try:
            return cls(plan, storage, space, slots=slots, run=run, capacity=capacity, gpus=gpus, queues=queues)
        except BaseException:
            storage.close()
            raise

    @property
    def notes(self) -> tuple[str, ...]:
        """What was repaired in the storage when it was opened, a sentence each."""
        return tuple(self._storage.notes)

    # --- the four calls of a worker ---

    def ask(self, request: str) -> Asked:
        """Give a free worker its next trial; the same request gets the same answer.

        What was begun before and waits for a worker comes before anything new.

        Raises:
            InputError: The space is wrong.
        """
        known = self._hands.number_of(request)
        if known is not None:
            held = self._hands.get(known)
            if held is None:
                return Asked(TrialSpec(known, {}))  # `begin` skips what has ended
            return Asked(held.spec, gpus=held.gpus or None)
        if self._course.why_stopping() is not None:
            return Asked(done=self._course.why_stopping())
        if self._allowance.is_used_up(self._slots):
            return Asked()
        asked = self._ask(request)
        self._allowance.note(asked, self._slots, waiting=self._suggester.waiting)
        return asked

    def foresee(self, request: str) -> Draw | None:
        """Return what an ask would have to draw for a long time, None where it answers at once."""
        if self._by_hand is not None or self._hands.number_of(request) is not None:
            return None
        if self._slots == 1:  # nobody else waits
            return None
        if self._course.why_stopping() is not None or self._allowance.is_used_up(self._slots):
            return None
        if self._hands.next_offered is not None or not self._course.has_room(besides=len(self._hands)):
            return None
        if not self._packed.admits(request, self._hands) or self._pruner.promotable() is not None:
            return None
        return self._suggester.foresee()

    def bring(self, wanted: Draw, made: FrozenTrial) -> None:
        """Take in what another process has drawn, for the next ask."""
        self._suggester.bring(wanted, made)

    def _ask(self, request: str) -> Asked:
        """Answer an ask that the sweep may hold one more trial for."""
        if not self._course.has_room(besides=self._hands.busy):  # the total may be lower than what is paused
            return Asked()
        if not self._packed.admits(request, self._hands):
            return Asked()
        asked = self._next(request)
        given = self._hands.get(asked.spec.number) if asked.spec is not None else None
        if given is None:
            return asked
        if not self._packed.give(given, request):
            self._leave(given)
            return Asked()
        if given.gpus:
            self._writer.lease(given)
        return replace(asked, gpus=given.gpus or None)

    def _next(self, request: str) -> Asked:
        """Return whoever is next for an ask that there is room for."""
        taken = self._hands.take(request)
        if taken is not None:
            self._writer.lease(taken)
            return Asked(taken.spec)
        promoted = self._resting.wake(request)
        if promoted is not None:
            return Asked(promoted.spec)
        while self._course.has_room(besides=len(self._hands)):
            if (why := self._closed or self._suggester.exhausted) is not None:
                return self._remainder.ask_after_the_last_point(why, request)
            try:
                frozen = self._suggester.next(request, at_s=self._course.seconds)
            except UnfitPoint as fault:
                self._remainder.refuse_waiting(f"it was enqueued, and {fault.message}")
                continue
            except MovedPoint as fault:
                self._remainder.move_waiting(fault)
                continue
            if frozen is None:  # its parameters are being tried: the result is waited for, and goes on if it rests
                promoted = None if self._hands.busy else self._resting.wake(request, at_least_one=True)
                return Asked(promoted.spec) if promoted is not None else Asked()
            if frozen.state.is_finished():
                self._settle(frozen)
                continue
            held = Held(TrialSpec(frozen.number, dict(frozen.params)), frozen._trial_id, request)
            self._hands.hold(held)
            return Asked(held.spec)
        return self._remainder.ask(request)

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
        if held.token == token:
            return self._begun(held)
        if token in held.past or self._hands.is_resting(held):
            return Begun("skip")
        if held.began is not None:
            self._lose(held, hung=hung, lost_to=lost_to)
        if self._hands.get(number) is None or self._hands.is_resting(held) or self._course.why_stopping() is not None:
            return Begun("skip")
        if self._allowance.is_exceeded():
            held.paused = True
            self._leave(held)  # at once, so that none of the others pauses in its stead
            return Begun("skip")
        resumed = held.lost > 0 or held.paused or held.resumed
        attempt = {
            "token": token,
            "worker": worker,
            "node": node,
            "at_s": self._course.seconds,
            "resumed": resumed,
            "lost": held.lost,  # with the new attempt: a crash in between leaves the loss to be found again
            "held_s": held.before_s,
            **what_it_had(held, self._clock()),
        }
        held.past.add(held.token)
        self._writer.attribute(held, attributes.ATTEMPT, attempt)  # which ends a pause: its lease names another token
        held.token, held.worker, held.node = token, worker, node
        held.began, held.resumed, held.paused = self._clock(), resumed, False
        if held.verdict is Verdict.STOP:  # it was to pause, and goes on
            held.verdict = Verdict.CONTINUE
        self._hands.keep(held)  # its worker was only late
        return self._begun(held)

    def report(self, number: int, token: str, progress: Progress) -> Verdict:
        """Take one step of a trial in, and say whether it goes on. Stored before it is answered."""
        held = self._hands.get(number)
        if held is None or held.token != token:
            return Verdict.GONE
        if held.paused:
            return Verdict.STOP
        if progress.step <= held.step:  # a repeated call, or a training that repeats steps
            return held.verdict if progress.step == held.step else Verdict.CONTINUE
        if held.verdict is Verdict.PAUSE:  # it was to rest, and went on: nobody asked for that
            return Verdict.PAUSE
        missing = [name for name in self._required if name not in progress.metrics]
        if missing:
            self._refuse_report(held, missing[0], progress)
            return Verdict.STOP
        with self._writer.batch():  # in a journal report and verdict are one write: a crash keeps both or neither
            self._writer.report(held, progress)
            self._ledger.epochs += progress.step - held.step
            values = tuple(progress.metrics[name] for name in self._plan.metrics)
            held.reached(progress.step, values[0])
            held.values = values if len(values) > 1 else ()
            held.verdict = self._judge(held, progress)
        self._writer.sync_if_due()
        return held.verdict

    def by_hand(self, number: int, token: str, action: str, arguments: tuple[Any, ...]) -> Answer:
        """Answer a call of an objective that suggests and reports by itself; what it stores is one write."""
        held = self._hands.get(number)
        if held is None or held.token != token:
            return Answer(Verdict.GONE)
        if held.paused:
            return Answer(Verdict.STOP)
        assert self._by_hand is not None
        with self._writer.batch():
            answer = self._by_hand.answer(held, action, arguments)
        if action in ("report", "prune") and answer.verdict is Verdict.CONTINUE and self._has_to_pause(held):
            answer = replace(answer, verdict=Verdict.STOP)
        self._writer.sync_if_due()
        return answer

    def tell(self, number: int, token: str, outcome: Outcome) -> None:
        """End a trial, or pause it; whatever comes after its end changes nothing."""
        held = self._hands.get(number)
        if held is None or held.token != token or held.paused:
            return
        if outcome.ending is Ending.PAUSED:
            self._pause(held, outcome)
            if self.nodes.is_leaving(held.node):
                self._take_from_its_machine(held)
            return
        if (need := self._packed.after(held, outcome)) is not None:
            self._try_again(held, outcome, need)
            return
        self._end(held, self._packed.ended(held, outcome))
        self._course.stop_if_hopeless()

    def overdue(self) -> tuple[Overdue, ...]:
        """Return the trials that their workers should have ended by now: those cannot, and have to be ended."""
        limit_s = self._plan.trial_timeout_s
        if limit_s is None:
            return ()
        due = self._clock() - limit_s - OVERDUE_S
        late = [held for held in self._hands.running if held.began is not None and held.began < due]
        return tuple(Overdue(held.spec.number, held.token, held.worker, held.node) for held in late)

    def time_out(self, number: int, token: str) -> None:
        """End a trial as out of time: its worker has been ended for it."""
        held = self._hands.get(number)
        if held is None or held.token != token or held.began is None:
            return
        self._lose(held, hung="ended from outside", lost_to="")

    def release(self, slot: str) -> None:
        """Take back the trials that a slot asked for and did not end; the next ask gets them, or they rest."""
        self._packed.forget(slot)
        for held in self._hands.of_slot(slot):
            if held.verdict is Verdict.PAUSE and not held.paused:  # lost before it could say that it does
                self._pause(held)
                continue
            self._leave(held)

    # --- the sweep as a whole ---

    @property
    def plan(self) -> SweepPlan:
        """The sweep, with all changes since its launch, those among them that were made while it runs."""
        return self._plan

    def bid(self, sweep: str, since: float) -> Bid:
        """Return what the sweep asks the queue of its cluster for; the arguments are those of `Allowance.bid`."""
        waiting, gpus = self._suggester.waiting, self._packed.share
        return self._allowance.bid(self._plan, sweep, since, waiting=waiting, gpus=gpus)

    def allow(self, grant: Grant) -> None:
        """Hold as many trials as the queue grants, from here on; those beyond what may be kept pause."""
        was = self._allowance.queued
        self._allowance.take(grant)
        if self._allowance.queued != was:
            self._set_study(attributes.QUEUED, self._allowance.queued)

    def stop(self, state: SweepState, why: str) -> None:
        """Ask for no more trials, and let running ones pause at their next report."""
        self._course.stop(state, why)

    def finish(self) -> Status:
        """End this run of the sweep: nothing stays held by nobody, and everything is on disk."""
        for held in self._hands.running:
            self._pause(held)
        if self._course.why_stopping() is None:
            self._course.stop("stopped", "ended before its budget was used up")
        assert self._course.stopping is not None
        state, why = self._course.stopping
        if state == "finished" and not self._ledger.counts["complete"]:
            state = "failed"
        if state == "finished" and self._course.at_its_end:  # else they may go on in another run
            self._remainder.end_resting()
        self._set_study(attributes.CLOCK, self._course.seconds)
        self._set_study(attributes.STOPPED, {"state": state, "why": why})
        self._writer.sync()
        self._course.stopping = (state, why)
        return self.status()

    def close(self) -> None:
        """Let go of the storage and its lock."""
        self._storage.close()

    def hear_of(self, members: Members) -> None:
        """Take in which machines there are now: trials leave those that are about to go, and no more begin than fit."""
        self.nodes.hear(members, self._hands.running)
        self._keep_nodes()
        self._capacity = max(1, members.slots)
        self._slots = min(self._capacity, self._plan.concurrency or self._capacity)
        self._packed.gpus = members.gpus if self._packed.gpus is not None else None

    def lose_machine_of(self, number: int) -> None:
        """Note, before a trial begins again, that the machine is gone that it ran on."""
        held = self._hands.get(number)
        if held is not None and held.began is not None:
            self._take_from_its_machine(held)

    def tick(self) -> str | None:
        """Do what time asks for: sync, and notice used-up budgets. Say why the sweep is stopping, if it is."""
        if self._clock() - self._noted > CLOCK_EVERY_S:
            self._noted = self._clock()
            self._set_study(attributes.CLOCK, self._course.seconds)
        self._writer.sync_if_due()
        return self._course.why_stopping()

    def sync(self) -> None:
        """Make everything written so far survive a power cut."""
        self._writer.sync()

    def node_of(self, number: int) -> str:
        """Return where a trial is being run, "" if nobody runs it."""
        held = self._hands.get(number)
        return held.node if held is not None and held.began is not None else ""

    def begun_in(self, slot: str) -> dict[int, str]:
        """Return the trials that a slot runs, each with its worker."""
        return {held.spec.number: held.worker for held in self._hands.begun_in(slot)}

    def prepare(self, baseline: Mapping[str, float], warm_start: Sequence[Mapping[str, Any]] = ()) -> None:
        """Keep what a study begins with, and queue the points to try first; done once in its life.

        Args:
            baseline: Score of a naive prediction.
            warm_start: Earlier studies that it learns from, as `warm.Source.to_json` gives them.
        """
        if attributes.BASELINE in self._study_attributes():
            return
        with self._storage.batch():
            if warm_start:
                self._set_study(attributes.WARM_START, [*warm_start])
                self._learn_from(warm_start)
            for index, point in enumerate(self._plan.enqueued):
                self._suggester.enqueue(point, wish=f"launch:{index}")
            self._set_study(attributes.BASELINE, dict(baseline))

    @property
    def checkpoints(self) -> Kept:
        """Whose checkpoints are kept."""
        return self._kept

    def status(self) -> Status:
        """Return where the sweep stands."""
        baseline = self._study_attributes().get(attributes.BASELINE, {})
        status = self._course.status(waiting=self._suggester.waiting, baseline=baseline)
        queued = self._allowance.queued if status.state == "running" else ""
        status = replace(status, queued=queued, priority=self._plan.priority)
        return replace(status, nodes=len(self.nodes.known.alive), lost_nodes=self.nodes.left)

    def _follow(self, plan: SweepPlan, edit: Edit) -> None:
        """Have everybody go by another plan, which an edit made, from here on."""
        if edit.space is not None or not edit.changes.keys().isdisjoint(("fixed", "min_gain")):
            self._improvement = _improvement_of(plan)  # else its looks in a row go on
        self._plan = plan
        self._slots = min(self._capacity, plan.concurrency or self._capacity)
        self._course.follow(plan)
        self._kept.keep(plan.keep_checkpoints)
        self._suggester.follow(plan)
        self._course.stop_if_hopeless()

    # --- asking, judging, ending ---

    def _begun(self, held: Held) -> Begun:
        parts = held.need.micro_batches if held.need is not None else 1
        if not held.resumed:
            return Begun("start", self._plan.trial_timeout_s, micro_batches=parts)
        record = from_frozen(self._storage.optuna.get_trial(held.trial_id))
        return Begun("resume", self._plan.trial_timeout_s, told(record, self._plan.metrics[0]), parts)

    def _judge(self, held: Held, progress: Progress) -> Verdict:
        if progress.step < self._plan.max_epochs:
            trial = self._storage.optuna.get_trial(held.trial_id)
            judged = self._pruner.judge(self._study, trial)
            if isinstance(judged, Pruning):
                self._writer.attribute(held, attributes.PRUNING, judged.to_json())
                return Verdict.PRUNE
            if judged is not None and self._resting.come_to(held, judged) is Verdict.PAUSE:
                return Verdict.PAUSE
        stays = self._course.why_stopping() is None and not self.nodes.is_leaving(held.node)
        return Verdict.CONTINUE if stays and not self._has_to_pause(held) else Verdict.STOP

    def _has_to_pause(self, held: Held) -> bool:
        """Tell whether a trial makes room for a sweep of higher priority; whoever reports first does."""
        if held.verdict is not Verdict.STOP and not self._allowance.is_exceeded():
            return False
        held.verdict = Verdict.STOP
        return True

    def _refuse_report(self, held: Held, missing: str, progress: Progress) -> None:
        said = f"trial {held.spec.number} reported no {missing!r}; it reported {', '.join(sorted(progress.metrics))}"
        self._end(held, Outcome(Ending.FAIL, reason=FailReason.INVALID, text=said, units=progress.units))
        if self._ledger.epochs == 0:  # nobody has ever reported it: no trial will
            self._course.stop("failed", said)

    @property
    def _closed(self) -> str | None:
        """Why no new trials are begun though the budget has room; running ones go on to their end."""
        return self._by_hand.closed if self._by_hand is not None else None

    def _end(self, held: Held, outcome: Outcome) -> None:
        if self._by_hand is not None:
            self._by_hand.ended(held, outcome)
        ended = self._writer.end(held, outcome, at_s=self._course.seconds)
        self._hands.drop(held.spec.number)
        self._pruner.settle(ended)
        self._settle(ended)

    def _settle(self, ended: FrozenTrial) -> None:
        """Count a trial that has ended; one that took another's result is nothing new to the pruner."""
        record = from_frozen(ended)
        self._ledger.count(record)
        self._packed.learn(record)
        self._suggester.end(record)
        self._kept.ended(ended.number)
        self._writer.sync_at_an_end()
        if self._improvement is not None and self._course.stopping is None:
            why = self._improvement.after(record, self._study, shown=self._suggester.mapping)
            if why is not None:
                self._course.stop("finished", why, at_its_end=True)

    def _pause(self, held: Held, outcome: Outcome | None = None) -> None:
        held.let_go(self._clock())
        held.paused = True
        with self._writer.batch():
            if held.verdict is Verdict.PAUSE:
                self._resting.rest(held, outcome)
            else:
                self._hands.leave(held)
            self._writer.lease(held)
        self._writer.sync_at_an_end()

    def _try_again(self, held: Held, outcome: Outcome, need: Need) -> None:
        """Have a trial that ran out of a GPU's memory go on with more of it, in another worker."""
        with self._writer.batch():
            self._writer.attribute(held, attributes.GPU, self._packed.note(held, outcome, need))
            self._pause(held)

    def _take_from_its_machine(self, held: Held) -> None:
        self.nodes.take_from(held)
        self._keep_nodes()

    def _keep_nodes(self) -> None:
        for key, node in self.nodes.changes().items():
            self._set_study(key, node)

    def _leave(self, held: Held) -> None:
        """Take a trial from whoever asked for it; the next ask gets it."""
        self._hands.leave(held)
        self._writer.lease(held)

    def _lose(self, held: Held, *, hung: str, lost_to: str) -> None:
        """Note that the worker of a trial was lost; give the trial up if that was once too often, or its own doing."""
        assert held.began is not None
        lasted_s = self._clock() - held.began
        held.let_go(self._clock())
        held.resumed = True
        held.lost += lost_to != "node"  # the trial has no part in that
        given_up = losing.verdict_on(self._plan, lost=held.lost, lasted_s=lasted_s, hung=hung, lost_to=lost_to)
        if given_up is not None:
            reason, text = given_up
            self._end(held, Outcome(Ending.FAIL, held.step, reason=reason, text=text))
        elif held.verdict is Verdict.PAUSE:  # it was on its way to rest: nobody has to take it on now
            attempt = self._storage.optuna.get_trial(held.trial_id).system_attrs[attributes.ATTEMPT]
            with self._writer.batch():
                self._writer.attribute(held, attributes.ATTEMPT, {**attempt, "lost": held.lost})
                self._pause(held)
        self._course.stop_if_hopeless()

    # --- opening ---

    def _take_over(self, run: Run | None) -> None:
        """Take up what the storage holds; in a new run nothing of it is in anybody's hands."""
        attrs, trials = self._study_attributes(), self._study.get_trials(deepcopy=False)
        again = run is None or is_last(run, attrs)
        self._ledger.seconds = seconds_of(attrs, map(from_frozen, trials))
        began_at = began_at_s(attrs) if again else self._ledger.seconds
        takeover.fill(
            self._ledger,
            self._hands,
            trials,
            again=again,
            began_at_s=began_at,
            now=self._clock(),
            by_hand=self._plan.by_hand,
        )
        for record in map(from_frozen, trials):
            self._packed.learn(record)
        for held in self._hands:
            record = from_frozen(trials[held.spec.number])
            held.values, held.curve = several(record, self._plan.metrics), latest(record, self._plan.metrics[0])
        since_s = unchanged_since_s(attrs, run)
        for trial in trials:  # enqueued and not taken: WAITING, or RUNNING if a crash cut the taking short
            open_ = not trial.state.is_finished() and attributes.REQUEST not in trial.system_attrs
            self._suggester.know(trial, waiting=open_, counts=begun_at_s(trial) > since_s)
        self._learn_from(attrs.get(attributes.WARM_START, []))
        self._pruner.replay([trial for trial in trials if attributes.SAME_AS not in trial.system_attrs])
        if self._by_hand is not None and again:
            self._by_hand.reopen(attrs)
        self._resting.take_over()
        self._kept.take_stock()
        if run is not None and not again:
            self._begin_run(run)
        elif run is not None and (stopped := attrs.get(attributes.STOPPED)):  # this run has been finished already
            self._course.stopping = (stopped["state"], stopped["why"])
        self._course.stop_if_hopeless()

    def _learn_from(self, sources: Sequence[Mapping[str, Any]]) -> None:
        if sources:
            self._suggester.warm = WarmStart.of(sources, self._study, seed=self._plan.seed)

    def _begin_run(self, run: Run) -> None:
        runs = self._study_attributes().get(attributes.RUNS, [])
        with self._writer.batch():
            for held in self._hands:
                self._writer.lease(held)
            # in this order: what was edited is in the changes, and holds by itself no more once this run begins
            self._set_study(attributes.CHANGES, dict(run.changes))
            self._set_study(attributes.RUNS, [*runs, run.record(self._ledger.seconds)])
            self._set_study(attributes.STOPPED, None)
            if self._by_hand is not None:
                self._set_study(attributes.CLOSED, "")
            if self._study_attributes().get(attributes.QUEUED):  # when the run before was killed
                self._set_study(attributes.QUEUED, "")

    def _seconds(self) -> float:
        return self._course.seconds

    def _set_study(self, key: str, value: Any) -> None:
        self._storage.optuna.set_study_system_attr(self._study._study_id, key, value)

    def _study_attributes(self) -> dict[str, Any]:
        return self._storage.optuna.get_study_system_attrs(self._study._study_id)


def _improvement_of(plan: SweepPlan) -> Improvement | None:
    if plan.min_gain is None:
        return None
    from search.study.improvement import Improvement  # which loads scipy

    return Improvement(plan)
