"""What a cluster is made of, as its GCS tells it: nodes, versions, and the studies that run on it."""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from search.errors import SurroundingsError
from search.tuner.door import call

_STUDY: Final = re.compile(r"study-(.+)-[0-9a-f]{12}")
"""The name of a study's actor (`search.tuner.actors.study_actors`)."""

_ALIVE: Final = 0  # of GcsNodeInfo.GcsNodeState
_DEAD: Final = 4  # of ActorTableData.ActorState

_NODE_S: Final = 5.0
"""How long a raylet of this machine may take to be known as a node."""

_AGAIN_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a cluster.

    Attributes:
        host: Its address in the cluster.
        name: Of the machine.
        head: Whether it is the head.
        alive: Whether it is there.
        cpus: CPUs for trials.
        gpus: GPUs for trials.
        memory_bytes: Memory for trials.
        ports: Port of each server that it tells of, by its name; those that do not listen are left out.
    """

    host: str
    name: str
    head: bool
    alive: bool
    cpus: float
    gpus: float
    memory_bytes: float
    ports: dict[str, int]


@dataclass(frozen=True, slots=True)
class Inventory:
    """A cluster.

    Attributes:
        address: As it was asked at.
        ray: Its version of Ray, "" where it was not told.
        python: Its version of Python, likewise.
        nodes: The head first.
        studies: Names of those that run.
        is_open: Whether it asks nobody for a token.
    """

    address: str
    ray: str
    python: str
    nodes: tuple[Node, ...]
    studies: tuple[str, ...]
    is_open: bool = False


def take_inventory(place: str, token: str | None) -> Inventory:
    """Ask a cluster's GCS what it is made of.

    Args:
        place: `HOST:PORT` of the GCS.
        token: Of the cluster; None where it has none.

    Raises:
        SurroundingsError: It does not tell.
    """
    import grpc
    from ray.core.generated import gcs_service_pb2 as messages

    try:
        nodes = _nodes_told(place, token)
        said = call(place, "/ray.rpc.ActorInfoGcsService/GetAllActorInfo", token)
        actors = messages.GetAllActorInfoReply.FromString(said).actor_table_data
    except grpc.RpcError as error:
        raise SurroundingsError(f"the cluster at {place} does not say what it has", field="--address") from error
    ray, python = versions_of(place, token)
    found = [_node(one) for one in nodes]
    names = (one.name for one in actors if one.state != _DEAD)
    return Inventory(place, ray, python, _in_order(found), studies_among(names))


def versions_of(place: str, token: str | None) -> tuple[str, str]:
    """Return a cluster's versions of Ray and of Python; "" where its GCS does not tell."""
    import grpc
    from ray.core.generated import gcs_service_pb2 as messages

    asked = messages.InternalKVGetRequest(namespace=b"cluster", key=b"CLUSTER_METADATA")
    try:
        said = call(place, "/ray.rpc.InternalKVGcsService/InternalKVGet", token, asked.SerializeToString())
        told = json.loads(messages.InternalKVGetReply.FromString(said).value)
        return str(told["ray_version"]), str(told["python_version"])
    except (grpc.RpcError, ValueError, KeyError, TypeError):
        return "", ""


def check_versions(place: str, token: str | None) -> None:
    """See that a cluster runs our versions of Ray and Python, of which Ray wants all three parts, and two.

    Raises:
        SurroundingsError: It runs others.
    """
    import ray

    theirs, python = versions_of(place, token)
    here = platform.python_version()
    if theirs and (theirs != ray.__version__ or python.split(".")[:2] != here.split(".")[:2]):
        raise SurroundingsError(
            f"the cluster runs Ray {theirs} / Python {python}, here {ray.__version__} / {here}: they must match",
            field="--address",
        )


def check_is_node(place: str, token: str | None) -> None:
    """See that this machine is a node of a cluster: Ray looks for a raylet of it here, for a minute.

    Raises:
        SurroundingsError: It is none.
    """
    import grpc
    from ray._private import services

    find = getattr(services, "find_node_ids", None)  # private: what Ray itself looks with
    until = time.monotonic() + _NODE_S
    while find is not None:
        here = set(find())
        try:
            there = {one.node_id.hex() for one in _nodes_told(place, token) if one.state == _ALIVE}
        except grpc.RpcError:  # Ray has its own words for that
            return
        if here & there:
            return
        if not here or time.monotonic() > until:
            host = place.rpartition(":")[0]
            raise SurroundingsError(
                f"this machine is no node of the cluster at {place}",
                field="--address",
                hint=f"from outside: --address ray://{host}:10001; `sweep cluster join` makes it a node",
            )
        time.sleep(_AGAIN_S)


def inventory_inside(address: str) -> Inventory:
    """Return what the cluster is made of that this process is connected to."""
    import ray
    from ray.util import list_named_actors

    found = [_connected_node(one) for one in ray.nodes()]
    named = (one["name"] for one in list_named_actors(all_namespaces=True))
    return Inventory(address, ray.__version__, platform.python_version(), _in_order(found), studies_among(named))


def studies_among(actors: Iterable[str]) -> tuple[str, ...]:
    """Return the studies that actors of these names belong to."""
    matches = (_STUDY.fullmatch(name) for name in actors)
    return tuple(sorted({match[1] for match in matches if match is not None}))


def _nodes_told(place: str, token: str | None) -> Sequence[Any]:
    from ray.core.generated import gcs_service_pb2 as messages

    said = call(place, "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo", token)
    nodes: Sequence[Any] = messages.GetAllNodeInfoReply.FromString(said).node_info_list
    return nodes


def _in_order(nodes: Iterable[Node]) -> tuple[Node, ...]:
    return tuple(sorted(nodes, key=lambda node: (not node.head, not node.alive, node.host)))


def _node(told: Any) -> Node:
    ports = {
        "raylet": told.node_manager_port,
        "objects": told.object_manager_port,
        "runtime environments": told.runtime_env_agent_port,
        "metrics": told.metrics_export_port,
        "metrics agent": told.metrics_agent_port,
        "dashboard agent": told.dashboard_agent_listen_port,
    }
    return _of(
        told.node_manager_address, told.node_manager_hostname, told.state == _ALIVE, dict(told.resources_total), ports
    )


def _connected_node(told: dict[str, Any]) -> Node:
    ports = {
        "raylet": told.get("NodeManagerPort", 0),
        "objects": told.get("ObjectManagerPort", 0),
        "runtime environments": told.get("RuntimeEnvAgentPort", 0),
        "metrics": told.get("MetricsExportPort", 0),
    }
    return _of(told["NodeManagerAddress"], told["NodeManagerHostname"], told["Alive"], told["Resources"], ports)


def _of(host: str, name: str, alive: bool, resources: dict[str, float], ports: dict[str, int]) -> Node:
    return Node(
        host=host,
        name=name,
        head="node:__internal_head__" in resources,
        alive=alive,
        cpus=resources.get("CPU", 0.0),
        gpus=resources.get("GPU", 0.0),
        memory_bytes=resources.get("memory", 0.0),
        ports={what: port for what, port in ports.items() if port > 0},
    )
