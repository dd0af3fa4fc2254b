"""The trials that reached a rung, in their order: the `Rung`, by one metric or by several."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Protocol

from search.study.front import Fronts
from search.study.reports import Costs


class Rung(Protocol):
    """Trials by number, the best first; equally good ones in order of their numbers."""

    def __len__(self) -> int:
        """Return how many trials have reached it."""

    def enter(self, number: int, costs: Costs) -> None:
        """Take a trial in."""

    def fill(self, trials: Sequence[tuple[Costs, int]]) -> None:
        """Take many trials in, into an empty rung."""

    def costs(self, number: int) -> Costs:
        """Return what a trial had reported when it came."""

    def rank(self, number: int) -> int:
        """Return how many trials are before one."""

    def is_among(self, number: int, count: int) -> bool:
        """Tell whether a trial is one of the first `count`."""

    def wait(self, number: int) -> None:
        """Let a trial of the rung wait there."""

    def leave(self, number: int) -> None:
        """Let a trial wait no longer, if it did."""

    def first_waiting(self) -> int | None:
        """Return the first of those that wait; None if none do."""

    def bar(self, count: int) -> float | None:
        """Return the cost of the last of the first `count`; None where there is none."""

    def front(self, number: int) -> tuple[int | None, int | None]:
        """Return the front of a trial, counted from 1, and how many fronts there are; None each with one metric."""


class ByValue:
    """A rung of one metric."""

    def __init__(self) -> None:
        self._order: list[tuple[float, int]] = []
        self._cost: dict[int, float] = {}
        self._waiting: set[int] = set()
        self._queue: list[tuple[float, int]] = []  # a heap of them, and of some that have left

    def __len__(self) -> int:
        return len(self._order)

    def enter(self, number: int, costs: Costs) -> None:
        insort(self._order, (costs[0], number))
        self._cost[number] = costs[0]

    def fill(self, trials: Sequence[tuple[Costs, int]]) -> None:
        self._order = sorted((costs[0], number) for costs, number in trials)
        self._cost = {number: cost for cost, number in self._order}

    def costs(self, number: int) -> Costs:
        return (self._cost[number],)

    def rank(self, number: int) -> int:
        return bisect_left(self._order, (self._cost[number], number))

    def is_among(self, number: int, count: int) -> bool:
        bar = self.bar(count)
        return bar is not None and self._cost[number] <= bar  # which a tie is: as in Optuna's pruner

    def wait(self, number: int) -> None:
        self._waiting.add(number)
        heappush(self._queue, (self._cost[number], number))

    def leave(self, number: int) -> None:
        self._waiting.discard(number)

    def first_waiting(self) -> int | None:
        while self._queue and self._queue[0][1] not in self._waiting:
            heappop(self._queue)
        return self._queue[0][1] if self._queue else None

    def bar(self, count: int) -> float | None:
        return self._order[count - 1][0] if count else None

    def front(self, number: int) -> tuple[int | None, int | None]:  # noqa: ARG002 - one metric has no fronts
        return None, None


class ByFronts:
    """A rung of several metrics: non-dominated sorting, within a front those with most room around them first.

    MO-ASHA (Schmucker et al., "Multi-objective Asynchronous Successive Halving", 2021) orders a front by an
    epsilon-net, which is found a point at a time. Crowding distance takes one sort for each metric, and so a verdict
    stays cheap where a large study has one large front.

    Args:
        dimensions: How many metrics.
    """

    def __init__(self, dimensions: int) -> None:
        self._fronts = Fronts(dimensions)
        self._costs: dict[int, Costs] = {}

    def __len__(self) -> int:
        return len(self._fronts)

    def enter(self, number: int, costs: Costs) -> None:
        self._fronts.add(number, costs)
        self._costs[number] = costs

    def fill(self, trials: Sequence[tuple[Costs, int]]) -> None:
        self._fronts.fill(trials)
        self._costs = {number: costs for costs, number in trials}

    def costs(self, number: int) -> Costs:
        return self._costs[number]

    def rank(self, number: int) -> int:
        return self._fronts.rank(number)

    def is_among(self, number: int, count: int) -> bool:
        return self._fronts.is_among(number, count)

    def wait(self, number: int) -> None:
        self._fronts.wait(number)

    def leave(self, number: int) -> None:
        self._fronts.leave(number)

    def first_waiting(self) -> int | None:
        return self._fronts.first_waiting()

    def bar(self, count: int) -> float | None:  # noqa: ARG002 - no single number is the limit
        return None

    def front(self, number: int) -> tuple[int | None, int | None]:
        return self._fronts.front_of(number) + 1, self._fronts.count
