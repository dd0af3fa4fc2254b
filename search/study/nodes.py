"""What becomes of a cluster's machines while a study runs: `Nodes`, kept in the study for all who read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from search.status import LostNode
from search.study.held import Held


@dataclass(frozen=True, slots=True)
class Members:
    """The machines of a cluster at one moment.

    Attributes:
        alive: Address of each, by its id.
        leaving: Ids of those that are about to be taken away.
        slots: How many trials fit on the others at once.
        gpus: That the others have.
    """

    alive: Mapping[str, str]
    leaving: frozenset[str] = frozenset()
    slots: int = 0
    gpus: float = 0.0


@dataclass(slots=True)
class Nodes:
    """Machines that trials run on, and those that trials had to leave.

    Args:
        stored: As `to_json` gave it.

    Attributes:
        known: The machines that are there, as far as anybody said.
        step_kept: Tells from which step a trial can go on; a trial has no checkpoint where nobody knows.
    """

    stored: Sequence[Mapping[str, Any]] = ()
    known: Members = field(default_factory=lambda: Members({}))
    step_kept: Callable[[int], int] = lambda _: 0
    _left: dict[str, LostNode] = field(default_factory=dict)
    _warned: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._left = {one["node"]: LostNode.from_json(one) for one in self.stored}

    @property
    def left(self) -> tuple[LostNode, ...]:
        """Machines that trials had to leave, in order."""
        return tuple(self._left.values())

    def is_leaving(self, node: str) -> bool:
        """Tell whether a machine is about to be taken away."""
        return node in self.known.leaving

    def hear(self, members: Members, running: Iterable[Held]) -> bool:
        """Take in who is there now; tell whether anybody went.

        Args:
            members: Now.
            running: Trials, some of them on no machine yet.
        """
        before, self.known = self.known, members
        was = self.left
        self._warned |= members.leaving
        for node in before.alive.keys() - members.alive.keys():
            self._went(node, before.alive[node])
        for held in running:
            if held.began is not None and held.node and held.node not in members.alive:
                self.take_from(held)
        return was != self.left

    def take_from(self, held: Held) -> None:
        """Note that a trial has to leave the machine that it runs on."""
        node, number = held.node, held.spec.number
        self._went(node, held.worker.partition(":")[0] or node)
        at, trials = self._left[node], self._left[node].trials
        if number not in trials:
            step = held.step if held.paused else min(held.step, self.step_kept(number))
            self._left[node] = replace(at, trials={**trials, number: step})

    def to_json(self) -> list[dict[str, Any]]:
        """Return what the study keeps."""
        return [{"node": node, **one.to_json()} for node, one in self._left.items()]

    def _went(self, node: str, address: str) -> None:
        self._left.setdefault(node, LostNode(address, leaving=node in self._warned))
