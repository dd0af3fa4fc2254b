"""The door of a Ray cluster: asks, before Ray does, whether it lets us in, and whether it would let in anybody.

Ray's own attempt takes 20 s to be refused, and then says that the cluster cannot be reached. One call of a method that
both of its servers have (the GCS at port 6379, the server for clients at 10001) is answered in milliseconds: with
UNAUTHENTICATED where a token is asked for, whatever else is wrong with the call.
"""

from __future__ import annotations

import os
from enum import Enum, auto
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from search.errors import RefusedError, SurroundingsError
from search.extras import lacking

WAIT_S: Final = 4.0
"""How long a call may take."""

HEAD_S: Final = 10.0
"""How long a cluster's GCS may take to answer through the server for clients."""

OF_GCS: Final = "/ray.rpc.NodeInfoGcsService/CheckAlive"
OF_CLIENTS: Final = "/ray.rpc.RayletDriver/ClusterInfo"
OF_KEYS: Final = "/ray.rpc.RayletDriver/KVExists"  # of the same server, which asks the GCS
OF_RAYLET: Final = "/ray.rpc.NodeManagerService/GetNodeStats"
OF_OBJECTS: Final = "/ray.rpc.ObjectManagerService/Pull"

CERTIFICATES: Final = ("RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT")
"""Environment variables that name Ray's files for TLS: the certificate, its key, and who signed it."""


_NO_OBJECT: Final = b"".join(bytes([field << 3 | 2, 28]) + b"\x01" * 28 for field in (1, 2))
"""A `PullRequest` of a node that is none, for an object that is none."""


class Answer(Enum):
    """What a server of Ray says to a call."""

    IN = auto()  # it answers
    TOKEN = auto()  # it asks for a token, or for another one
    OTHER = auto()  # it is no server of Ray, or another one
    SILENT = auto()  # it does not answer


_accepted: list[bool] = []


def accept_open() -> None:
    """Let this process use clusters that let in anybody, for the user has said so."""
    _accepted[:] = [True]


def accepts_open() -> bool:
    """Tell whether this process may."""
    return bool(_accepted)


def call(place: str, method: str, token: str | None, request: bytes = b"", *, wait_s: float = WAIT_S) -> bytes:
    """Call a method of a server and return its answer.

    Args:
        place: `HOST:PORT`.
        method: `/package.Service/Method`.
        token: None to come without one.
        request: Serialized message.
        wait_s: Longest wait.

    Raises:
        grpc.RpcError: It does not answer, or refuses.
    """
    import grpc

    options = [("grpc.enable_http_proxy", 0)]
    certificates = _certificates()
    if certificates is None:
        channel = grpc.insecure_channel(place, options=options)
    else:
        mine, key, theirs = certificates
        channel = grpc.secure_channel(place, grpc.ssl_channel_credentials(theirs, key, mine), options=options)
    with channel:
        method_there: Any = channel.unary_unary(method)
        headers = [("authorization", f"Bearer {token}")] if token is not None else []
        answer: bytes = method_there(request, timeout=wait_s, metadata=headers)
    return answer


def knock(place: str, method: str, token: str | None = None, *, wait_s: float = WAIT_S) -> Answer:
    """Return what a server of Ray says to a call of one of its methods."""
    import grpc

    request = _NO_OBJECT if method == OF_OBJECTS else b""
    try:
        call(place, method, token, request, wait_s=wait_s)
    except grpc.RpcError as error:
        said = error.code()
        if said is grpc.StatusCode.UNAUTHENTICATED:
            return Answer.TOKEN
        if said is grpc.StatusCode.UNIMPLEMENTED or "parsing HTTP/2" in str(error.details()):
            return Answer.OTHER
        if said in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            return Answer.SILENT
    return Answer.IN  # an error of the method itself: it was let through to it


def pass_door(address: str, token: str | None) -> None:
    """See that a cluster lets us in, and nobody else.

    Args:
        address: `HOST:PORT`, or `ray://HOST:PORT` from outside.
        token: To prove who we are; it is shown to who asks for one.

    Raises:
        SurroundingsError: It does not let us in, or is no Ray.
        RefusedError: It lets in anybody.
    """
    check_grpc()
    place, method = address.removeprefix("ray://"), OF_CLIENTS if address.startswith("ray://") else OF_GCS
    answer = knock(place, method)
    if answer is Answer.IN:
        if not accepts_open():
            raise RefusedError(
                f"the cluster at {address} asks for no token: whoever reaches it runs code there",
                field="--address",
                hint="start it by `sweep cluster start`, or accept that by --insecure-cluster",
            )
        return
    if answer is Answer.TOKEN:
        if token is None:
            raise SurroundingsError(
                f"the cluster at {address} asks for a token, and none was given",
                field="--address",
                hint="name its file by RAY_AUTH_TOKEN_PATH",
            )
        answer = knock(place, method, token)
        if answer is Answer.IN:
            return
        if answer is Answer.TOKEN:
            raise SurroundingsError(
                f"the cluster at {address} does not take our token: it has another one",
                field="--address",
                hint="compare the file at RAY_AUTH_TOKEN_PATH with the one on its head",
            )
    if answer is Answer.OTHER:
        raise SurroundingsError(
            f"what answers at {address} is not the Ray that was expected there",
            field="--address",
            hint="HOST:6379 is for machines of the cluster, ray://HOST:10001 for others",
        )
    tls = "with" if is_encrypted() else "without"
    raise SurroundingsError(
        f"what listens at {address} does not speak Ray's protocol {tls} TLS",
        field="--address",
        hint="RAY_USE_TLS and its three files have to be the cluster's",
    )


def check_head(address: str, token: str | None, *, wait_s: float = HEAD_S) -> None:
    """See that there is a GCS behind the server for clients, which outlives it by a minute and still lets us in.

    Args:
        address: `ray://HOST:PORT`.
        token: Of the cluster; None where it has none.
        wait_s: How long it may take.

    Raises:
        SurroundingsError: It does not answer.
    """
    import grpc

    try:
        call(address.removeprefix("ray://"), OF_KEYS, token, wait_s=wait_s)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.FAILED_PRECONDITION:  # who asks is no client: said beside the answer
            return
        raise SurroundingsError(
            f"the head of the Ray cluster at {address} does not answer: it has ended, or hangs",
            field="--address",
            hint="on its machine, `sweep cluster status` says more",
        ) from error


def check_grpc() -> None:
    """Check that what calls are made with is installed.

    Raises:
        SurroundingsError: It is not.
    """
    if find_spec("grpc") is None:
        raise lacking("cluster", "grpcio", what="a cluster")


def is_encrypted() -> bool:
    """Tell whether our connections are."""
    return os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


def _certificates() -> tuple[bytes, bytes, bytes] | None:
    """Return our certificate, its key and who signs; None without TLS."""
    if not is_encrypted():
        return None
    try:
        mine, key, theirs = (Path(os.environ[name]).read_bytes() for name in CERTIFICATES)
    except KeyError as error:
        raise SurroundingsError(f"RAY_USE_TLS is set, {error.args[0]} is not", hint="name its file") from error
    return mine, key, theirs
