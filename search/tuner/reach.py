"""Whether anything answers at `--address`, asked before Ray is: its own attempts go on for minutes, and loudly."""

from __future__ import annotations

import socket
from typing import Final

from search.errors import InputError, SurroundingsError

WAIT_S: Final = 10.0
"""How long an address may take to answer."""


def check_address(address: str, *, wait_s: float = WAIT_S) -> None:
    """See that a cluster's address can be connected to.

    Args:
        address: `HOST:PORT`, `ray://HOST:PORT`, or `auto` for a cluster that this machine is part of.
        wait_s: Longest wait.

    Raises:
        InputError: It is no address.
        SurroundingsError: Its host has no name that is known here, or nothing answers there.
    """
    if address == "auto":
        return
    try:
        socket.create_connection(split(address), timeout=wait_s).close()
    except socket.gaierror as error:
        raise _unknown(address) from error
    except (OSError, UnicodeError) as error:
        waited = f" (waited {wait_s:g} s)" if isinstance(error, TimeoutError) else ""
        raise SurroundingsError(
            f"no Ray cluster answers at {address}{waited}", field="--address", hint="is it started, is the port open?"
        ) from error


def split(address: str) -> tuple[str, int]:
    """Return host and port of an address.

    Raises:
        InputError: It is none.
    """
    found = _split(address)
    if found is None:
        outside = address.startswith("ray://")
        raise InputError(
            f"--address takes HOST:PORT or ray://HOST:PORT, got {address!r}",
            field="--address",
            hint="try ray://10.0.0.1:10001" if outside else "try 10.0.0.1:6379, from outside ray://10.0.0.1:10001",
        )
    return found


def check_inside(address: str) -> None:
    """See that an address is of a form at which a machine joins a cluster: that of its GCS.

    Raises:
        InputError: It is not.
    """
    if address.startswith("ray://") or _split(address) is None:
        host = address.removeprefix("ray://").partition(":")[0]
        raise InputError(
            f"`sweep cluster join` takes HOST:PORT of the cluster's head, got {address!r}",
            field="ADDRESS",
            hint=f"try {host or '10.0.0.1'}:6379",
        )


def resolved(address: str) -> tuple[str, int]:
    """Return the IPv4 address of an address's host, and its port.

    Raises:
        SurroundingsError: The host has no name that is known here.
    """
    host, port = split(address)
    try:
        return str(socket.getaddrinfo(host, port, socket.AF_INET)[0][4][0]), port
    except (OSError, UnicodeError) as error:
        raise _unknown(address) from error


def answers(address: str, *, wait_s: float = 2.0) -> bool:
    """Tell whether something listens at `HOST:PORT`."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=wait_s).close()
    except OSError:
        return False
    return True


def _split(address: str) -> tuple[str, int] | None:
    place = address.removeprefix("ray://")
    host, _, port = place.rpartition(":")
    if not host or "/" in place or not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        return None
    return host.strip("[]"), int(port)


def _unknown(address: str) -> SurroundingsError:
    host = split(address)[0]
    return SurroundingsError(
        f"no machine is known here by the name {host!r}",
        field="--address",
        hint="is it spelled right? its number would do as well",
    )
