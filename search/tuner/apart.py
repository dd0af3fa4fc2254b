"""Slow suggestions, drawn apart from the study actor so that verdicts never wait for them: the `Drawer` actor.

Whoever asks is sent here by the study actor. The drawer asks the study what to draw, draws it on a replica of the
study, brings it, and passes the answer on. It takes one ask at a time, since each suggestion builds on the one before.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.contract import Space
from search.paths import StudyFolder
from search.study.drawing import Draw, Replica
from search.trial import Asked
from search.tuner.orders import Orders
from search.tuner.spaces import space_as_ordered

RESTARTS: Final = 3
"""How often a drawer that died is started again; then the study draws by itself."""

TRIES: Final = 16
"""Draws for one ask; then the study draws by itself: something changes it faster than suggestions can be drawn."""


class Drawer:
    """Draws the suggestions of one study.

    Args:
        study: Name of the study actor.
        orders: Which that one has.
    """

    def __init__(self, study: str, orders: Orders) -> None:
        self._study = ray.get_actor(study)
        self._replica = Replica(orders.plan, StudyFolder(orders.folder).journal, space_to_draw_from(orders))

    def is_ready(self) -> bool:
        return True

    def ask(self, request: str) -> Asked:
        """Ask the study, and draw what it wants drawn; the answer is the study's."""
        drawn = None
        for _ in range(TRIES):
            answer: Asked | Draw = ray.get(self._study.ask_with.remote(request, drawn))
            if isinstance(answer, Asked):
                return answer
            drawn = answer, self._replica.draw(answer)
        asked: Asked = ray.get(self._study.ask.remote(request, True))
        return asked


def space_to_draw_from(orders: Orders) -> Space:
    """Load the space that the study has, or none: it may have been read long before, and its file may be another now.

    Raises:
        InputError: As `space_as_ordered`, like RefusedError: where changes are accepted, too.
    """
    return space_as_ordered(replace(orders, accept_changes=False))


class Apart:
    """The drawer as its study actor sees it: started when the first suggestion is slow, asked once it is there.

    Args:
        make: Returns a new actor under a name.
    """

    def __init__(self, make: Callable[[str], Any]) -> None:
        self._make = make
        self._name = ""
        self._actor: Any = None  # which lives as long as it is referred to
        self._opened: Any = None

    @property
    def name(self) -> str:
        """The name of the drawer if it can be asked now; else "", and it is started if it has not been."""
        if self._actor is None:
            self._name = f"draws-{uuid.uuid4().hex}"
            self._actor = self._make(self._name)
            self._opened = self._actor.is_ready.remote()
        if self._opened is not None and ray.wait([self._opened], timeout=0)[0]:
            try:
                ray.get(self._opened)
            except ray.exceptions.RayError:  # it does not open the study: the study draws by itself
                return ""
            self._opened = None
        return self._name if self._opened is None else ""


def apart(orders: Orders) -> Apart | None:
    """Return the drawer of the study whose actor this is, to be started when it is needed; None where none can draw."""
    if not ray.is_initialized() or orders.brought:  # what no file holds stays in this process
        return None
    context = ray.get_runtime_context()
    study = context.get_actor_name()
    here = NodeAffinitySchedulingStrategy(context.get_node_id(), soft=False)
    # an ask is not repeated: what kills the drawer may do so again, and the study answers instead
    options = {"num_cpus": 0, "max_restarts": RESTARTS, "max_task_retries": 0, "scheduling_strategy": here}

    def make(name: str) -> Any:
        return ray.remote(Drawer).options(name=name, **options).remote(study, orders)

    return Apart(make)


def ask(study: Any, request: str, call: Callable[..., Any]) -> Asked:
    """Ask a study for a trial, or the drawer that it names.

    Args:
        study: Handle of the study actor.
        request: Of the ask.
        call: Calls a method of an actor and waits.
    """
    asked: Asked = call(study.ask, request)
    if not asked.apart:
        return asked
    try:
        asked = ray.get(ray.get_actor(asked.apart).ask.remote(request))
    except (ValueError, ray.exceptions.RayError):  # it has gone, or cannot draw
        asked = call(study.ask, request, True)
    return asked
