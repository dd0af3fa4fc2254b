"""The queue of a cluster: the actor on its head by which the sweeps there share it, and a sweep's `Place` in it.

The queue keeps nothing but what each sweep said last, and each says it again every second: one that is restarted knows
everything a second later, and one that says nothing for `LEASE_S` is gone. What travels is plain JSON, so that sweeps
of different versions of ours can share a cluster.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from search.study.shares import NONE_YET, Bid, Grant, Sizes, grants
from search.tuner import cluster
from search.tuner.unused import UNUSED_S, end_once

NAME: Final = "sweep-queue"

EVERY_S: Final = 1.0
"""How often a sweep says what it holds and wants."""

LEASE_S: Final = 10.0
"""How long a sweep that says nothing is still reckoned with: its driver may be busy, or gone."""

_PATIENCE_S: Final = 5.0
"""How long an actor may take to answer."""

_FREE: Final = Grant(trials=10**6)
"""Of a sweep that has never reached the queue: it goes by its own capacity."""


class Queue:
    """Who runs on this cluster, and what each may do; plain, so that an actor can be made of it.

    Args:
        nodes: Returns what each node has; the cluster's own where none is given.
        clock: Monotonic seconds.
    """

    def __init__(
        self, nodes: Callable[[], list[Sizes]] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look, self._clock = nodes or _nodes, clock
        self._bids: dict[str, tuple[Bid, float]] = {}
        self._told_s = clock()
        if nodes is None:
            end_once(self.is_unused)

    def is_unused(self) -> bool:
        """Tell whether no sweep has said anything for long."""
        return self._clock() - self._told_s > UNUSED_S

    def tell(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Take in what a sweep asks for, and say what it may do; both as JSON."""
        bid, now = Bid.from_json(said), self._clock()
        self._told_s = now
        self._bids[bid.sweep] = (bid, now)
        self._bids = {sweep: one for sweep, one in self._bids.items() if now - one[1] < LEASE_S}
        return grants(self._look(), [one for one, _ in self._bids.values()])[bid.sweep].to_json()

    def is_wanted(self, sweep: str) -> bool:
        """Tell whether another sweep waits that could run trials where there is no GPU."""
        others = (bid for bid, _ in self._bids.values() if bid.sweep != sweep)
        return any(bid.want > bid.held and not bid.asks[1] for bid in others)

    def leave(self, sweep: str) -> None:
        """Forget a sweep that has ended."""
        self._bids.pop(sweep, None)


def _nodes() -> list[Sizes]:
    """Return the CPUs, GPUs and memory of each node that is there."""
    import ray

    found = sorted((node["NodeID"], node["Resources"]) for node in ray.nodes() if node["Alive"])
    return [tuple(have.get(name, 0.0) for name in ("CPU", "GPU", "memory")) for _, have in found]


@contextmanager
def in_line(study: Any, *, queues: bool, heed: Callable[[bool], None] | None = None) -> Iterator[None]:
    """Have a sweep share its cluster with others while inside.

    Args:
        study: Handle of the study actor.
        queues: Whether it does; a sweep on a Ray of its own does not.
        heed: As in `Place`.
    """
    if not queues:
        yield
        return
    place = Place(study, uuid.uuid4().hex, heed)
    place.start()
    try:
        yield
    finally:
        place.finish()


class Place(threading.Thread):
    """A thread of the driver that tells the queue what the study wants, and the study what it may do.

    Where the queue does not answer the sweep goes on with what it was last granted.

    Args:
        study: Handle of the study actor.
        run: Id of this run of the sweep.
        heed: Hears each time whether the sweep may hold CPUs beside its trials: it may run some, and nobody waits.
    """

    def __init__(self, study: Any, run: str, heed: Callable[[bool], None] | None = None) -> None:
        super().__init__(name="sweep-place", daemon=True)
        self._study, self._run, self._heed = study, run, heed
        self._since = time.time()
        self._queue: Any = None
        self._granted = NONE_YET
        self._over = threading.Event()

    def run(self) -> None:
        while True:
            self._turn()
            if self._over.wait(EVERY_S):
                return

    def finish(self) -> None:
        """Leave the queue, so that others need not wait for the lease to run out."""
        self._over.set()
        self.join()
        if self._queue is not None:
            import ray

            with suppress(ray.exceptions.RayError):
                ray.get(self._queue.leave.remote(self._run), timeout=_PATIENCE_S)

    def _turn(self) -> None:
        import ray

        try:
            bid: Bid | None = ray.get(self._study.bid.remote(self._run, self._since), timeout=_PATIENCE_S)
        except ray.exceptions.RayError:  # the study restarts, or Ray goes down
            return
        if bid is None:
            return
        self._granted = self._ask(bid)
        self._study.allow.remote(self._granted)
        if self._heed is not None:
            self._heed(self._granted.trials > 0 and not self._is_wanted())

    def _is_wanted(self) -> bool:
        """Tell whether another sweep waits for CPUs; where that cannot be told, one may."""
        import ray

        if self._queue is None:
            return True
        try:
            return bool(ray.get(self._queue.is_wanted.remote(self._run), timeout=_PATIENCE_S))
        except (ray.exceptions.RayError, AttributeError):  # gone, or of a version before there was such a question
            return True

    def _ask(self, bid: Bid) -> Grant:
        import ray

        try:
            if self._queue is None:
                self._queue = _the_queue()
            return Grant.from_json(ray.get(self._queue.tell.remote(bid.to_json()), timeout=_PATIENCE_S))
        except (ray.exceptions.RayError, ValueError, TypeError, KeyError):  # gone, or of another version of ours
            self._queue = None
            return _FREE if self._granted is NONE_YET else self._granted


def _the_queue() -> Any:
    import ray

    return (
        ray.remote(Queue)
        .options(
            name=NAME,
            namespace=cluster.NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            resources={"node:__internal_head__": 0.001},
            max_restarts=-1,
        )
        .remote()
    )
