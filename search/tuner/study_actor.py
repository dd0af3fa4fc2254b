"""The study actor: the one `StudyOwner` of a sweep, as a Ray actor on the head that restarts without limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search import loading
from search.byvalue import Brought
from search.contract import Space
from search.errors import InputError, RefusedError, SurroundingsError, SweepError
from search.opening import load_planned_space
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.status import Status, SweepState
from search.study import edits, wishes
from search.study.drawing import Draw, Drawn
from search.study.nodes import Members
from search.study.owner import StudyOwner
from search.study.reading import stored_trials
from search.study.runs import Run
from search.study.shares import Bid, Grant
from search.study.steering import changed_since, space_of
from search.trial import Answer, Asked, Begun, Outcome, Overdue, Progress, TrialSpec, Verdict
from search.trialfiles import TrialFiles
from search.tuner.worker import pid_of

if TYPE_CHECKING:
    from search.tuner.apart import Apart

LOST_STARTS: Final = 20
"""Workers that may be lost in a row, over all slots, before one of them begins a trial.

A slot's first loss is none of these: a machine may go with many workers at once, which had begun theirs.
"""


@dataclass(frozen=True, slots=True)
class Next:
    """A slot's next trial, begun already; or none for it now.

    Attributes:
        leave: Whether its machine is about to be taken away: the worker has to end.
        again: Whether it has to ask by itself, since the suggestion takes long.
    """

    spec: TrialSpec | None = None
    begun: Begun | None = None
    leave: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Orders:
    """What the driver tells its actors and workers.

    Attributes:
        plan: The sweep, with all changes since its launch.
        folder: The study's folder.
        slots: How many trials may be held at once.
        baseline: Score of a naive prediction.
        run: This launch or resume.
        driver: The driver's process.
        accept_changes: Workers need not check that code and data are those of the launch.
        since_ns: Wishes to stop that are older, in unix nanoseconds, were for an earlier run.
        warm_start: Earlier studies that it learns from, as `search.study.warm.Source.to_json` gives them.
        capacity: How many trials could be held at once, if the plan allowed them; None for no more than `slots`.
        frozen: Key of the rows that trials see, in the store; "" where each worker opens the data itself.
        brought: What no file holds of objective and space.
        space_hash: Of the space's code as the driver read it; "" where it may be another.
        described: Variables that hold secrets of the data, which its description on the driver's machine names.
        shipped: Whether the code came along, as the driver read it; the plan's references are relative to it.
        gpus: That the cluster has; None where trials ask for none.
        queues: Whether the queue of the cluster says how many of the slots may be used.
    """

    plan: SweepPlan
    folder: Path
    slots: int
    baseline: Mapping[str, float]
    run: Run
    driver: int
    accept_changes: bool = False
    since_ns: int = 0
    warm_start: tuple[Mapping[str, Any], ...] = ()
    capacity: int | None = None
    frozen: str = ""
    brought: Brought = field(default_factory=dict)
    space_hash: str = ""
    shipped: bool = False
    described: tuple[str, ...] = ()
    gpus: float | None = None
    queues: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What the driver hears when it asks.

    Attributes:
        status: Where the sweep stands; None while the study is not open.
        at_once: The user wants it to end now, without waiting for trials; the study is in order.
        overdue: Trials whose workers have to be ended.
        grace_s: How long running trials may take to pause, as it stands; None while the study is not open.
    """

    status: Status | None
    at_once: bool = False
    overdue: tuple[Overdue, ...] = ()
    grace_s: float | None = None


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
        self._lost_to: dict[int, str] = {}
        self._lost_starts = 0  # workers lost since a trial last began
        self._bereft: set[str] = set()  # slots that lost one since then
        try:
            self._open(orders)
        except SweepError as error:
            self._trouble = error
        except Exception as error:  # a user's space, a driver of a database
            self._trouble = SurroundingsError(f"the study does not open: {type(error).__name__}: {error}")

    def _open(self, orders: Orders) -> None:
        plan = orders.plan
        space = space_as_ordered(orders)
        self._owner = StudyOwner.open(
            plan,
            orders.folder,
            space,
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
        import ray

        if not ray.is_initialized() or self._orders.brought:  # what no file holds stays in this process
            return ""
        if self._apart is None:
            from search.tuner.apart import apart

            study = ray.get_runtime_context().get_actor_name()
            self._apart = apart(study, self._orders)
        return self._apart.name

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
        lost_to = self._lost_to.get(number, cause if cause != "time" else "")
        is_gone = not lost_to and _is_gone(self._owner.node_of(number))
        hung = cause if cause == "time" else ""
        try:
            if is_gone:
                lost_to = "node"
                self._owner.lose_machine_of(number)
            begun = self._owner.begin(number, token, worker=worker, node=node, hung=hung, lost_to=lost_to)
        except SweepError as error:
            self._keep(error)
            return Begun("skip")
        self._lost_to.pop(number, None)
        self._lost_starts = 0
        self._bereft.clear()
        return begun

    def lost(self, slot: str) -> None:
        """Take note that a slot's worker was lost; where they die again and again before a trial begins, it is over.

        Args:
            slot: Of a Tune trial.
        """
        if slot not in self._bereft:
            self._bereft.add(slot)
            return
        self._lost_starts += 1
        if self._lost_starts > LOST_STARTS:
            self.stop("failed", f"workers ended {self._lost_starts} times in a row before a trial could begin")

    def report(self, number: int, token: str, step: int, metrics: dict[str, float], units: int) -> str:
        owner = self._opened()
        try:
            return owner.report(number, token, Progress(step, metrics, units)).value
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
        there = owner.node_of(number)
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
        if self._owner is None:
            return
        for number, worker in self._owner.begun_in(slot).items():
            mine = to_blame is None or pid_of(worker) in to_blame
            self._lost_to[number] = "memory" if mine else "node"

    def hear_of(self, members: Members) -> None:
        """Take in which machines the cluster has now."""
        if self._owner is None:
            return
        try:
            self._owner.hear_of(members)
        except SweepError as error:
            self._keep(error)

    def is_leaving(self, node: str) -> bool:
        """Tell whether a machine is about to be taken away."""
        return self._owner is not None and self._owner.nodes.is_leaving(node)

    def bid(self, sweep: str, since: float) -> Bid | None:
        """Return what the sweep asks the queue for; None while the study is not open."""
        return self._owner.bid(sweep, since) if self._owner is not None else None

    def allow(self, grant: Grant) -> None:
        """Take in what the queue grants."""
        if self._owner is None:
            return
        try:
            self._owner.allow(grant)
        except SweepError as error:
            self._keep(error)

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
        if self._owner is None:
            return
        try:
            self._owner.release(slot)
        except SweepError as error:
            self._keep(error)

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
            self._close()
        return status

    def _opened(self) -> StudyOwner:
        """Return the owner; what is told to one that could not be opened must not pass for told."""
        if self._owner is None:
            raise self._trouble or SurroundingsError("the study is not open", field="study")
        return self._owner

    def _drop_spare(self) -> None:
        """Delete the checkpoints that are no longer needed."""
        if self._owner is not None:
            self._files.drop(self._owner.checkpoints.take_spare())

    def _close(self) -> None:
        assert self._owner is not None
        try:
            self._owner.close()
        except SweepError as error:
            self._keep(error)

    def _keep(self, error: SweepError) -> None:
        """Keep the first trouble for the driver, with what to type when it is over, and stop the sweep."""
        if isinstance(error, SurroundingsError) and "`" not in error.hint:
            first = "free some; " if error.message.startswith("no space left") else ""
            error.hint = f"{first}`sweep resume {self._folder.name}` goes on"
        self._trouble = self._trouble or error
        self.stop("failed", error.message)


def space_as_ordered(orders: Orders) -> Space:
    """Load the space of the plan; where the study was edited since to search another one, that.

    Raises:
        InputError: It cannot be loaded any more.
        RefusedError: Its file is no longer as the driver read it: it is perhaps being edited.
    """
    plan, folder = orders.plan, StudyFolder(orders.folder)
    try:
        around = Path.cwd() if orders.shipped else orders.folder
        loaded = load_planned_space(plan, orders.brought, folder=around)
    except InputError:
        edited = _edited(folder, plan)
        if edited is None:
            raise
        return space_of(edited, made=True)
    if not orders.accept_changes and orders.space_hash not in ("", loading.code_hash(loaded)):
        edited = _edited(folder, plan)
        if edited is None:
            raise changed_since(loaded.file.name)
        return space_of(edited, made=True)
    space: Space = loaded.value
    return space


def _edited(folder: StudyFolder, plan: SweepPlan) -> edits.SpaceEdit | None:
    """Return the space that the study's run was edited to search, None if it was not."""
    spaces = [edit.space for edit in edits.in_force(stored_trials(folder, plan)[1]) if edit.space is not None]
    return spaces[-1] if spaces else None


def _is_gone(node: str) -> bool:
    """Tell whether a node has left the cluster."""
    if not node:
        return False
    import ray

    return not any(one["NodeID"] == node and one["Alive"] for one in ray.nodes())


def actor_options(name: str) -> dict[str, Any]:
    """Return the Ray options of the actor: no CPU of its own, restarted and retried without limit."""
    return {"name": name, "num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "max_concurrency": 1}
