"""What of a cluster listens, as seen from here, and whether it lets in anybody who has no token."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from search.tuner.door import OF_CLIENTS, OF_GCS, OF_OBJECTS, OF_RAYLET, Answer, knock
from search.tuner.inventory import Node
from search.tuner.reach import answers

WAIT_S: Final = 2.0
DASHBOARD_PORT: Final = 8265
MONITOR_PORT: Final = 44217

WORKER_PORTS: Final = range(10002, 20000)
"""Those that Ray gives its workers, by default; no node tells which of them are in use."""


class State(StrEnum):
    """What a port does without a token."""

    SHUT = "asks for the token"
    OPEN = "OPEN"
    SILENT = "does not answer here"
    OTHER = "is another server"


@dataclass(frozen=True, slots=True)
class Port:
    """A server of a cluster.

    Attributes:
        host: Where it was looked for.
        port: Where it listens.
        what: It is.
        state: What it does without a token.
        remedy: How to close it, where it is open.
    """

    host: str
    port: int
    what: str
    state: State
    remedy: str


_TOKEN_ON: Final = "start Ray by `sweep cluster start`, or with RAY_AUTH_MODE=token on all nodes"

_METHODS: Final = {
    "cluster (GCS)": OF_GCS,
    "clients": OF_CLIENTS,
    "raylet": OF_RAYLET,
    "objects": OF_OBJECTS,
    "metrics agent": "/ray.rpc.ReporterService/HealthCheck",
}
"""Servers that speak gRPC, and a method of each that does nothing; all others speak HTTP."""

_PATHS: Final = {"dashboard": "/api/version", "metrics": "/metrics", "autoscaler metrics": "/metrics"}
"""What is asked for of those that speak HTTP; `/` of the others."""

_REMEDIES: Final = {
    "autoscaler metrics": "start the head by `sweep cluster start`, or with --no-monitor where nothing scales",
    "metrics": "a firewall: Ray asks for no token there",
    "dashboard": "--dashboard-host 127.0.0.1, and the token on",
}


def look(nodes: Sequence[Node], gcs: str | None, client_port: int, dashboard_port: int = DASHBOARD_PORT) -> list[Port]:
    """Knock at all that the nodes of a cluster tell of, without a token.

    Args:
        nodes: Of the cluster.
        gcs: `HOST:PORT` of its GCS; None where it is not known.
        client_port: On the head, for clients.
        dashboard_port: On the head.
    """
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda one: look_at(*one), _places(nodes, gcs, client_port, dashboard_port)))


def _places(
    nodes: Sequence[Node], gcs: str | None, client_port: int, dashboard_port: int
) -> Iterator[tuple[str, int, str]]:
    for node in nodes:
        if not node.alive:
            continue
        if node.head:
            if gcs is not None:
                yield node.host, int(gcs.rpartition(":")[2]), "cluster (GCS)"
            yield node.host, client_port, "clients"
            yield node.host, dashboard_port, "dashboard"
            yield node.host, MONITOR_PORT, "autoscaler metrics"
        for what, port in node.ports.items():
            yield node.host, port, what


def look_at(host: str, port: int, what: str) -> Port:
    """Knock at one of them."""
    method = _METHODS.get(what)
    state = try_http(host, port, _PATHS.get(what, "/")) if method is None else try_grpc(host, port, method)
    remedy = _REMEDIES.get(what, _TOKEN_ON) if state is State.OPEN else ""
    return Port(host, port, what, state, remedy)


def try_grpc(host: str, port: int, method: str) -> State:
    """Call a method without a token."""
    if not answers(f"{host}:{port}", wait_s=WAIT_S):
        return State.SILENT
    found = {Answer.IN: State.OPEN, Answer.TOKEN: State.SHUT, Answer.OTHER: State.OTHER, Answer.SILENT: State.SILENT}
    return found[knock(f"{host}:{port}", method, wait_s=WAIT_S)]


def try_http(host: str, port: int, path: str) -> State:
    """Ask for a page without a token."""
    connection = http.client.HTTPConnection(host, port, timeout=WAIT_S)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except http.client.HTTPException:
        return State.OTHER
    except OSError:
        return State.SILENT
    finally:
        connection.close()
    return State.SHUT if status in (401, 403) else State.OPEN
