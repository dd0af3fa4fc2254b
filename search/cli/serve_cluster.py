"""`sweep serve --address`: the same web API on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final

from search.cli import console
from search.cli.extras import needed
from search.errors import InputError

if TYPE_CHECKING:
    from search.cli.options import Common
    from search.serve.backend import Served
    from search.serve.cluster import Site

_LIBRARIES: Final = ("fastapi", "grpc", "grpc_reflection")


def check_replicas(
    address: str | None, port: int, workers: int, rate: float, replicas: int | None, most: int | None
) -> None:
    """Refuse choices that do not go together.

    Raises:
        InputError: Naming the one to change.
    """
    if address is None:
        for flag, value in (("--replicas", replicas), ("--max-replicas", most)):
            if value is not None:
                raise InputError(f"{flag} is for a cluster", field=flag, hint="name one by --address, or use --workers")
        return
    if workers != 1:
        raise InputError("--workers is for one machine", field="--workers", hint="on a cluster, use --replicas")
    if not port:
        raise InputError("--port 0 is for one machine; on a cluster a port is named", field="--port", hint="try 8000")
    if most is not None and most < (replicas or 1):
        raise InputError(f"--max-replicas {most} is less than --replicas {replicas}", field="--max-replicas")
    if rate and (most or replicas or 1) > 1:
        said = "--rate is for one process: each replica would count for itself"
        raise InputError(said, field="--rate", hint="let the proxy before the cluster limit rates, or use one replica")


def serve_there(
    shared: Common, served: Served, site: Site, address: str, asked: str | None, listening: Callable[[], object]
) -> None:
    """Serve on a cluster until a signal comes.

    Args:
        shared: Of the command.
        served: The model.
        site: How it is served.
        address: Of the cluster.
        asked: The model as it was asked for, if its alias is followed.
        listening: Called when it answers.

    Raises:
        SurroundingsError: What Ray Serve needs is not installed, or the cluster does not take it.
    """
    with needed("cluster", *_LIBRARIES, what="serving on a cluster"):
        for library in _LIBRARIES:  # Ray Serve imports some of them on the cluster's machines alone
            import_module(library)
    from search.serve import cluster
    from search.serve.swapping import Followed

    followed = None if asked is None else Followed(shared.results, asked, console.say)
    cluster.serve(served, site, address, followed=followed, listening=listening)
