"""Trials in somebody's hands: asked for, and not ended. One is `Held`; all of them are the `Hands`."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial

from search.status import CURVE
from search.study import attributes
from search.study.aheads import Aheads, is_ahead
from search.study.packing import Need
from search.study.record import TrialRecord, from_frozen
from search.trial import TrialSpec, Verdict


@dataclass(slots=True)
class Held:
    """What the owner remembers of a trial that has not ended.

    Attributes:
        spec: The trial.
        trial_id: Its id in storage.
        request: Of the ask that it answered last; "" while nobody has asked for it.
        token: Of the attempt that runs it; "" before a worker begins it.
        worker: Who runs that attempt.
        node: Where it runs.
        began: Monotonic seconds at which that attempt began; None while nobody runs it.
        before_s: Seconds that earlier attempts held it.
        gpu_before_s: The same, each times what it had of GPUs then.
        lost: Attempts that ended with their worker.
        step: The last step reported.
        value: The searched value reported there, with several metrics the first.
        values: Those of all, where there are several.
        curve: The first one's last values, for people.
        verdict: What was answered to that.
        resumed: Whether that attempt was to go on from a checkpoint.
        paused: RUNNING in storage, on nobody's hands.
        past: Tokens of the attempts before, which may call late.
        gpus: What it holds of GPUs, or is about to.
        need: What it is to have of them, since it ran out of their memory; None as long as it did not.
        short: What it had each time that it ran out, as the storage keeps it.
    """

    spec: TrialSpec
    trial_id: int
    request: str
    token: str = ""
    worker: str = ""
    node: str = ""
    began: float | None = None
    before_s: float = 0.0
    gpu_before_s: float = 0.0
    lost: int = 0
    step: int = 0
    value: float | None = None
    values: tuple[float, ...] = ()
    curve: tuple[float, ...] = ()
    verdict: Verdict = Verdict.CONTINUE
    resumed: bool = False
    paused: bool = False
    past: set[str] = field(default_factory=set)
    gpus: float = 0.0
    need: Need | None = None
    short: list[dict[str, Any]] = field(default_factory=list)

    def reached(self, step: int, value: float) -> None:
        """Take in a report of the searched metric."""
        self.step, self.value = step, None if math.isnan(value) else value
        if math.isfinite(value):
            self.curve = (*self.curve, value)[-CURVE:]

    def seconds(self, now: float) -> float:
        """Return how long workers have held it, over all attempts; `now` is monotonic."""
        return self.before_s + (0.0 if self.began is None else now - self.began)

    def gpu_seconds(self, now: float) -> float:
        """Return how long it has held GPUs, over all attempts, each times its part; `now` is monotonic."""
        return self.gpu_before_s + (0.0 if self.began is None else (now - self.began) * self.gpus)

    def let_go(self, now: float) -> None:
        """Take it out of its worker's hands."""
        self.before_s, self.gpu_before_s, self.began = self.seconds(now), self.gpu_seconds(now), None

    def lease(self) -> dict[str, object]:
        """Return what the storage keeps of whose it is."""
        gpus = {"gpus": self.gpus, "gpu_s": self.gpu_before_s} if self.gpus else {}
        return {"held": not self.paused, "token": self.token, "request": self.request, "held_s": self.before_s, **gpus}


def take_up(trial: FrozenTrial, request: str, *, now: float, at_s: float) -> Held:
    """Return what is known of a trial that the storage calls RUNNING.

    Args:
        trial: As stored.
        request: Of the ask that it answered last.
        now: Monotonic seconds.
        at_s: Seconds of the study's life at this moment, which the attempt's own are compared with.
    """
    record, attempt = from_frozen(trial), trial.system_attrs.get(attributes.ATTEMPT, {})
    reports, paused = record.reports, record.state == "paused"
    lease = trial.system_attrs.get(attributes.LEASE, {})
    running = bool(attempt) and not paused
    last = lease if lease.get("token") == attempt.get("token", "") else attempt  # who was written later
    shortage = trial.system_attrs.get(attributes.GPU, {})
    return Held(
        TrialSpec(trial.number, record.params),
        trial._trial_id,
        request,
        token=attempt.get("token", ""),
        worker=attempt.get("worker", ""),
        node=attempt.get("node", ""),
        began=now - max(0.0, at_s - record.at_s) if running else None,
        before_s=(lease if paused else attempt).get("held_s", 0.0),
        gpu_before_s=last.get("gpu_s", attempt.get("gpus", 0.0) * last.get("held_s", 0.0)),
        lost=record.lost,
        step=record.last_step,
        value=reports[max(reports)] if reports else None,
        verdict=_verdict_of(record),
        resumed=bool(attempt.get("resumed")),
        paused=paused,
        gpus=last.get("gpus", attempt.get("gpus", 0.0)),
        need=Need.from_json(shortage) if shortage else None,
        short=[*shortage.get("short", ())],
    )


def _verdict_of(record: TrialRecord) -> Verdict:
    if record.pruning:
        return Verdict.PRUNE
    return Verdict.PAUSE if record.rung.get("rests") else Verdict.CONTINUE


