"""Serves a model on a Ray cluster by Ray Serve: the same application, in replicas that scale by themselves."""

from __future__ import annotations

import asyncio
import logging
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search.bundle.bundle import FILES, MANIFEST, Bundle
from search.errors import RefusedError, SurroundingsError
from search.serve.app import App
from search.serve.backend import Served
from search.serve.here import Here
from search.serve.limits import Limits
from search.serve.swapping import Followed, follow
from search.serving.hosts import Hosts
from search.serving.key import Key

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_NAME: Final = "sweep"
_CONTROLLER: Final = "SERVE_CONTROLLER_ACTOR"
_AT_ONCE: Final = 256
"""Requests that a replica takes; together they make up its runs."""

_TARGET: Final = 32
"""Requests that a replica should have on hand; with more of them another one is started."""


@dataclass(frozen=True, slots=True)
class Site:
    """How a model is served on a cluster.

    Attributes:
        host, port: Where Serve's own HTTP servers listen.
        replicas: Processes that answer, at least.
        most: And at most, as there is to do.
        threads: Of one prediction, and CPUs of a replica.
        limits: Of what a client may do.
        hosts: The names that it is known by.
        key: That requests bring; None: nobody needs one.
    """

    host: str
    port: int
    replicas: int
    most: int
    threads: int
    limits: Limits
    hosts: Hosts
    key: Key | None


class Replica:
    """One process of the cluster that answers. It shares no disk with whoever deployed it.

    Args:
        files: Content of each file of the bundle; checked here like any other bundle.
        digest: Of its manifest.
        name, version: Of the model.
        site: How it is served.
    """

    def __init__(self, files: dict[str, bytes], digest: str, name: str, version: int | None, site: Site) -> None:
        with tempfile.TemporaryDirectory(prefix="sweep-bundle-") as folder:
            for file, content in files.items():
                (Path(folder) / file).write_bytes(content)
            bundle = Bundle.open(Path(folder), digest=digest)
        backend = Here(Served(bundle, name, version), site.limits, threads=site.threads)
        self._app = App(backend, site.limits, site.hosts, site.key)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return self._app


class Deployed:
    """What runs on the cluster.

    Args:
        served: The model that answers first.
        site: How it is served.
    """

    def __init__(self, served: Served, site: Site) -> None:
        self._served, self._site = served, site

    @property
    def served(self) -> Served:
        return self._served

    async def swap(self, served: Served) -> None:
        """Have another model answer: replicas are replaced one by one, once it has run in this process.

        Raises:
            RefusedError: It cannot be loaded; the one before goes on.
            SurroundingsError: The cluster does not take it.
        """
        async with Here(served, self._site.limits):
            pass
        await asyncio.to_thread(self.deploy, served)

    def deploy(self, served: Served | None = None) -> None:
        """Deploy a model and wait until it answers.

        Raises:
            SurroundingsError: The cluster does not take it.
        """
        from ray import serve
        from ray.exceptions import RayError

        served, site = served or self._served, self._site
        scale: dict[str, Any] = {"num_replicas": site.replicas}
        if site.most > site.replicas:
            bounds = {"min_replicas": site.replicas, "max_replicas": site.most}
            scale = {"autoscaling_config": {**bounds, "target_ongoing_requests": _TARGET}}
        replica = serve.deployment(
            name=_NAME,
            max_ongoing_requests=_AT_ONCE,
            ray_actor_options={"num_cpus": site.threads},
            logging_config={"enable_access_log": False, "log_level": "ERROR"},
            **scale,
        )(serve.ingress()(Replica))
        root, digest = served.bundle.root, served.bundle.digest
        files = {name: (root / name).read_bytes() for name in (*FILES, MANIFEST)}
        try:
            serve.run(replica.bind(files, digest, served.name, served.version, site), name=_NAME, route_prefix="/")
        except (RayError, RuntimeError, TimeoutError) as error:
            said = " ".join(str(error).split())[-100:]
            raise SurroundingsError(f"the cluster does not serve {served.label}: {said}", field="--address") from error
        self._served = served


@contextmanager
def deployed(served: Served, site: Site) -> Iterator[Deployed]:
    """Have a model answer on the cluster that this process is connected to, while inside.

    Raises:
        RefusedError: Serve runs there already; it would not listen where it is told to.
        SurroundingsError: The cluster does not serve the model.
    """
    import ray
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.CRITICAL + 1)  # its errors come back as exceptions
    with suppress(ValueError):  # that there is no such actor
        ray.get_actor(_CONTROLLER, namespace="serve")
        hint = "end it first, with `serve shutdown`, or choose another cluster"
        raise RefusedError("Ray Serve runs on this cluster already", field="--address", hint=hint)
    where = "HeadOnly" if site.hosts.loopback else "EveryNode"
    request_s = 2 * site.limits.timeout_s  # to come in, and to be answered
    listens = {"host": site.host, "port": site.port, "request_timeout_s": request_s}
    serve.start(proxy_location=where, http_options=listens)
    running = Deployed(served, site)
    try:
        running.deploy()
        yield running
    finally:
        serve.shutdown()


def serve(
    served: Served,
    site: Site,
    address: str | None,
    *,
    followed: Followed | None,
    listening: Callable[[], object],
) -> None:
    """Answer until SIGINT or SIGTERM, which is raised again at the end.

    Args:
        served: The model that answers first.
        site: How it is served.
        address: Of the cluster; None: a Ray of this machine.
        followed: Whose alias is followed; None: the model stays.
        listening: Called when it answers.

    Raises:
        SurroundingsError: The cluster is not there, or does not serve it.
        RefusedError: Serve runs there already.
    """
    from search.tuner.cluster import connected, set_environment

    set_environment(address)
    with connected(address), deployed(served, site) as running:
        number = asyncio.run(_until_signal(running, followed, listening))
    signal.raise_signal(number)


async def _until_signal(
    running: Deployed,
    followed: Followed | None,
    listening: Callable[[], object],
) -> signal.Signals:
    came: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for one in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(one, came.put_nowait, one)
    following = None if followed is None else asyncio.create_task(follow(running, followed))
    listening()
    number = await came.get()
    if following is not None:
        following.cancel()
    return number
