"""`Limits`: how much a client may send, for how long, and under which names the server is known."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Final

MAX_MB: Final = 4.0
MAX_ROWS: Final = 10_000
READ_S: Final = 10.0
CONNECTIONS: Final = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may do.

    Attributes:
        request_bytes: Of the body of a request.
        rows: Of a request.
        read_s: Seconds that the head of a request may take to come, and its body as long again.
        connections: At once; the one that has waited longest without a request goes first.
        bodies_bytes: Of all requests that are being read or stored.
    """

    request_bytes: int = int(MAX_MB * 1e6)
    rows: int = MAX_ROWS
    read_s: float = READ_S
    connections: int = CONNECTIONS

    @property
    def bodies_bytes(self) -> int:
        return max(4 * self.request_bytes, 16_000_000)


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names that a request may call this server by.

    A web page that points its own name at this machine (DNS rebinding) calls it by that name. An address never is one.

    Attributes:
        loopback: Whether only this machine can connect.
        names: In small letters.
    """

    loopback: bool
    names: frozenset[str]

    @classmethod
    def of(cls, address: str, host: str, allowed: tuple[str, ...] = ()) -> Hosts:
        """Return the names of a server.

        Args:
            address: That its socket is bound to.
            host: As the user wrote it.
            allowed: More names that the user allows.
        """
        loopback = ipaddress.ip_address(address.partition("%")[0]).is_loopback
        own = {"localhost", host} if loopback else {"localhost", host, socket.gethostname(), socket.getfqdn()}
        return cls(loopback, frozenset(name.lower().rstrip(".") for name in {*own, *allowed}))

    def allow(self, header: str) -> bool:
        """Tell whether a `Host` header is one of them."""
        name = header.strip().lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0].rstrip(".")
        if name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self.loopback
