"""Which machines a cluster has while a sweep runs: who came, who is about to go, who is gone; the `Membership`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from search.plan import SweepPlan
from search.study.nodes import Members
from search.study.packing import LEAST
from search.tuner.capacity import room
from search.tuner.preparing import Preparers


class Membership:
    """Looks who is there, and tells the study.

    Args:
        study: Handle of the study actor.
        plan: What a trial asks.
        preparers: Of the sweep, who are started where they can be; None where there are to be none.
    """

    def __init__(self, study: Any, plan: SweepPlan, preparers: Preparers | None = None) -> None:
        self._study, self._plan, self._preparers = study, plan, preparers

    def look(self) -> None:
        """Tell the study which machines there are now; each time, since one that restarted knows none."""
        import ray

        try:
            nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
            leaving = _leaving() & nodes.keys()
        except (ray.exceptions.RayError, RuntimeError, OSError):  # the head is out of reach: that is others' to judge
            return
        rest = {name: node["Resources"] for name, node in nodes.items() if name not in leaving}
        plan = self._plan
        slots = room(rest.values(), plan.cpus, LEAST if plan.pack else plan.gpus, plan.memory_bytes)
        self._study.hear_of.remote(
            Members(
                alive={name: node["NodeManagerAddress"] for name, node in nodes.items()},
                leaving=leaving,
                slots=slots,
                gpus=sum(one.get("GPU", 0.0) for one in rest.values()),
            )
        )
        if self._preparers is not None:
            with suppress(ray.exceptions.RayError, ValueError):  # ValueError: the directory has no name just now
                self._preparers.look(rest, slots)


def _leaving() -> frozenset[str]:
    """Return the machines that Ray drains: they had a notice that they will be taken away."""
    import ray

    ask = getattr(ray._private.state.state, "get_draining_nodes", None)  # private, as Ray Train uses it
    return frozenset(ask()) if ask is not None else frozenset()
