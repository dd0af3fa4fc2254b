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
        SurroundingsError: Nothing answers there.
    """
    if address == "auto":
        return
    try:
        socket.create_connection(split(address), timeout=wait_s).close()
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
    place = address.removeprefix("ray://")
    host, _, port = place.rpartition(":")
    if not host or "/" in place or not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        outside = address.startswith("ray://")
        raise InputError(
            f"--address takes HOST:PORT or ray://HOST:PORT, got {address!r}",
            field="--address",
            hint="try ray://10.0.0.1:10001" if outside else "try 10.0.0.1:6379, from outside ray://10.0.0.1:10001",
        )
    return host.strip("[]"), int(port)


def answers(address: str, *, wait_s: float = 2.0) -> bool:
    """Tell whether something listens at `HOST:PORT`."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=wait_s).close()
    except OSError:
        return False
    return True
