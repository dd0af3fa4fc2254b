"""`Hosts`: the names under which a server is known, so that no web page reaches it under a name of its own."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from search.errors import InputError

_NAME: Final = re.compile(r"[\w-]+(\.[\w-]+)*\.?|[0-9a-fA-F:.]+")
"""A name or an address, as a `Host` header has it, without brackets and port."""


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

        Raises:
            InputError: One of these can be in no request.
        """
        if wrong := [name for name in allowed if not _NAME.fullmatch(name) or re.fullmatch(r"[^:]+:\d+", name)]:
            said = f"--allow-host takes a name such as models.example.org, got {wrong[0][:60]!r}"
            raise InputError(said, field="--allow-host", hint="without scheme, port and path")
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

    def refusal(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Return status and sentence for a request that another web page makes; None for one of our pages or people.

        A browser tells of the page in `Origin`, where that matters, and in `Sec-Fetch-Site`; links may lead here.

        Args:
            headers: By names in small letters.
        """
        host = headers.get("host", "")
        if not self.allow(host):
            return 421, "this server is not known under that Host; open the address that it printed"
        foreign = headers.get("origin", f"http://{host}") != f"http://{host}"
        if headers.get("sec-fetch-mode") != "navigate" or headers.get("sec-fetch-dest", "document") != "document":
            foreign |= headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        return (403, "another page may not ask this server") if foreign else None
