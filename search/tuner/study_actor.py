"""The study actor: the one `StudyOwner` of a sweep, as a Ray actor on the head that restarts without limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from search.errors import RefusedError, SurroundingsError, SweepError
from search.paths import StudyFolder
from search.status import Status, SweepState
from search.study import wishes
from search.study.drawing import Draw, Drawn
from search.study.nodes import Members
from search.study.owner import StudyOwner
from search.study.shares import Bid, Grant
from search.trial import Answer, Asked, Begun, Outcome, Progress, Verdict
from search.trialfiles import TrialFiles
from search.tuner.answers import Next, Standing
from search.tuner.lost import LostWorkers, is_gone
from search.tuner.orders import Orders
from search.tuner.spaces import space_as_ordered

if TYPE_CHECKING:
    from search.tuner.apart import Apart


class StudyActor:
    """Calls of workers and of the driver, passed on to the owner.

    A restarted actor gets the same arguments and reloads from storage. Trouble at opening is kept as a value:
    raised in `__init__` it would reach the driver as a dead actor and not as a sentence.
    """

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._trouble: SweepError | None = None
        self._apart: Apart | None = None
        self._owner: StudyOwner | None = None
        self._folder = StudyFolder(orders.folder)
        self._files = TrialFiles(orders.folder)
        self._at_once = False
        self._lost = LostWorkers()
        try:
            self._open(orders)
        except SweepError as error:
            self._trouble = error
        except Exception as error:  # a user's space, a driver of a database
            self._trouble = SurroundingsError(f"the study does not open: {type(error).__name__}: {error}")

    def _open(self, orders: Orders) -> None:
        self._owner = StudyOwner.open(
            orders.plan,
            orders.folder,
            space_as_ordered(orders),
            slots=orders.slots,
            run=orders.run,
            capacity=orders.capacity,
            driver=orders.driver,
            gpus=orders.gpus,
            queues=orders.queues,
        )
        self._owner.nodes.step_kept = self._files.step_kept
        self._owner.prepare(orders.baseline, orders.warm_start)
        wishes.forget_stops(self._folder, before_ns=orders.since_ns)
        needed = self._owner.checkpoints.needed
        if needed is not None:
            self._files.keep_only(needed)

    def notes(self) -> tuple[str, ...]:
        """Return what was repaired when the storage was opened, a sentence each."""
        return self._owner.notes if self._owner is not None else ()

    def trouble(self) -> SweepError | None:
        """Return what kept the study from opening, or stopped it since."""
        return self._trouble

    def orders(self) -> Orders:
        """Return the orders with what the user has edited since they were given."""
        edited = self._owner.steering.edited if self._owner is not None else ()
        if not edited:
            return self._orders
        assert self._owner is not None
        run = replace(self._orders.run, code_hash=edited[-1].code_hash, objective_hash=edited[-1].objective_hash)
        return replace(self._orders, plan=self._owner.plan, run=run)

    def ask(self, request: str, here: bool = False) -> Asked:
        """Give a free worker its next trial, or the name of the process that draws it, unless it has to be `here`."""
        if self._owner is None or self._trouble is not None:
            return Asked(done=self._trouble.message if self._trouble else "the study is not open")
        try:
            if not here and self._owner.foresee(request) is not None and (name := self._drawer()):
                return Asked(apart=name)
            return self._owner.ask(request)
        except SweepError as error:
            self._keep(error)
            return Asked(done=error.message)

    def _drawer(self) -> str:
        """Return the name of the process that draws slow suggestions, "" where none can, or not yet."""
        from search.tuner.apart import apart  # which loads Ray

        self._apart = self._apart or apart(self._orders)
        return self._apart.name if self._apart is not None else ""

    def ask_with(self, request: str, drawn: Drawn | None) -> Asked | Draw:
        """Take in what was drawn for an ask, and answer it, or say what else has to be drawn."""
        if self._owner is None or self._trouble is not None:
            return self.ask(request)
        if drawn is not None:
            self._owner.bring(*drawn)
        return self._owner.foresee(request) or self.ask(request, here=True)

    def begin(self, number: int, token: str, worker: str, node: str, cause: str = "") -> Begun:
        if self._owner is None:
            return Begun("skip")
        lost_to = self._lost.cause_of(number, cause if cause != "time" else "")
        went = not lost_to and is_gone(self._owner.nodes.of(number))
        hung = cause if cause == "time" else ""
        try:
            if went:
                lost_to = "node"
                self._owner.nodes.lose_of(number)
            begun = self._owner.begin(number, token, worker=worker, node=node, hung=hung, lost_to=lost_to)
        except SweepError as error:
            self._keep(error)
            return Begun("skip")
        self._lost.began(number)
        return begun

    def lost(self, slot: str) -> None:
        """Take note that a slot's worker was lost; where they die again and again before a trial begins, it is over.

        Args:
            slot: Of a Tune trial.
        """
        if why := self._lost.count(slot):
            self.stop("failed", why)

    def report(self, number: int, token: str, progress: Progress) -> str:
        owner = self._opened()
        try:
            return owner.report(number, token, progress).value
        except SweepError as error:
            self._keep(error)
            return Verdict.STOP.value

    def by_hand(self, number: int, token: str, action: str, arguments: tuple[Any, ...]) -> Answer:
        owner = self._opened()
        try:
            return owner.by_hand(number, token, action, arguments)
        except SweepError as error:
            self._keep(error)
            return Answer(Verdict.STOP)

    def tell(self, number: int, token: str, outcome: Outcome, wanted: tuple[str, str, str, str] | None) -> Next:
        """End a trial and, in the same call, begin the next one.

        Args:
            number: The trial that ended.
            token: Of its attempt.
            outcome: How it ended.
            wanted: Request, token, worker and node for the next one; None for no further trial.
        """
        owner = self._opened()
        there = owner.nodes.of(number)
        try:
            owner.tell(number, token, outcome)
        except SweepError as error:
            self._keep(error)
        self._drop_spare()
        if owner.nodes.is_leaving(there):
            return Next(leave=True)
        if wanted is None:
            return Next()
        request, fresh, worker, node = wanted
        asked = self.ask(request)
        spec = asked.spec
        if spec is None:
            return Next(again=bool(asked.apart))
        begun = self.begin(spec.number, fresh, worker, node)
        return Next(spec, begun) if begun.action != "skip" else Next()

    def killed(self, slot: str, to_blame: list[int] | None) -> None:
        """Take note, before it begins again, that a slot's worker was killed because its machine ran out of memory.

        Args:
            slot: Of a Tune trial.
            to_blame: Processes that had much of that memory; None if that is not known, and all are.
        """
        if self._owner is not None:
            self._lost.blame(self._owner.begun_in(slot), to_blame)

    def hear_of(self, members: Members) -> None:
        """Take in which machines the cluster has now."""
        self._do(lambda owner: owner.hear_of(members))

    def is_leaving(self, node: str) -> bool:
        """Tell whether a machine is about to be taken away."""
        return self._owner is not None and self._owner.nodes.is_leaving(node)

    def bid(self, sweep: str, since: float) -> Bid | None:
        """Return what the sweep asks the queue for; None while the study is not open."""
        return self._owner.bid(sweep, since) if self._owner is not None else None

    def allow(self, grant: Grant) -> None:
        """Take in what the queue grants."""
        self._do(lambda owner: owner.allow(grant))

    def time_out(self, number: int, token: str) -> None:
        """End a trial whose worker has been ended because it hung."""
        owner = self._opened()
        try:
            owner.time_out(number, token)
        except SweepError as error:
            self._keep(error)
        self._drop_spare()

    def release(self, slot: str) -> None:
        """Take back what a slot asked for and did not end."""
        self._do(lambda owner: owner.release(slot))

    def stop(self, state: SweepState, why: str) -> None:
        if self._owner is not None:
            self._owner.stop(state, why)

    def give_up(self, said: str, field: str = "results") -> None:
        """Stop the sweep because the surroundings are wrong: files cannot be written, a package is missing."""
        self._keep(SurroundingsError(said, field=field))

    def refuse(self, said: str) -> None:
        """Stop the sweep because it is no longer the one that was launched: its code or its data changed."""
        hint = f"`sweep resume {self._folder.name} --accept-changes` goes on with it"
        self._keep(RefusedError(said, field="--accept-changes", hint=hint))

    def standing(self) -> Standing:
        """Do what is due and what the user wishes, and tell where the sweep stands."""
        if self._owner is None:
            return Standing(None)
        try:
            self._owner.tick()
            if not self._at_once and wishes.grant(self._folder, self._owner):
                self._owner.finish()
                wishes.forget_stops(self._folder)
                self._at_once = True
            self._drop_spare()
            grace_s = self._owner.plan.grace_s
            return Standing(self._owner.status(), self._at_once, self._owner.overdue(), grace_s)
        except SweepError as error:
            self._keep(error)
        return Standing(None)

    def finish(self) -> Status | None:
        """End this run of the sweep and let go of the storage."""
        if self._owner is None:
            return None
        try:
            status = self._owner.finish()
            self._drop_spare()
            wishes.forget_stops(self._folder)
        except SweepError as error:
            self._keep(error)
            return None
        finally:
            self._do(lambda owner: owner.close())
        return status

    def _do(self, act: Callable[[StudyOwner], object]) -> None:
        """Have the owner do something, where the study is open, and keep what comes in its way."""
        if self._owner is None:
            return
        try:
            act(self._owner)
        except SweepError as error:
            self._keep(error)

    def _opened(self) -> StudyOwner:
        """Return the owner; what is told to one that could not be opened must not pass for told."""
        if self._owner is None:
            raise self._trouble or SurroundingsError("the study is not open", field="study")
        return self._owner

    def _drop_spare(self) -> None:
        """Delete the checkpoints that are no longer needed."""
        if self._owner is not None:
            self._files.drop(self._owner.checkpoints.take_spare())

    def _keep(self, error: SweepError) -> None:
        """Keep the first trouble for the driver, with what to type when it is over, and stop the sweep."""
        if isinstance(error, SurroundingsError) and "`" not in error.hint:
            first = "free some; " if error.message.startswith("no space left") else ""
            error.hint = f"{first}`sweep resume {self._folder.name}` goes on"
        self._trouble = self._trouble or error
        self.stop("failed", error.message)
