"""What becomes of a cluster's machines while a study runs: `Nodes`, kept in the study for all who read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from search.status import LostNode
from search.study import attributes
from search.study.held import Hands, Held


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
        hands: The trials that have not ended.
        store: Has the study keep an attribute.
        stored: As `attributes.lost_nodes` gives it.

    Attributes:
        known: The machines that are there, as far as anybody said.
        step_kept: Tells from which step a trial can go on; a trial has no checkpoint where nobody knows.
    """

    hands: Hands
    store: Callable[[str, Any], None]
    stored: Sequence[Mapping[str, Any]] = ()
    known: Members = field(default_factory=lambda: Members({}))
    step_kept: Callable[[int], int] = lambda _: 0
    _left: dict[str, LostNode] = field(default_factory=dict)
    _warned: frozenset[str] = frozenset()
    _changed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._left = {one["node"]: LostNode.from_json(one) for one in self.stored}

    @property
    def left(self) -> tuple[LostNode, ...]:
        """Machines that trials had to leave, in order."""
        return tuple(self._left.values())

    def is_leaving(self, node: str) -> bool:
        """Tell whether a machine is about to be taken away."""
        return node in self.known.leaving

    def of(self, number: int) -> str:
        """Return where a trial is being run, "" if nobody runs it."""
        held = self.hands.get(number)
        return held.node if held is not None and held.began is not None else ""

    def hear(self, members: Members) -> None:
        """Take in who is there now."""
        before, self.known = self.known, members
        self._warned |= members.leaving
        for node in before.alive.keys() - members.alive.keys():
            self._went(node, before.alive[node])
        for held in self.hands.running:
            if held.began is not None and held.node and held.node not in members.alive:
                self._left_by(held)
        self._keep()

    def take_from(self, held: Held) -> None:
        """Note that a trial has to leave the machine that it runs on."""
        self._left_by(held)
        self._keep()

    def lose_of(self, number: int) -> None:
        """Note, before a trial begins again, that the machine is gone that it ran on."""
        held = self.hands.get(number)
        if held is not None and held.began is not None:
            self.take_from(held)

    def _left_by(self, held: Held) -> None:
        node, number = held.node, held.spec.number
        self._went(node, held.worker.partition(":")[0] or node)
        at, trials = self._left[node], self._left[node].trials
        if number not in trials:
            step = held.step if held.paused else min(held.step, self.step_kept(number))
            self._left[node] = replace(at, trials={**trials, number: step})
            self._changed.add(node)

    def _went(self, node: str, address: str) -> None:
        if node not in self._left:
            self._left[node] = LostNode(address, leaving=node in self._warned)
            self._changed.add(node)

    def _keep(self) -> None:
        """Have the study keep what has changed, an attribute for each machine."""
        changed, self._changed = self._changed, set()
        for place, (node, one) in enumerate(self._left.items() if changed else ()):
            if node in changed:
                self.store(attributes.node_key(place), {"node": node, **one.to_json()})
