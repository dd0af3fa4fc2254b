"""Joins the rows of requests that wait at the same time into one run of a model: the `Batcher`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import numpy as np

from search.bundle.model import Array, Model, Predicted
from search.bundle.signature import Kind, Signature

_INLINE_S: Final = 0.002
"""A run that takes less is done in the event loop: a thread would cost more than it frees."""

_RUN_S: Final = 0.02
"""What a joined run may take, so that the first of its requests does not wait for the last."""

_AHEAD: Final = 32
"""Requests that do not wait for others, after one whom nobody joined; the next one looks again."""

_PROBE_ROWS: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """What a request gets of a run.

    Attributes:
        predicted: Of all requests that joined.
        rows: Those of this request; None: all.
        count: Of all rows.
    """

    predicted: Predicted
    rows: slice | None
    count: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run of a model takes, measured when it was loaded.

    Attributes:
        run_s: Of a run, whatever its rows.
        row_s: Of each of its rows.
    """

    run_s: float
    row_s: float

    @classmethod
    def measure(cls, model: Model) -> Cost:
        """Run a model on usual rows; its first runs are slower, so this warms it up as well."""
        one, many = _probe(model, 1), _probe(model, _PROBE_ROWS)
        row_s = max(0.0, many - one) / (_PROBE_ROWS - 1)
        return cls(one, row_s)

    def of(self, count: int) -> float:
        """Return the seconds that so many rows will take, roughly."""
        return self.run_s + count * self.row_s


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    columns: Mapping[str, Array]
    count: int
    future: asyncio.Future[Joined]


class Batcher:
    """Runs a model for the requests of one event loop, in the order in which they come.

    Nothing waits for a clock. A run begins once all requests that the loop has read by now have joined it; while one
    that takes longer goes on in a thread, those that come meanwhile make up the next. Where requests come one by one,
    most of them run at once.

    Args:
        model: Runs.
        threads: Where runs go that would hold up the loop.
    """

    def __init__(self, model: Model, threads: Executor) -> None:
        self.cost = Cost.measure(model)
        self._model, self._threads = model, threads
        self._reads = [one.name for one in model.signature.inputs if one.used]
        self._waiting: list[_Asked] = []
        self._is_due = self._is_running = False
        self._ahead = 0

    def is_bulk(self, count: int) -> bool:
        """Tell whether so many rows make up a run of their own: nobody gains from joining it."""
        return self.cost.of(count) > _RUN_S

    def at_once(self, columns: Mapping[str, Array], count: int) -> Joined | None:
        """Predict rows now, if nobody seems to be there who could join them; else return None."""
        if not self._ahead or self._waiting or self._is_running or self.cost.of(count) > _INLINE_S:
            return None
        self._ahead -= 1
        return Joined(self._model.run(columns), None, count)

    def join(self, columns: Mapping[str, Array], count: int) -> asyncio.Future[Joined]:
        """Have rows predicted by the next run.

        Args:
            columns: As `Model.run` takes them.
            count: Of rows.
        """
        loop = asyncio.get_running_loop()
        asked = _Asked(columns, count, loop.create_future())
        self._waiting.append(asked)
        self._begin(loop)
        return asked.future

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._waiting and not self._is_due and not self._is_running:
            self._is_due = True
            loop.call_soon(self._run, loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_due = False
        taken = self._take()
        if not taken:
            return
        self._ahead = 0 if self._waiting or len(taken) > 1 else _AHEAD
        if self.cost.of(sum(one.count for one in taken)) <= _INLINE_S:
            _settle(taken, self._predict(taken))
            self._begin(loop)
            return
        self._is_running = True
        running = loop.run_in_executor(self._threads, self._predict, taken)
        running.add_done_callback(lambda done: self._end(loop, taken, done))

    def _end(self, loop: asyncio.AbstractEventLoop, taken: Sequence[_Asked], done: asyncio.Future[list[Any]]) -> None:
        self._is_running = False
        _settle(taken, done.result())
        self._begin(loop)

    def _take(self) -> list[_Asked]:
        """Return the requests of the next run: the first ones, as far as their rows fit, and one if there is any."""
        self._waiting = [one for one in self._waiting if not one.future.done()]  # who asked the others has gone
        rows = taken = 0
        for one in self._waiting:
            rows += one.count
            if taken and self.is_bulk(rows):
                break
            taken += 1
        first, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return first

    def _predict(self, taken: Sequence[_Asked]) -> list[Joined | Exception]:
        """Return what each request gets. Where a joined run fails, each runs alone, and only the culprit fails."""
        try:
            if len(taken) == 1:
                return [Joined(self._model.run(taken[0].columns), None, taken[0].count)]
            columns = {name: np.concatenate([one.columns[name] for one in taken]) for name in self._reads}
            predicted = self._model.run(columns)
        except Exception as error:  # whatever it is, it is the request's answer and not the loop's end
            return [error] if len(taken) == 1 else [one for asked in taken for one in self._predict([asked])]
        ends = np.cumsum([one.count for one in taken]).tolist()
        places = [slice(end - one.count, end) for one, end in zip(taken, ends, strict=True)]
        return [Joined(predicted, place, ends[-1]) for place in places]


def _settle(taken: Sequence[_Asked], found: Sequence[Joined | Exception]) -> None:
    for one, result in zip(taken, found, strict=True):
        if one.future.done():  # who asked has gone
            continue
        if isinstance(result, Exception):
            one.future.set_exception(result)
        else:
            one.future.set_result(result)


def usual_rows(signature: Signature, count: int) -> dict[str, Array]:
    """Return rows of usual values, as `Model.run` takes them."""
    made: dict[str, Array] = {}
    for one in signature.inputs:
        if one.kind is Kind.IMAGE:
            made[one.name] = np.zeros((count, *one.shape), np.float32)
        elif one.kind is Kind.NUMBER:
            made[one.name] = np.full(count, np.nan if one.example is None else one.example, np.float32)
        else:
            made[one.name] = np.full(count, one.example or "", object)
    return made


def _probe(model: Model, count: int) -> float:
    rows = usual_rows(model.signature, count)
    taken_s = []
    for _ in range(5):
        start = perf_counter()
        model.run(rows)
        taken_s.append(perf_counter() - start)
    return min(taken_s)
