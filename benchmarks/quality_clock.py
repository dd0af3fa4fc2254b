"""The clock that searches are replayed by: workers train from a table of learning curves, and a search decides.

A `Search` is asked for a `Job` whenever a worker is free, hears of the validation error after each epoch, and says
whether the worker goes on. Events come strictly in order of time, those of one moment in order of workers. What the
search would return at each moment is the same for all: the configuration and epoch of the lowest validation error so
far. It is scored by the table's test error there, which no search sees. Needs numpy alone.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np

from benchmarks.quality_tables import INACTIVE, Axis, Table

VERSION: Final = 1
"""Of the rules of the clock: runs of another version do not compare."""


@dataclass(slots=True)
class Job:
    """A trial in a worker's hands.

    Attributes:
        trial: The search's own name for it.
        row: Its configuration.
        done: Epochs that it has been trained for.
        until: Epochs at which the worker is free again, whatever the search says.
    """

    trial: Any
    row: int
    done: int
    until: int


class Search(Protocol):
    """What is replayed. It ends its trials by itself: at the last epoch, and where it says that a worker is free."""

    def ask(self) -> Job | None:
        """Return what a free worker trains; None if it has to wait for others."""

    def report(self, job: Job, error: float) -> bool:
        """Take in the validation error after epoch `job.done`; tell whether the worker goes on with the trial."""


@dataclass(frozen=True, slots=True)
class Change:
    """Another configuration, or another epoch of it, would be returned from here on.

    Attributes:
        epochs: Trained by then, by all workers together.
        clock: Time by then.
        test: Test error of what would be returned.
    """

    epochs: int
    clock: float
    test: float


@dataclass(frozen=True, slots=True)
class Run:
    """One search on one table.

    Attributes:
        changes: Of what would be returned, in order.
        epochs: Trained in all.
        trials: Configurations begun.
        clock: Time at the end.
        asks_s: Processor time of each answer to a free worker, in seconds.
        reports_s: The same of each verdict.
    """

    changes: tuple[Change, ...]
    epochs: int
    trials: int
    clock: float
    asks_s: tuple[float, ...]
    reports_s: tuple[float, ...]


def drawn(table: Table, draw: Callable[[Axis], int]) -> int:
    """Draw the index of each active parameter's value, in order, and return the configuration's row."""
    point: list[int] = []
    for axis in table.axes:
        family = table.axes[0].values[point[0]] if point else None
        point.append(draw(axis) if axis.when is None or axis.when == family else INACTIVE)
    return table.rows[tuple(point)]


def row_of(table: Table, indices: dict[str, Any]) -> int:
    """Return the row of a configuration given by name, with or without its inactive parameters."""
    return drawn(table, lambda axis: int(indices[axis.name]))


def replay(search: Search, table: Table, *, workers: int, budget: int, epoch_s: float | None = None) -> Run:
    """Run one search for a number of epochs, or for the time that they take on average.

    Args:
        search: It.
        table: Its problem.
        workers: That train side by side.
        budget: Epochs, of all workers together.
        epoch_s: Seconds that an epoch takes on average over configurations; each takes the table's share of it, and
            the search, which answers one call at a time, the time that it is measured to take; it ends when `budget`
            average epochs would be trained. None: an epoch is one unit of time, and decisions take none.
    """
    return _Replay(search, table, epoch_s).run(workers, budget)


@dataclass(slots=True)
class _Replay:
    search: Search
    table: Table
    epoch_s: float | None
    free_at: float = 0.0  # when the search has answered all that it was asked
    best: float = float("inf")
    changes: list[Change] = field(default_factory=list)
    asks_s: list[float] = field(default_factory=list)
    reports_s: list[float] = field(default_factory=list)
    trials: set[int] = field(default_factory=set)
    due: list[tuple[float, int, Job]] = field(default_factory=list)

    def run(self, workers: int, budget: int) -> Run:
        val, test = self.table.val.tolist(), self.table.test
        now, idle = 0.0, self._give(0.0, iter(range(workers)))
        epochs, most = 0, budget if self.epoch_s is None else math.inf
        end = math.inf if self.epoch_s is None else budget * self.epoch_s / workers
        while self.due and epochs < most and self.due[0][0] <= end:
            now, worker, job = heapq.heappop(self.due)
            epochs, job.done = epochs + 1, job.done + 1
            error = val[job.row][job.done - 1]
            if error < self.best:
                self.best = error
                self.changes.append(Change(epochs, now, float(test[job.row, job.done - 1])))
            goes_on = self._report(now, job, error)
            if goes_on:
                self._train(now, worker, job)
            idle = self._give(now, iter(idle if goes_on else sorted([*idle, worker])))
        return Run(tuple(self.changes), epochs, len(self.trials), now, tuple(self.asks_s), tuple(self.reports_s))

    def _give(self, now: float, free: Iterator[int]) -> list[int]:
        """Ask for the next trial of each free worker; return the workers that have to wait."""
        for worker in free:
            began = time.process_time()
            job = self.search.ask()
            self._answered(now, time.process_time() - began, self.asks_s)
            if job is None:
                return [worker, *free]
            self.trials.add(job.row)
            self._train(now, worker, job)
        return []

    def _report(self, now: float, job: Job, error: float) -> bool:
        began = time.process_time()
        goes_on = self.search.report(job, error)
        self._answered(now, time.process_time() - began, self.reports_s)
        return goes_on and job.done < job.until

    def _train(self, now: float, worker: int, job: Job) -> None:
        takes = 1.0 if self.epoch_s is None else self.epoch_s * float(self.table.seconds[job.row])
        heapq.heappush(self.due, (max(now, self.free_at) + takes, worker, job))

    def _answered(self, asked: float, took_s: float, kept: list[float]) -> None:
        kept.append(took_s)
        if self.epoch_s is not None:
            self.free_at = max(asked, self.free_at) + took_s


def milliseconds(seconds: tuple[float, ...]) -> tuple[float, float]:
    """Return mean and 99th percentile, in milliseconds."""
    return (1e3 * float(np.mean(seconds)), 1e3 * float(np.quantile(seconds, 0.99))) if seconds else (0.0, 0.0)
