"""A slot: runs one trial after the other in a worker process, for as long as Tune lets it."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Generator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import ray

from search import loading, reloading
from search.checkpoint import Checkpoint, CheckpointKind
from search.local import device_of, setting_of, threads_of, use_threads
from search.opening import load_planned, load_planned_space
from search.plan import SweepPlan
from search.problem import Problem
from search.resume import check_unchanged
from search.running import Run, trial_run
from search.session import Setting
from search.trial import Answer, Begun, Outcome, Progress, TrialSpec, Verdict
from search.tuner import apart, foreign, unseen
from search.tuner.answers import Next
from search.tuner.blobs import Parcels
from search.tuner.calls import call
from search.tuner.capture import Capture
from search.tuner.gpu import Bay, gpu_of
from search.tuner.keeping import open_kept
from search.tuner.memory import MemoryLimit, forget_peak, peak_mb
from search.tuner.notice import Notice
from search.tuner.orders import Orders
from search.tuner.watchdog import LastWords, Watchdog
from search.tuner.worker import name_of

TURN_S: Final = 1.0
"""How long a slot asks for further trials: short ones share one Tune trial, whose own cost is then shared."""


def request_of(slot: str, turn: int) -> str:
    """Return the id of the ask for the `turn`-th trial of a slot, the same however often it is repeated."""
    return f"{slot}:{turn}"


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What a worker process sets up once: the objective with its data, and its ways out."""

    name: str
    study: Any
    files: Any
    blobs: Any
    plan: SweepPlan
    problem: Problem
    setting: Setting
    worker: str
    node: str
    bay: Bay | None = None
    notice: Notice = field(default_factory=Notice)

    @classmethod
    def open(cls, name: str, study: Any, files: Any, blobs: Any, directory: Any = None, gpus: float = 0.0) -> Bench:
        """Load the objective and its data as the study's plan says.

        Raises:
            RefusedError: They are no longer those of the launch.
        """
        orders: Orders = call(study.orders)
        plan = orders.plan
        use_threads(threads_of(plan))
        unseen.forget(plan, orders.described, data=bool(orders.frozen))
        objective = load_planned(plan, orders.brought)
        problem = open_kept(orders, objective, directory)
        if not orders.accept_changes and not orders.shipped:
            space = load_planned_space(plan, orders.brought, folder=Path.cwd())
            check_unchanged(
                orders.run,
                code=loading.code_hash(objective, space),
                data=problem.data_hash,
                objective=reloading.objective_hash(objective, space),
            )
        unseen.forget(plan, orders.described)
        setting = setting_of(plan, problem, device=device_of(plan))
        worker = name_of(ray.util.get_node_ip_address(), os.getpid(), ray.get_gpu_ids())
        node = ray.get_runtime_context().get_node_id()
        gpu = gpu_of(ray.get_gpu_ids())
        bay = Bay(gpu, gpus, bound=plan.pack) if gpu is not None else None
        return cls(name, study, files, blobs, plan, problem, setting, worker, node, bay)


@dataclass(slots=True, eq=False)
class _Session:
    """A running trial's way out, through the study actor and the files actor."""

    bench: Bench
    number: int
    token: str
    capture: Capture
    parcels: Parcels
    flushed: float = field(default_factory=time.monotonic)

    def report(self, progress: Progress) -> Verdict:
        verdict = Verdict(call(self.bench.study.report, self.number, self.token, progress))
        return Verdict.STOP if verdict is Verdict.CONTINUE and self.bench.notice.given else verdict

    def by_hand(self, action: str, *arguments: Any) -> Answer:
        if self.bench.notice.given:
            return Answer(Verdict.STOP)
        answer: Answer = call(self.bench.study.by_hand, self.number, self.token, action, arguments)
        if time.monotonic() - self.flushed > TURN_S:  # the slot is back only when the objective has returned
            self.flushed = time.monotonic()
            if text := self.capture.take():
                call(self.bench.files.log, self.number, text)
        return answer

    def save(self, kind: CheckpointKind, checkpoint: Checkpoint) -> None:
        self.parcels.send(kind, checkpoint)

    def load(self, kind: CheckpointKind) -> Checkpoint | None:
        return self.parcels.fetch(kind)


