"""Which trial ran beside which: trials packed into the `Lanes` of their machines, as worker processes come and go."""

from __future__ import annotations

import heapq
import re
from typing import Final, NamedTuple

import numpy as np

from search.records.history import Floats, History, Ints

_ROUNDED_S: Final = 0.02
"""By how much two trials of one worker may seem to overlap: the times are noted by two calls."""


class Lanes(NamedTuple):
    """Trials on their lanes: those of one lane ran one after the other.

    Attributes:
        names: Of each lane: its machine and its GPU, if any, with a count where several share them.
        trial: Numbers of the trials that ran, by when they began; one that was let go of and taken on again is there
            each time.
        lane: Of each.
        begin_s: Second of the study's life at which that attempt began.
        end_s: At which it ended; of a running one the study's last second.
        life_s: Seconds that the study was run.
        unknown: Trials that began, and nobody knows until when they ran: paused ones whose worker told nothing.
    """

    names: tuple[str, ...]
    trial: Ints
    lane: Ints
    begin_s: Floats
    end_s: Floats
    life_s: float
    unknown: int

    @property
    def busy_s(self) -> float:
        """Seconds of all lanes in which a trial ran."""
        return float((self.end_s - self.begin_s).sum())

    @property
    def idle_s(self) -> float:
        """Seconds of all lanes in which none did."""
        return max(0.0, self.life_s * len(self.names) - self.busy_s)

    @property
    def idle_at_end_s(self) -> float:
        """Seconds of all lanes after their last trial."""
        last = np.zeros(len(self.names))
        np.maximum.at(last, self.lane, self.end_s)
        return float(np.maximum(self.life_s - last, 0).sum())


def lanes_of(history: History) -> Lanes:
    """Pack the trials of a study: each goes to the first lane of its machine, and of its GPU, that is free."""
    spans = history.spans
    spans = spans.only(np.argsort(spans.begin_s, kind="stable"))
    trial, begin, end = spans.trial, spans.begin_s, spans.end_s
    begun = np.isfinite(history.begun_s) & (history.same_as < 0) & (history.worker >= 0)
    places = [_place(name) for name in history.workers]
    free: dict[str, list[tuple[float, int]]] = {}
    names: list[str] = []
    lane = np.zeros(len(trial), np.int64)
    of = spans.worker.tolist()
    for index, (worker, start, stop) in enumerate(zip(of, begin.tolist(), end.tolist(), strict=True)):
        waiting = free.setdefault(places[worker], [])
        if waiting and waiting[0][0] <= start + _ROUNDED_S:
            _, found = heapq.heappop(waiting)
        else:
            found = len(names)
            names.append(places[worker])
        heapq.heappush(waiting, (stop, found))
        lane[index] = found
    order = sorted(range(len(names)), key=lambda one: (_natural(names[one]), one))
    ranks = np.zeros(len(names), np.int64)
    ranks[order] = np.arange(len(names))
    return Lanes(
        names=_counted([names[one] for one in order]),
        trial=trial,
        lane=ranks[lane],
        begin_s=begin,
        end_s=end,
        life_s=max([history.status.seconds, *end.tolist()], default=0.0),
        unknown=int((begun & ~np.isin(np.arange(len(history)), trial)).sum()),
    )


def _place(worker: str) -> str:
    """Return a worker's machine and GPU: its name without the process."""
    address, _, rest = worker.partition(" ")
    return f"{address.rpartition(':')[0] or address} {rest}".strip()


def _natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts 10.0.0.9 before 10.0.0.10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _counted(names: list[str]) -> tuple[str, ...]:
    """Return names, those that several lanes have with a count behind."""
    seen: dict[str, int] = {}
    made = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        made.append(f"{name} · {seen[name]}" if names.count(name) > 1 else name)
    return tuple(made)
