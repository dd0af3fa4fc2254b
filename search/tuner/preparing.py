"""Where rows are prepared on machines without a GPU while trials train on the others: the `Preparers` of one sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from search.plan import SweepPlan
from search.study.aheads import PREFIX
from search.tuner.capacity import room

STARTS: Final = 3
"""How often in a row a preparer is started in one place and lost; then something there ends it again and again."""


class Preparers:
    """Starts a `Preparer` wherever there can be one, and another where it was lost, and who reads its rows for others.

    Args:
        study: Handle of the study actor.
        names: Of the sweep's actors, by which workers find them.
        plan: What a trial asks.
    """

    def __init__(self, study: Any, names: Mapping[str, str], plan: SweepPlan) -> None:
        self._study, self._names, self._plan = study, names, plan
        self._working: dict[str, tuple[Any, Any]] = {}  # the actor, and what its `run` yields
        self._lost: Counter[str] = Counter()  # by place, since one there last prepared a trial
        self._readers: dict[str, Any] = {}
        self._may = False

    def allow(self, may: bool) -> None:
        """Say whether CPUs may be held for preparing: the queue of the cluster does not reckon with them."""
        self._may = may

    def look(self, nodes: Mapping[str, Mapping[str, float]], slots: int) -> None:
        """Have preparers wherever one can be, but no more than trials that run at once; none while they may not be.

        Args:
            nodes: Resources of each machine, by its id.
            slots: How many trials fit on all machines.
        """
        import ray

        for name, (actor, run) in [*self._working.items()]:
            if not self._may or self._has_ended(name, run):
                del self._working[name]
                ray.kill(actor)  # or it keeps its CPUs
                self._study.release.remote(name)
        if not self._may:
            return
        left = min(slots, self._plan.concurrency or slots) - len(self._working)
        for name, node in places(nodes, self._plan):
            if left < 1:
                return
            if name not in self._working and self._lost[name] < STARTS:
                self._start(name, node)
                left -= 1

    def end(self) -> None:
        """End all of them."""
        import ray

        for actor in (*self._readers.values(), *(actor for actor, _ in self._working.values())):
            ray.kill(actor)

    def _start(self, name: str, node: str) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from search.tuner.preparer import Preparer
        from search.tuner.shelves import Reader

        there = NodeAffinitySchedulingStrategy(node, soft=False)
        if node not in self._readers:
            reads = ray.remote(Reader).options(scheduling_strategy=there, num_cpus=0, max_restarts=-1)
            directory = ray.get_actor(self._names["directory"], namespace=self._names["namespace"])
            reader = reads.remote()
            directory.lend.remote(node, reader)
            self._readers[node] = reader
        memory = {"memory": self._plan.memory_bytes} if self._plan.memory_bytes is not None else {}
        options = {"num_cpus": self._plan.cpus, "num_gpus": 0, "max_restarts": 0, **memory}
        actor = ray.remote(Preparer).options(scheduling_strategy=there, **options).remote(name, self._names)
        self._working[name] = actor, actor.run.options(num_returns="streaming").remote()

    def _has_ended(self, name: str, run: Any) -> bool:
        """Hear what a preparer has done; one that was lost may be started again."""
        import ray

        try:
            while ray.wait([run], timeout=0)[0]:
                ray.get(next(run))
                self._lost[name] = 0
        except (StopIteration, ray.exceptions.RayTaskError):  # it has nothing to do, or would fail again
            self._lost[name] = STARTS
        except ray.exceptions.RayError:
            self._lost[name] += 1
        else:
            return False
        return True


def preparers(study: Any, names: Mapping[str, str], plan: SweepPlan) -> Preparers | None:
    """Return the preparers of a sweep; None where nobody's GPU would wait for rows, or none are kept."""
    waits, keeps = plan.gpus > 0 or plan.pack, plan.cache_bytes != 0 and not plan.by_hand
    return Preparers(study, names, plan) if plan.address is not None and waits and keeps else None


def places(nodes: Mapping[str, Mapping[str, float]], plan: SweepPlan) -> Iterator[tuple[str, str]]:
    """Yield where preparers can be, each with a name of its own: one on every machine before another one on any.

    Args:
        nodes: Resources of each machine, by its id.
        plan: What a trial asks.
    """
    without = {node: have for node, have in sorted(nodes.items()) if not have.get("GPU")}
    rooms = {node: room([have], plan.cpus, 0.0, plan.memory_bytes) for node, have in without.items()}
    for place in range(max(rooms.values(), default=0)):
        yield from ((f"{PREFIX}{node}-{place}", node) for node, size in rooms.items() if place < size)
