"""How the sweeps of one cluster share it: from what each asks for (`Bid`) to how many trials it may hold (`Grant`).

Values in, values out: nothing here knows a cluster. Higher priorities come first and take all that they can use. Within
a priority the shares are max-min fair in the dominant resource (Ghodsi et al., "Dominant Resource Fairness", NSDI
2011): the next trial goes to the sweep whose largest fraction of any one resource is least, for as long as it can use
one more and some node has room for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

Sizes = tuple[float, ...]
"""Amounts of each resource, always in the same order: CPUs, GPUs, bytes of memory."""

UNLIMITED: Final = 1_000_000
"""Trials of a sweep that could use as many as fit."""

_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Bid:
    """What one running sweep asks for.

    Attributes:
        study: Its name.
        sweep: Unique to this run of it.
        since: Unix seconds at which that run began; who came first is served first among equals.
        priority: Higher ones come first.
        asks: What one trial takes.
        want: How many trials it could hold now.
        held: How many it does.
        left_s: Seconds until its budget is used up, as far as that can be told.
        trial_s: Seconds of a trial, as far as that can be told.
    """

    study: str
    sweep: str
    since: float
    priority: int
    asks: Sizes
    want: int
    held: int
    left_s: float | None = None
    trial_s: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "asks": list(self.asks)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Bid:
        return cls(**{**values, "asks": tuple(values["asks"])})


@dataclass(frozen=True, slots=True)
class Grant:
    """What one sweep may do.

    Attributes:
        trials: How many it may hold: it begins none beyond that.
        keep: How many it may keep of those that it holds; None for all.
        queued: Whom it waits for, if it holds none and may begin none; else "".
    """

    trials: int
    keep: int | None = None
    queued: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Grant:
        return cls(**values)


NONE_YET: Final = Grant(trials=0)
"""Of a sweep that has not heard from the queue."""


class Room:
    """What is free on the nodes of a cluster.

    Args:
        nodes: What each has.
    """

    def __init__(self, nodes: Iterable[Sizes]) -> None:
        self._free = [[*node] for node in nodes]

    def place(self, asks: Sizes) -> bool:
        """Take the room of one trial, on the node where it leaves least; tell whether there was any.

        Rare resources weigh most: a trial without GPUs goes where there are none, if that can be.
        """
        fitting = [free for free in self._free if _fits(free, asks)]
        if not fitting:
            return False
        best = min(fitting, key=lambda free: (free[1:2], free))
        for index, size in enumerate(asks):
            best[index] -= size
        return True

    def place_many(self, asks: Sizes, count: int) -> int:
        """Take the room of up to so many trials; return of how many there was some."""
        placed = 0
        while placed < count and self.place(asks):
            placed += 1
        return placed


def _fits(free: Sequence[float], asks: Sizes) -> bool:
    return all(size <= have * (1 + _ROUNDING) + _ROUNDING for have, size in zip(free, asks, strict=True) if size)


def shares(nodes: Sequence[Sizes], bids: Sequence[Bid]) -> dict[str, int]:
    """Return how many trials each sweep is due, by its id; what it holds now plays no part.

    Args:
        nodes: What each node has.
        bids: One of each sweep.
    """
    due: dict[str, int] = {}
    room, total = Room(nodes), _total(nodes)
    for peers in _classes(bids):
        due |= _fair(room, total, peers, dict.fromkeys((bid.sweep for bid in peers), 0))
    return due


def grants(nodes: Sequence[Sizes], bids: Sequence[Bid]) -> dict[str, Grant]:
    """Return what each sweep may do, by its id, given what all of them hold now.

    A sweep below its share may begin trials as far as there is room beside what is held. One above its share begins
    none, and keeps what it has, unless sweeps of higher priority are due that room.
    """
    due, total, room = shares(nodes, bids), _total(nodes), Room(nodes)
    for bid in sorted(bids, key=lambda bid: (-_dominant(bid.asks, total), bid.since, bid.sweep)):
        room.place_many(bid.asks, bid.held)
    may = {bid.sweep: min(bid.held, due[bid.sweep]) for bid in bids}
    for peers in _classes(bids):
        wanting = [replace(bid, want=due[bid.sweep]) for bid in peers if bid.held < due[bid.sweep]]
        may |= _fair(room, total, wanting, {bid.sweep: bid.held for bid in wanting})
    keep = _kept(nodes, bids, due)
    return {
        bid.sweep: Grant(
            may[bid.sweep],
            keep[bid.sweep],
            _queued(nodes, bids, bid, keep) if bid.want and not bid.held and not may[bid.sweep] else "",
        )
        for bid in bids
    }


def _total(nodes: Sequence[Sizes]) -> Sizes:
    return tuple(map(sum, zip(*nodes, strict=True)))


def _classes(bids: Sequence[Bid]) -> list[list[Bid]]:
    """Return the bids by priority, the highest first; in each, who came first."""
    ordered = sorted(bids, key=lambda bid: (-bid.priority, bid.since, bid.sweep))
    found: dict[int, list[Bid]] = {}
    for bid in ordered:
        found.setdefault(bid.priority, []).append(bid)
    return [*found.values()]


def _fair(room: Room, total: Sizes, peers: Sequence[Bid], held: Mapping[str, int]) -> dict[str, int]:
    """Share out room among sweeps of one priority, a trial at a time, and return how many each has then.

    Args:
        room: What is free; taken from.
        total: Of the whole cluster, which shares are fractions of.
        peers: Who came first stands first.
        held: Where each begins.
    """
    have = dict(held)
    open_ = [bid for bid in peers if have[bid.sweep] < bid.want]
    part = {bid.sweep: _dominant(bid.asks, total) for bid in open_}
    while open_:
        poorest = min(open_, key=lambda bid: round((have[bid.sweep] + 1) * part[bid.sweep], 9))
        if not room.place(poorest.asks):
            open_.remove(poorest)
            continue
        have[poorest.sweep] += 1
        if have[poorest.sweep] >= poorest.want:
            open_.remove(poorest)
    return have


def _dominant(asks: Sizes, total: Sizes) -> float:
    """Return the largest fraction of any one resource that a trial takes."""
    return max((size / whole for size, whole in zip(asks, total, strict=False) if size and whole), default=0.0)


def _kept(nodes: Sequence[Sizes], bids: Sequence[Bid], due: Mapping[str, int]) -> dict[str, int | None]:
    """Return how many of its trials each sweep may keep beside what those of higher priority are due; None for all."""
    keep: dict[str, int | None] = {}
    above: list[Bid] = []
    for peers in _classes(bids):
        room, total = Room(nodes), _total(nodes)
        for bid in above:
            room.place_many(bid.asks, due[bid.sweep])
        holding = [replace(bid, want=bid.held) for bid in peers]
        fitting = _fair(room, total, holding, dict.fromkeys((bid.sweep for bid in peers), 0))
        for bid in peers:
            kept = max(fitting[bid.sweep], min(bid.held, due[bid.sweep]))  # several sizes do not always pack alike
            keep[bid.sweep] = None if not above or kept >= bid.held else kept
        above += peers
    return keep


# --- in words ---


def _queued(nodes: Sequence[Sizes], bids: Sequence[Bid], mine: Bid, keep: Mapping[str, int | None]) -> str:
    """Say whom a sweep waits for, how many wait before it, and how long that may take."""
    order = [bid for peers in _classes(bids) for bid in peers]
    pausing = [bid.study for bid in order if bid.priority < mine.priority and keep[bid.sweep] is not None]
    if pausing:
        return f"trials of {', '.join(pausing)} are pausing for it"
    waiting = [bid for bid in order if bid.want and not bid.held]
    ahead = [bid for bid in order[: order.index(mine)] if bid.want or bid.held]
    holders = [bid for bid in ahead if bid.held] or [bid for bid in order if bid.held] or ahead
    if not holders:
        return "no node has room for a trial now"
    first = max(holders, key=lambda bid: (bid.priority, bid.held))
    who = f"behind {first.study}" + (f" (priority {first.priority})" if first.priority else "")
    place = f", {_ordinal(waiting.index(mine) + 1)} in line" if mine in waiting else ""
    wait_s = _wait_s(nodes, bids, mine)
    return f"{who}{place}" + ("" if wait_s is None else f", about {_minutes(wait_s)}")


def _wait_s(nodes: Sequence[Sizes], bids: Sequence[Bid], mine: Bid) -> float | None:
    """Estimate when a sweep gets its first trial: at another's next one's end, or when enough others are through."""
    left = [*bids]
    if shares(nodes, left)[mine.sweep]:
        times = [bid.trial_s / bid.held for bid in bids if bid.held and bid.trial_s is not None]
        return min(times, default=None)
    others = [bid for bid in bids if bid.left_s is not None and bid is not mine]
    for bid in sorted(others, key=lambda bid: bid.left_s or 0.0):
        left.remove(bid)
        if shares(nodes, left)[mine.sweep]:
            return bid.left_s
    return None


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return "1 min"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{round(minutes / 60)} h"


def _ordinal(number: int) -> str:
    last = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{last}"
