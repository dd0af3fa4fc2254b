"""How many trials a sweep may hold, also beside others of its cluster, and what it asks their queue for."""

from __future__ import annotations

from collections.abc import Hashable

from search.plan import SweepPlan
from search.study.course import Course
from search.study.held import Hands
from search.study.shares import NONE_YET, UNLIMITED, Bid, Grant
from search.trial import Asked, Verdict


class Allowance:
    """The slots there are, and what the queue has granted of them.

    Args:
        plan: The sweep.
        hands: The trials that have not ended.
        course: What the sweep has spent and may spend.
        slots: As in `StudyOwner`, like `capacity`.
        queues: Whether there is a queue, so that nothing begins before it has granted something.

    Attributes:
        slots: How many trials may be held at once, if the queue grants them.
    """

    def __init__(
        self, plan: SweepPlan, hands: Hands, course: Course, *, slots: int, capacity: int | None, queues: bool
    ) -> None:
        self._plan, self._hands, self._course = plan, hands, course
        self.slots, self._capacity = slots, capacity or slots
        if capacity:
            self.fit(capacity)
        self._grant = NONE_YET if queues else None
        self._sated: Hashable | None = None

    def follow(self, plan: SweepPlan) -> None:
        """Go by another plan from here on."""
        self._plan = plan
        self.fit(self._capacity)

    def fit(self, capacity: int) -> None:
        """Have no more slots than fit on the machines that there are now."""
        self._capacity = capacity
        self.slots = min(capacity, self._plan.concurrency or capacity)

    def take(self, grant: Grant) -> None:
        """Go by this grant from here on."""
        self._grant = grant

    @property
    def queued(self) -> str:
        """Whom the sweep waits for; "" if it does not."""
        return self._grant.queued if self._grant is not None else ""

    @property
    def most(self) -> int:
        """How many trials may be held at once."""
        return self.slots if self._grant is None else min(self.slots, self._grant.trials)

    def is_used_up(self) -> bool:
        """Tell whether no more trials may be held."""
        return self._hands.busy >= self.most

    def is_exceeded(self) -> bool:
        """Tell whether one more trial has to pause, in favour of a sweep of higher priority."""
        if self._grant is None or self._grant.keep is None:
            return False
        pausing = sum(held.verdict is Verdict.STOP for held in self._hands.running)
        return self._hands.busy - pausing > self._grant.keep

    def note(self, asked: Asked, *, waiting: int) -> None:
        """Note whether an ask found nothing to run although there was room: then the sweep wants no more than it has.

        That holds until something of the study changes, whatever is granted meanwhile: the others' shares would go up
        and down with it.
        """
        if not self.is_used_up():
            nothing = asked.spec is None and asked.done is None
            self._sated = self._changes(waiting) if nothing else None

    def bid(self, sweep: str, since: float, *, waiting: int, gpus: float) -> Bid:
        """Return what the sweep asks for.

        Args:
            sweep: Id of this run of it.
            since: Unix seconds at which that run began.
            waiting: Points that are enqueued and not taken.
            gpus: That the next trial gets.
        """
        plan, busy, left = self._plan, self._hands.busy, self._course.trials_left()
        want = min(plan.concurrency or UNLIMITED, UNLIMITED if left is None else max(left, 0))
        if self._course.why_stopping() is not None:
            want = 0
        elif self._sated is not None and self._sated == self._changes(waiting):
            want = min(busy, want)
        trial_s, left_s = self._course.pace(busy)
        asks = (plan.cpus, gpus, float(plan.memory_bytes or 0))
        return Bid(plan.study, sweep, since, plan.priority, asks, want, busy, left_s, trial_s)

    def _changes(self, waiting: int) -> Hashable:
        """Return what is another value once there may be something to run again."""
        return waiting, len(self._hands), self._hands.busy, self._course.trials_left()
