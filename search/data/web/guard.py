"""Where a program may be led by what a server sent it: `Guard`, against requests forged by redirects and next pages."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Collection
from typing import Final
from urllib.request import getproxies, proxy_bypass

import httpx

from search.errors import InputError, RefusedError

Resolver = Callable[[str, int], tuple[str, ...]]
"""Returns the IP addresses of a host and port; raises `OSError` where there are none."""

_PORTS: Final = {"http": 80, "https": 443}
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_MAX_SHOWN: Final = 120


def parse_url(url: str) -> httpx.URL:
    """Return a URL taken apart, by the same rules by which it is asked for.

    Raises:
        InputError: It is not a http or https URL.
    """
    try:
        parsed = httpx.URL(url.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise InputError(f"{shown(url)!r} is not a URL of the form https://HOST/PATH", field="data") from error
    if parsed.scheme not in _PORTS or not parsed.host or not 0 < origin_of(parsed)[2] < 65536:
        raise InputError(f"{shown(url)!r} is not a URL of the form https://HOST/PATH", field="data")
    return parsed


def shown(url: object) -> str:
    """Return a URL as people may see it: without user, password, fragment, and the values of its query.

    A long one ends before a whole step of its path or query: half of a secret that stands there would not be found and
    masked afterwards.
    """
    text = re.sub(r"[^\x21-\x7e]", "", str(url).partition("#")[0])
    place, mark, query = text.partition("?")
    place = re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*:)?//[^/]*@", lambda found: f"{found[1] or ''}//", place)
    names = [pair.partition("=")[0] + "=*" if "=" in pair else "*" for pair in query.split("&")]
    text = place + mark + ("&".join(names) if query else "")
    if len(text) <= _MAX_SHOWN:
        return text
    end = max(text.rfind(mark, 0, _MAX_SHOWN) for mark in "/?&")
    return f"{text[: end + 1]}..."


def origin_of(url: httpx.URL) -> tuple[str, str, int]:
    """Return scheme, host and port."""
    return url.scheme, url.host.rstrip("."), url.port or _PORTS.get(url.scheme, 0)


def stays(home: httpx.URL, url: httpx.URL) -> bool:
    """Tell whether `url` has the origin of `home`, or is the same host by https instead of http."""
    upgraded = origin_of(home) == ("http", home.host.rstrip("."), 80) and origin_of(url) == (
        "https",
        home.host.rstrip("."),
        443,
    )
    return origin_of(url) == origin_of(home) or upgraded


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the open internet, also where it is wrapped in an IPv6 one."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if int(ip) >> 32 == 0:  # IPv4-compatible, long out of use
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def resolve(host: str, port: int) -> tuple[str, ...]:
    """Return the IP addresses of a host, in the order in which they are to be tried.

    Raises:
        OSError: It has none, or nobody can be asked.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a part of the name is empty or too long
        raise OSError(socket.EAI_NONAME, "no such host") from error
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


class Guard:
    """Judges each address before it is asked for.

    What the user wrote may be anything, this machine included. An address that came in a response stays on the user's
    origin; with `stay=False`, it may also be any host whose addresses are all public, since downloads are often
    redirected to a network of mirrors. Then the connection goes to just the addresses that were judged, so that a name
    that means another address a moment later (DNS rebinding) gains nothing.

    Args:
        home: What the user wrote.
        allow: Hosts, or HOST:PORT, that the user allows as well, whatever they are.
        stay: Keep addresses from responses on the user's origin.
        resolver: Looks names up.
    """

    def __init__(
        self, home: httpx.URL, *, allow: Collection[str] = (), stay: bool = True, resolver: Resolver = resolve
    ) -> None:
        self._home = home
        self._allow = {host.strip().lower().rstrip(".") for host in allow}
        self._stay = stay
        self._resolver = resolver
        self._home_addresses: tuple[str, ...] | None = None

    def judge(self, url: httpx.URL, *, from_response: bool) -> tuple[str, ...]:
        """Return the IP addresses that may be connected to for `url`; none means: whatever its name stands for.

        Raises:
            RefusedError: It may not be asked for.
            OSError: Its host cannot be looked up.
        """
        if url.scheme not in _PORTS or not url.host:
            raise RefusedError(f"a response leads to {shown(url)!r}; only http and https are followed", field="data")
        if self._home_addresses is None:
            self._home_addresses = () if _is_proxied(self._home) else self._look_up_home()
        if not from_response or self._allowed(url):
            return ()
        if stays(self._home, url):
            public = bool(self._home_addresses) and all(map(is_public, self._home_addresses))
            return self._home_addresses if public and not _is_proxied(url) else ()
        if self._stay:
            raise self._refusal(url, "which is not where the data was asked for")
        try:
            addresses = self._resolver(url.host, origin_of(url)[2])
        except OSError:
            if _is_proxied(url):
                raise self._refusal(url, "whose address is not known here") from None
            raise
        if not addresses or not all(map(is_public, addresses)):
            raise self._refusal(url, "which is not on the public internet")
        return () if _is_proxied(url) else addresses

    def _look_up_home(self) -> tuple[str, ...]:
        try:
            return self._resolver(self._home.host, origin_of(self._home)[2])
        except OSError:  # asking for it will tell
            return ()

    def _allowed(self, url: httpx.URL) -> bool:
        _, host, port = origin_of(url)
        return not self._allow.isdisjoint({host, f"{host}:{port}"})

    def _refusal(self, url: httpx.URL, why: str) -> RefusedError:
        place, home = _place(url)[:60], _place(self._home)[:60]
        return RefusedError(f"{home} leads to {place}, {why}", field="data", hint=f"allow={place} permits it")


def _place(url: httpx.URL) -> str:
    """Return the host, with the port where it is not the usual one."""
    scheme, host, port = origin_of(url)
    return host if port == _PORTS.get(scheme) else f"{host}:{port}"


def _is_proxied(url: httpx.URL) -> bool:
    """Tell whether a proxy makes the connection, which then looks the name up."""
    proxies = getproxies()
    return bool(proxies.get(url.scheme) or proxies.get("all")) and not proxy_bypass(url.host)
