"""Where rows are prepared on machines without a GPU while trials train on the others: the `Preparers` of one sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from search.plan import SweepPlan
from search.study.aheads import PREFIX
from search.tuner.capacity import room

STARTS: Final = 3
"""How often a preparer is started in one place; then something there ends it again and again."""


class Preparers:
    """Starts a `Preparer` wherever there can be one, and another where it was lost, and who reads its rows for others.

    Args:
        study: Handle of the study actor.
        names: Of the sweep's actors, by which workers find them.
        plan: What a trial asks.
    """

    def __init__(self, study: Any, names: Mapping[str, str], plan: SweepPlan) -> None:
        self._study, self._names, self._plan = study, names, plan
        self._working: dict[str, tuple[Any, Any]] = {}  # the actor, and what its `run` is to return
        self._started: Counter[str] = Counter()
        self._readers: dict[str, Any] = {}

    def look(self, nodes: Mapping[str, Mapping[str, float]], slots: int) -> None:
        """Have preparers wherever one can be, but no more than trials that run at once.

        Args:
            nodes: Resources of each machine, by its id.
            slots: How many trials fit on all machines.
        """
        import ray

        for name, (actor, run) in [*self._working.items()]:
            if ray.wait([run], timeout=0)[0]:
                del self._working[name]
                self._take_leave(name, actor, run)
        left = min(slots, self._plan.concurrency or slots) - len(self._working)
        for name, node in places(nodes, self._plan):
            if left < 1:
                return
            if name not in self._working and self._started[name] < STARTS:
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
            self._readers[node] = reads.remote()
            directory = ray.get_actor(self._names["directory"], namespace=self._names["namespace"])
            directory.lend.remote(node, self._readers[node])
        memory = {"memory": self._plan.memory_bytes} if self._plan.memory_bytes is not None else {}
        options = {"num_cpus": self._plan.cpus, "num_gpus": 0, "max_restarts": 0, **memory}
        actor = ray.remote(Preparer).options(scheduling_strategy=there, **options).remote(name, self._names)
        self._working[name] = actor, actor.run.remote()
        self._started[name] += 1

    def _take_leave(self, name: str, actor: Any, run: Any) -> None:
        """Let go of a preparer that has ended; one that was lost leaves a trial behind, and may be started again."""
        import ray

        try:
            ray.get(run)
            self._started[name] = STARTS
        except ray.exceptions.RayTaskError:  # it would come again
            self._started[name] = STARTS
        except ray.exceptions.RayError:
            self._study.release.remote(name)
        ray.kill(actor)  # or it keeps its CPUs


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