@dataclass(slots=True, eq=False)
class _Attempt:
    """A trial in hand."""

    spec: TrialSpec
    token: str
    run: Run
    steps: Generator[Progress, None, None]
    words: LastWords
    memory: MemoryLimit | None
    parcels: Parcels
    bay: Bay | None = None
    note: str = ""
    watchdog: Watchdog = field(default_factory=Watchdog)
    capture: Capture = field(default_factory=Capture)

    def advance(self, until: float) -> bool:
        """Run steps of the trial; tell whether it ended before `until`."""
        with self.capture, self.memory or nullcontext():
            try:
                while next(self.steps, None) is not None:
                    if time.monotonic() > until:
                        return False
            except MemoryError as error:  # of its limit, and between two steps
                with suppress(StopIteration, MemoryError):
                    self.steps.throw(error)
        return True

    def guard(self, timeout_s: float | None) -> None:
        """Hold the trial to its limits from here on."""
        self.words.catch()
        if timeout_s is not None:
            self.watchdog.arm(timeout_s)
        if self.memory is not None:
            self.memory.arm()
        if self.bay is not None:
            self.bay.begin()
        forget_peak()

    def unguard(self) -> Outcome:
        """Lift the limits, and return how the trial ended."""
        outcome = replace(self.run.outcome, peak_mb=peak_mb())
        if self.note:
            outcome = replace(outcome, notes=(*outcome.notes, self.note))
        if self.bay is not None:
            outcome = self.bay.measured(outcome)
        self.watchdog.disarm()
        self.words.release()
        if self.memory is None:
            return outcome
        self.memory.disarm()
        return self.memory.named(outcome)

    def let_go(self) -> None:
        """Refer to nothing of the trial that may hold a GPU's memory; nothing runs of it after this."""
        self.steps.close()
        del self.run, self.steps
        if self.bay is not None:
            self.bay.clear()


class Slot:
    """The trials of one Tune trial.

    Args:
        name: Of the slot; a restarted worker gets the same one, and is led through the same turns again.
        bench: What this process has set up.

    Attributes:
        leaves: Whether this process has to end, since its machine is about to be taken away.
    """

    def __init__(self, name: str, bench: Bench) -> None:
        self._name, self._bench = name, bench
        self._turn = 0
        self._ends = time.monotonic() + TURN_S
        self._attempt: _Attempt | None = None
        self.leaves = False
        bench.notice.is_busy = lambda: self._attempt is not None

    def run(self, until: float) -> bool:
        """Run trials until the monotonic time `until`; tell whether the slot has more to do."""
        if self._attempt is None:
            self._start_first()
        while self._attempt is not None:
            if not self._attempt.advance(until):
                self._flush_log(self._attempt)
                return True
            self._tell(self._attempt)
        return False

    def _start_first(self) -> None:
        """Begin the first trial of this slot that has not ended yet; a lost worker may have run some before."""
        self.leaves = call(self._bench.study.is_leaving, self._bench.node)
        while not self.leaves:
            asked = apart.ask(self._bench.study, request_of(self._name, self._turn), call)
            if asked.spec is None:
                return
            words, token = LastWords(self._bench.name, asked.spec.number), uuid.uuid4().hex
            said, who = words.read(), (self._bench.worker, self._bench.node)
            short = self._bench.bay.wait() if self._bench.bay is not None else ""
            begun: Begun = call(self._bench.study.begin, asked.spec.number, token, *who, words.cause())
            if begun.action != "skip":
                self._attempt = self._begin(asked.spec, token, begun, short)
                return
            words.clear()
            if said:
                call(self._bench.files.error, asked.spec.number, said)
            self._turn += 1

    def _begin(self, spec: TrialSpec, token: str, begun: Begun, note: str = "") -> _Attempt:
        bench, capture = self._bench, Capture()
        parcels = Parcels(spec.number, bench.files, bench.blobs)
        session = _Session(bench, spec.number, token, capture, parcels)
        resume = begun.action == "resume"
        setting = replace(bench.setting, timeout_s=begun.timeout_s, micro_batches=begun.micro_batches)
        run = trial_run(bench.problem, spec, setting, session, resume=resume, told=begun.told)
        limit = bench.plan.memory_bytes
        memory = MemoryLimit(limit) if limit is not None else None
        words = LastWords(bench.name, spec.number)
        attempt = _Attempt(spec, token, run, iter(run), words, memory, parcels, bench.bay, note, capture=capture)
        attempt.guard(begun.timeout_s)
        return attempt

    def _tell(self, attempt: _Attempt) -> None:
        """Tell how a trial ended and, while the slot's turn lasts, begin the next one in the same call."""
        number, outcome = attempt.spec.number, attempt.unguard()
        foreign.leave()
        attempt.let_go()
        attempt.parcels.settle()
        if attempt.parcels.notes:
            outcome = replace(outcome, notes=(*outcome.notes, *attempt.parcels.notes))
        self._flush_log(attempt)
        if outcome.trace:
            call(self._bench.files.error, number, outcome.trace)
        self._turn += 1
        token = uuid.uuid4().hex
        wanted = (request_of(self._name, self._turn), token, self._bench.worker, self._bench.node)
        told: Next = call(
            self._bench.study.tell,
            number,
            attempt.token,
            outcome,
            wanted if time.monotonic() < self._ends and self._is_clean and not self._bench.notice.given else None,
        )
        self._attempt = None
        self.leaves = told.leave or self._bench.notice.given
        if told.spec is not None and told.begun is not None:
            self._attempt = self._begin(told.spec, token, told.begun)
        elif told.again:
            self._start_first()

    @property
    def _is_clean(self) -> bool:
        """Whether this process can run another trial: nothing of the one before runs on, or holds much of its GPU."""
        return foreign.is_clean() and (self._bench.bay is None or self._bench.bay.is_clean)

    def _flush_log(self, attempt: _Attempt) -> None:
        if text := attempt.capture.take():
            call(self._bench.files.log, attempt.spec.number, text)
