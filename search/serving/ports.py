"""Where a server listens: a bound socket, and its URL."""

from __future__ import annotations

import errno
import socket
from typing import Any, Final

import psutil

from search.errors import InputError, SurroundingsError

LOCAL: Final = "127.0.0.1"


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound, and does not listen yet.

    Raises:
        InputError: There is no such host.
        SurroundingsError: The port is in use, or may not be used.
    """
    family, kind, protocol, _, address = _found(host, port)
    bound = socket.socket(family, kind, protocol)  # asyncio sends small answers at once only where it is told TCP
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            hint = f"try --port {port + 1}" if port < 65_535 else "try another --port"
            raise SurroundingsError(f"port {port} is in use{_holder(port)}", field="--port", hint=hint) from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise InputError(f"--host {host[:100]!r} is no address of this machine", field="--host") from error
        raise SurroundingsError(f"port {port} cannot be used: {error.strerror}", field="--port") from error
    return bound


def bind_local(port: int | None, usual: int) -> socket.socket:
    """Return a socket on which only this machine reaches us.

    Args:
        port: The one to have; None: the usual one, or any that is free.
        usual: Of this server.

    Raises:
        SurroundingsError: The port is in use, or may not be used.
    """
    try:
        return bind(LOCAL, usual if port is None else port)
    except SurroundingsError:
        if port is not None:
            raise
        return bind(LOCAL, 0)


def address_of(host: str) -> str:
    """Return the address that a host has, of whatever machine.

    Raises:
        InputError: There is no such host.
    """
    return str(_found(host, 0)[4][0])


def url_of(bound: socket.socket, host: str) -> str:
    """Return the URL of a bound socket, under the host that the user named."""
    return url_at(host, bound.getsockname()[1])


def url_at(host: str, port: int) -> str:
    """Return the URL of a host's port."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _found(host: str, port: int) -> tuple[int, int, int, str, tuple[Any, ...]]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host {host[:100]!r} is no address", field="--host") from error


def _holder(port: int) -> str:
    """Name the process that listens on a port, where the system tells us: of other users' processes it does not."""
    try:
        found = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return ""
    pids = [one.pid for one in found if one.pid and one.status == psutil.CONN_LISTEN and one.laddr[1:] == (port,)]
    return f" (pid {pids[0]})" if pids else ""
