"""`sweep serve --address`: the same web API on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from search.cli import console
from search.errors import InputError, SurroundingsError

if TYPE_CHECKING:
    from search.cli.options import Common
    from search.serve.backend import Served
    from search.serve.cluster import Site

_LIBRARIES: Final = ("fastapi", "grpc", "grpc_reflection")


def check_replicas(address: str | None, port: int, workers: int, replicas: int | None, most: int | None) -> None:
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
    for library in _LIBRARIES:
        if find_spec(library) is None:
            hint = "pip install 'sweep-search[cluster]'"
            raise SurroundingsError(f"serving on a cluster needs {library}, which is not installed", hint=hint)
    from search.serve import cluster

    followed = None if asked is None else (shared.results, asked, console.say)
    cluster.serve(served, site, address, followed=followed, listening=listening)
