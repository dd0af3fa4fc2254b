"""How many trials fit on the machines of a cluster, and what the largest has: the `Capacity`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from search.errors import SurroundingsError
from search.parsers import size_text
from search.study.packing import fitting


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a cluster has, and what its largest node has."""

    cpus: float
    gpus: float
    node_cpus: float
    node_gpus: float
    node_memory: float  # in bytes, as far as trials may take it
    slots: int  # trials that fit at once


def of_cluster(cpus: float, gpus: float, memory: int | None = None) -> Capacity:
    """Return what the cluster has for trials of this size, `memory` in bytes.

    Raises:
        SurroundingsError: No node could ever run one trial.
    """
    import ray

    return _of([node["Resources"] for node in ray.nodes() if node["Alive"]], cpus, gpus, memory)


def of_this_machine(cpus: float, gpus: float, memory: int | None = None) -> Capacity:
    """Return what this machine has, without starting Ray: its whole memory, of which Ray will keep a part.

    Raises:
        SurroundingsError: It could never run one trial.
    """
    import psutil
    from ray._private.accelerators.nvidia_gpu import NvidiaGPUAcceleratorManager
    from ray._private.utils import get_num_cpus

    have_gpus = float(NvidiaGPUAcceleratorManager.get_current_node_num_accelerators())
    have_memory = float(psutil.virtual_memory().total)
    node = {"CPU": float(get_num_cpus()), "GPU": have_gpus, "memory": have_memory}
    return _of([node], cpus, gpus, memory)


def room(nodes: Iterable[Mapping[str, Any]], cpus: float, gpus: float, memory: int | None = None) -> int:
    """Return how many trials of this size fit at once on nodes, of each of which the resources are given."""
    return sum(_fit(node, cpus, gpus, memory) for node in nodes)


def _of(nodes: Collection[Mapping[str, Any]], cpus: float, gpus: float, memory: int | None) -> Capacity:
    have = Capacity(
        cpus=sum(node.get("CPU", 0.0) for node in nodes),
        gpus=sum(node.get("GPU", 0.0) for node in nodes),
        node_cpus=max((node.get("CPU", 0.0) for node in nodes), default=0.0),
        node_gpus=max((node.get("GPU", 0.0) for node in nodes), default=0.0),
        node_memory=max((node.get("memory", 0.0) for node in nodes), default=0.0),
        slots=room(nodes, cpus, gpus, memory),
    )
    _refuse_too_large(have, cpus, gpus, memory)
    return have


def _refuse_too_large(have: Capacity, cpus: float, gpus: float, memory: int | None) -> None:
    """Refuse a trial that no node could ever start.

    Raises:
        SurroundingsError: Saying what is asked and what there is.
    """
    if gpus > have.node_gpus:
        raise SurroundingsError(
            f"a trial asks {gpus:g} GPU{'s' * (gpus > 1)}, the cluster has {have.gpus:g}"
            + (f", the largest node {have.node_gpus:g}" if have.gpus else ""),
            field="--gpus",
            hint=f"`--gpus {have.node_gpus:g}`, or `--address` of a cluster that has {'more' if have.gpus else 'some'}",
        )
    if cpus > have.node_cpus:
        raise SurroundingsError(
            f"a trial asks {cpus:g} CPUs, the largest node has {have.node_cpus:g}",
            field="--cpus",
            hint="nothing could ever start; ask for fewer",
        )
    if memory is not None and memory > have.node_memory:
        raise SurroundingsError(
            f"a trial asks {size_text(memory)} of memory, the largest node has {size_text(have.node_memory)}",
            field="--memory",
            hint="nothing could ever start; ask for less",
        )
    if have.slots < 1:
        also = f" and {size_text(memory)} of memory" if memory is not None else ""
        raise SurroundingsError(
            f"no node has {cpus:g} CPUs and {gpus:g} GPUs{also} together", field="--cpus", hint="ask for fewer"
        )


def _fit(node: Mapping[str, Any], cpus: float, gpus: float, memory: int | None) -> int:
    """Return how many trials of this size one node holds."""
    asked = {"CPU": cpus, "GPU": gpus if gpus >= 1 else 0.0, "memory": memory}
    fits = [int(node.get(name, 0.0) / size + 1e-9) for name, size in asked.items() if size]
    if 0 < gpus < 1:  # a part is of one GPU: what is left of two is none
        fits.append(int(node.get("GPU", 0.0)) * fitting(gpus))
    return min(fits)
