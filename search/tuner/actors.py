"""The actors of a sweep on this node, which its workers find by their names: of the study, its files, and the rows."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from search.errors import SweepError
from search.launch import Launch
from search.study.runs import Run
from search.tuner import carried, unseen, watchdog
from search.tuner.keeping import freeze, tell
from search.tuner.orders import Orders
from search.tuner.shipping import Shipment

_OPTIONS: Final = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
"""Of an actor: no CPU of its own, restarted and retried without limit."""


@contextmanager
def study_actors(
    launch: Launch,
    slots: int,
    capacity: int | None = None,
    shipment: Shipment | None = None,
    *,
    gpus: float | None = None,
    queues: bool = False,
) -> Iterator[tuple[Any, dict[str, str]]]:
    """Have the study's actor and the one for its files on this node; see that the study opened.

    Yields:
        The study actor, and the names under which workers find both.

    Raises:
        SweepError: What kept the study from opening.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from search.trialfiles import TrialFiles
    from search.tuner.blobs import AT_ONCE, NICENESS, Blobs
    from search.tuner.study_actor import StudyActor

    plan = launch.plan
    orders = _orders(launch, slots, capacity, shipment, gpus=gpus, queues=queues)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    mark = hashlib.sha256(str(launch.folder.root.resolve()).encode()).hexdigest()[:12]  # a name may be in two folders
    names = {
        "study": f"study-{plan.study}-{mark}",
        "files": f"files-{plan.study}-{mark}",
        "blobs": f"blobs-{plan.study}-{mark}",
        "namespace": ray.get_runtime_context().namespace,  # a Ray that was up before us has its own
    }
    if plan.address is not None:
        names["directory"] = f"directory-{plan.study}-{mark}"

    def start(kind: type, name: str, *args: object, at_once: int = 1) -> Any:
        options = {**_OPTIONS, "name": name, "max_concurrency": at_once}
        return ray.remote(kind).options(**options, scheduling_strategy=here).remote(*args)

    with carried.told(launch.brought):
        actors = [start(StudyActor, names["study"], orders)]
    actors.append(start(TrialFiles, names["files"], launch.folder.root))
    actors.append(start(Blobs, names["blobs"], launch.folder.root, NICENESS, at_once=2 * AT_ONCE))
    if "directory" in names:
        from search.tuner.shelves import Directory

        actors.append(start(Directory, names["directory"]))
        tell(actors[-1], launch)
    import ray.tune  # takes seconds, in which the actors start

    try:
        with carried.told(launch.brought):
            trouble: SweepError | None = ray.get(actors[0].trouble.remote())
        if trouble is not None:
            raise trouble
        yield actors[0], names
    finally:
        for actor in actors:
            ray.kill(actor)
        watchdog.forget(names["study"])


def _orders(
    launch: Launch, slots: int, capacity: int | None, shipment: Shipment | None, *, gpus: float | None, queues: bool
) -> Orders:
    plan = launch.plan
    return Orders(
        plan=plan if shipment is None else replace(plan, objective=shipment.objective, space=shipment.space),
        shipped=shipment is not None,
        folder=launch.folder.root,
        slots=slots,
        baseline=dict(launch.baseline),
        run=Run(
            uuid.uuid4().hex,
            launch.code_hash,
            launch.data_hash,
            dict(launch.changes),
            launch.objective_hash,
            launch.edits,
        ),
        driver=os.getpid(),
        accept_changes=launch.accept_changes,
        since_ns=launch.prepared_ns,
        warm_start=tuple(launch.warm_start),
        capacity=capacity,
        frozen=freeze(launch),
        brought=launch.brought,
        space_hash=launch.space_hash,
        described=(*unseen.in_description(plan), *launch.hidden),
        gpus=gpus,
        queues=queues,
    )