class Hands:
    """All trials that have not ended: by number, by the request that asked for them, those that wait for one, and those
    that rest at a rung.

    Attributes:
        ahead: Those among them that were drawn before a slot asked.
    """

    def __init__(self) -> None:
        self._held: dict[int, Held] = {}
        self._slots: dict[str, dict[str, int]] = {}  # by slot: the trial that each of its requests got
        self._offered: deque[int] = deque()
        self._resting: set[int] = set()
        self.ahead = Aheads()

    def __iter__(self) -> Iterator[Held]:
        return iter([*self._held.values()])

    def __len__(self) -> int:
        return len(self._held)

    def get(self, number: int) -> Held | None:
        return self._held.get(number)

    def number_of(self, request: str) -> int | None:
        """Return the trial that a request got, ended or not."""
        if is_ahead(request):
            return self.ahead.number_of(request)
        return self._slots.get(slot_of(request), {}).get(request)

    @property
    def waiting(self) -> int:
        """How many a slot may have at once: they were asked for before, or drawn ahead."""
        return len(self._offered) + len(self.ahead)

    @property
    def busy(self) -> int:
        """How many are in a worker's hands, or on the way there."""
        return len(self._held) - self.waiting - len(self._resting)

    @property
    def taken(self) -> list[Held]:
        """Those in a worker's hands, or on the way there."""
        free = {*self._offered, *self._resting}
        return [held for number, held in self._held.items() if number not in free and number not in self.ahead]

    @property
    def next_offered(self) -> Held | None:
        """The one that `take` would give."""
        return self._held[self._offered[0]] if self._offered else None

    @property
    def running(self) -> list[Held]:
        """Those that are not paused."""
        return [held for held in self._held.values() if not held.paused]

    @property
    def resting(self) -> list[Held]:
        """Those that wait for their promotion."""
        return [self._held[number] for number in self._resting]

    def resting_after(self, number: int) -> int:
        """Return how many of those are younger than a trial."""
        return sum(one > number for one in self._resting)

    def is_resting(self, held: Held) -> bool:
        return held.spec.number in self._resting

    def remember(self, request: str, number: int) -> None:
        """Have a request answered by this trial from now on."""
        self._slots.setdefault(slot_of(request), {})[request] = number

    def hold(self, held: Held, *, offer: bool = False, point: bool = False) -> None:
        """Take a trial in, to be offered or in the hands of whoever asked for it; `point` if it was enqueued."""
        self._held[held.spec.number] = held
        if held.paused and held.verdict is Verdict.PAUSE:
            self._resting.add(held.spec.number)
        elif offer:
            self._offered.append(held.spec.number)
        elif is_ahead(held.request):
            self.ahead.add(held.spec.number, held.request, point=point)
        elif held.request:
            self.remember(held.request, held.spec.number)

    def take(self, request: str) -> Held | None:
        """Give the trial that has been offered longest to this request."""
        if not self._offered:
            return None
        held = self._held[self._offered.popleft()]
        held.request = request
        self.remember(request, held.spec.number)
        return held

    def take_ahead(self, request: str) -> Held | None:
        """Give a trial that was drawn ahead to this request."""
        number = self.ahead.next
        if number is None:
            return None
        self.ahead.drop(number)
        held = self._held[number]
        held.request, held.paused = request, False
        self.remember(request, number)
        return held

    def rest(self, held: Held) -> None:
        """Take a trial from whoever asked for it, until it is promoted; the request that comes again gets it again."""
        held.request = ""
        self.keep(held)
        self._resting.add(held.spec.number)

    def wake(self, held: Held, request: str) -> None:
        """Give a resting trial to this request."""
        self._resting.discard(held.spec.number)
        held.request = request
        self.remember(request, held.spec.number)

    def leave(self, held: Held) -> None:
        """Take a trial from whoever asked for it, and offer it to the next."""
        self._forget(held)
        if held.spec.number not in self._offered:
            self._offered.append(held.spec.number)

    def keep(self, held: Held) -> None:
        """Withdraw an offer: a worker has begun the trial after all."""
        self.ahead.drop(held.spec.number)
        if held.spec.number in self._offered:
            self._offered.remove(held.spec.number)

    def of_slot(self, slot: str) -> list[Held]:
        """Return the trials that a slot asked for and did not end; what it asked for before is forgotten."""
        asked = dict.fromkeys(self._slots.pop(slot, {}).values())
        known = (held for number in asked if (held := self._held.get(number)) is not None)
        return [held for held in known if slot_of(held.request) == slot]  # one that rested may be another's by now

    def begun_in(self, slot: str) -> list[Held]:
        """Return the trials that a slot's worker runs."""
        return [held for held in self if held.began is not None and slot_of(held.request) == slot]

    def drop(self, number: int) -> None:
        """Let go of a trial that has ended."""
        self.keep(self._held[number])
        self._resting.discard(number)
        del self._held[number]

    def _forget(self, held: Held) -> None:
        self._slots.get(slot_of(held.request), {}).pop(held.request, None)
        held.request = ""


def slot_of(request: str) -> str:
    """Return the name of the slot that a request is of."""
    return request.rpartition(":")[0]
