"""What the driver of a sweep tells its actors and workers: the `Orders`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.byvalue import Brought
from search.plan import SweepPlan
from search.study.runs import Run


@dataclass(frozen=True, slots=True)
class Orders:
    """What the driver tells its actors and workers.

    Attributes:
        plan: The sweep, with all changes since its launch.
        folder: The study's folder.
        slots: How many trials may be held at once.
        baseline: Score of a naive prediction.
        run: This launch or resume.
        driver: The driver's process.
        accept_changes: Workers need not check that code and data are those of the launch.
        since_ns: Wishes to stop that are older, in unix nanoseconds, were for an earlier run.
        warm_start: Earlier studies that it learns from, as `search.study.warm.Source.to_json` gives them.
        capacity: How many trials could be held at once, if the plan allowed them; None for no more than `slots`.
        frozen: Key of the rows that trials see, in the store; "" where each worker opens the data itself.
        brought: What no file holds of objective and space.
        space_hash: Of the space's code as the driver read it; "" where it may be another.
        described: Variables that hold secrets of the data: its description names them, or the study that was sent here.
        shipped: Whether the code came along, as the driver read it; the plan's references are relative to it.
        gpus: That the cluster has; None where trials ask for none.
        queues: Whether the queue of the cluster says how many of the slots may be used.
    """

    plan: SweepPlan
    folder: Path
    slots: int
    baseline: Mapping[str, float]
    run: Run
    driver: int
    accept_changes: bool = False
    since_ns: int = 0
    warm_start: tuple[Mapping[str, Any], ...] = ()
    capacity: int | None = None
    frozen: str = ""
    brought: Brought = field(default_factory=dict)
    space_hash: str = ""
    shipped: bool = False
    described: tuple[str, ...] = ()
    gpus: float | None = None
    queues: bool = False
