"""`Web`: asks for addresses over HTTP, patiently and with limits; all trouble is told in one sentence."""

from __future__ import annotations

import functools
import math
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final

import httpx

from search.data.fetch import Say, quiet
from search.data.web.answers import Answer, Streamed, check_status, plain_headers, target_of
from search.data.web.body import Body, continues
from search.data.web.guard import Guard, Resolver, parse_url, resolve, shown, stays
from search.data.web.retry import Again, Patience
from search.data.web.watch import Watch
from search.data.web.writing import begin_anew, check_space, write
from search.errors import SurroundingsError

__all__ = ["MAX_REDIRECTS", "Answer", "Streamed", "Web"]

MAX_REDIRECTS: Final = 10
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_HEADERS: Final = 3  # time-outs: to connect, to agree on a key, to send the headers
_AGENT: Final = "sweep-search"
_HARMLESS: Final = ("accept", "accept-encoding", "range", "if-range", "if-none-match", "if-modified-since")

Params = Mapping[str, str | int | float | bool | None]


class Web:
    """Asks for addresses; a context manager.

    Failed connections, time-outs and the statuses 408, 425, 429, 500, 502, 503, 504 are tried again, at growing
    intervals or when the server says; all else is told at once. Redirects are followed one by one, each judged as an
    address that came from a response.

    Args:
        origin: The URL that the user wrote. A user and password in it become an Authorization header.
        allow: Other hosts that responses may lead to.
        headers: Sent to the origin only.
        say: Hears what is waited for.
        attempts: How often to try, the first time included.
        timeout_s: How long the other side may be silent.
        total_s: How long `get` may take for one address, waiting included.
        retry_after_cap_s: The longest wait that a server can ask for.
        max_bytes: Of a body, unpacked.
        stay: Keep addresses from responses on the origin; False lets them lead to any public host.
        resolver: Looks names up.
        sleep: Waits a number of seconds.
    """

    def __init__(
        self,
        origin: str,
        *,
        allow: Collection[str] = (),
        headers: Mapping[str, str] | None = None,
        say: Say = quiet,
        attempts: int = 5,
        timeout_s: float = 30,
        total_s: float = 600,
        retry_after_cap_s: float = 60,
        max_bytes: int = 64 << 20,
        stay: bool = True,
        resolver: Resolver = resolve,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        home = parse_url(origin)
        self._home = home.copy_with(userinfo=b"", fragment=None)
        self._headers = httpx.Headers(plain_headers(headers or {}))
        if home.userinfo and "authorization" not in self._headers:
            request = next(httpx.BasicAuth(home.username, home.password).auth_flow(httpx.Request("GET", self._home)))
            self._headers["authorization"] = request.headers["authorization"]
        self._guard = Guard(self._home, allow=allow, stay=stay, resolver=resolver)
        self._patience = Patience(say, attempts, retry_after_cap_s, sleep)
        self._timeout_s = timeout_s
        self._total_s = total_s
        self._max_bytes = max_bytes
        self._clients: dict[str, httpx.Client] = {}
        self._cookies = httpx.Cookies()
        self._watch = Watch()

    def __enter__(self) -> Web:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def get(
        self,
        url: str,
        *,
        params: Params | None = None,
        from_response: bool = False,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> Answer:
        """Return the whole answer to a GET.

        Args:
            url: Absolute.
            params: Added to its query.
            from_response: It came in a response, and not from the user.
            headers: Sent along, to the origin only.
            accept: Statuses that are answers too, besides 200 to 299.

        Raises:
            InputError: It is not a URL, or a header is not one.
            RefusedError: It, or a redirect, leads where it may not.
            SurroundingsError: There is no usable answer.
        """
        whole = self._parse(url, params)
        deadline = time.monotonic() + self._total_s

        def once() -> Answer:
            with self._open(whole, headers, from_response=from_response, deadline=deadline) as (response, place):
                check_status(response, place, accept)
                content = b"".join(Body(response, place, self._max_bytes).chunks(deadline=deadline))
                return Answer(str(place), response.status_code, dict(response.headers.items()), content)

        return self._patience.ask(shown(whole), once, total_s=self._total_s)

    def stream_to(
        self,
        url: str,
        path: Path,
        *,
        offset: int = 0,
        etag: str | None = None,
        from_response: bool = False,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
        begin: Callable[[Streamed], None] | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Streamed:
        """Write the body of the answer to a GET into a file, going on where it was cut.

        There is no limit on the time it takes, as long as something comes.

        Args:
            url: Absolute.
            path: Of the file; its folder is there.
            offset: Bytes that the file has already, if they are of the content that `etag` names.
            etag: The `validator` of the answer that those bytes are of; without it, all is asked for anew.
            from_response: It came in a response, and not from the user.
            headers: Sent along, to the origin only.
            accept: Statuses that are answers too, besides 200 and 206; nothing is written then.
            begin: Hears of each answer before its body is written.
            progress: Hears how many bytes are there, and how many there will be, or None.

        Raises:
            InputError: It is not a URL, or a header is not one.
            RefusedError: It, or a redirect, leads where it may not.
            SurroundingsError: There is no usable answer, or no space for it.
        """
        whole = self._parse(url, None)
        have, tag = (offset, etag) if etag else (0, None)

        def once() -> Streamed:
            nonlocal have, tag
            wanted = {**(headers or {}), "accept-encoding": "identity"}
            if have and tag:
                wanted |= {"range": f"bytes={have}-", "if-range": tag}
            with self._open(whole, wanted, from_response=from_response) as (response, place):
                status, found = response.status_code, dict(response.headers.items())
                if status in accept:
                    return Streamed(str(place), status, found, have, None)
                if have and (status == 416 or (status == 206 and not continues(response, have))):
                    have, tag = 0, None  # what is there is not a part of it
                    raise Again(f"{shown(place)} cannot be continued", wait_s=0)
                check_status(response, place)
                have = have if status == 206 else 0
                body = Body(response, place, self._max_bytes, have=have)
                answer = Streamed(str(place), status, found, have, body.total)
                tag = None if body.is_packed else answer.validator
                check_space(path, answer)
                if not have:
                    begin_anew(path)
                if begin is not None:
                    begin(answer)
                for size in write(path, have, body.chunks(patience_s=self._timeout_s)):
                    have = size
                    if progress is not None:
                        progress(have, answer.total)
                return replace(answer, size=have)

        return self._patience.ask(shown(whole), once, total_s=None, have=lambda: have)

    def _parse(self, url: str, params: Params | None) -> httpx.URL:
        parsed = parse_url(url).copy_with(userinfo=b"", fragment=None)
        return parsed.copy_merge_params(dict(params)) if params else parsed

    @contextmanager
    def _open(
        self,
        url: httpx.URL,
        headers: Mapping[str, str] | None,
        *,
        from_response: bool,
        deadline: float | None = None,
    ) -> Iterator[tuple[httpx.Response, httpx.URL]]:
        """Ask, follow redirects, and give the answer, its body still to come, and where it came from."""
        place = url
        seen: set[tuple[str, ...]] = {(str(url),)}
        given = plain_headers(headers or {})
        for _ in range(MAX_REDIRECTS + 1):
            left_s = math.inf if deadline is None else deadline - time.monotonic()
            with self._watch.within(min(_HEADERS * self._timeout_s, left_s)):
                response = self._send(place, given, from_response=from_response)
            try:
                if response.status_code not in _REDIRECTS:
                    yield response, place
                    return
                target = target_of(response, place)
                step = (str(target), *sorted(f"{one.name}={one.value}" for one in self._cookies.jar))
                if step in seen:
                    raise SurroundingsError(f"{shown(url)} redirects in a circle, to {shown(target)}", field="data")
                seen.add(step)
                place, from_response = target, True
            finally:
                response.close()
        raise SurroundingsError(f"{shown(url)} redirects more than {MAX_REDIRECTS} times", field="data")

    def _send(self, url: httpx.URL, given: Mapping[str, str], *, from_response: bool) -> httpx.Response:
        """Ask once, at one of the addresses that the guard names, and return the open answer."""
        addresses = self._guard.judge(url, from_response=from_response)
        headers = {"user-agent": _AGENT, "accept-encoding": "gzip"}
        headers |= {name: value for name, value in given.items() if name in _HARMLESS}
        if stays(self._home, url):
            headers |= {**self._headers, **given}
        # Cookies are kept here, by the hosts' names: a client that connects to a judged address knows no name.
        named = httpx.Request("GET", url)
        self._cookies.set_cookie_header(named)
        headers |= {name: value for name, value in named.headers.items() if name in ("cookie", "host")}
        response = self._connect(url, headers, addresses)
        self._cookies.extract_cookies(httpx.Response(response.status_code, headers=response.headers, request=named))
        return response

    def _connect(self, url: httpx.URL, headers: Mapping[str, str], addresses: Sequence[str]) -> httpx.Response:
        """Return the open answer of the first of these addresses that can be connected to."""
        client = self._client(url.host if addresses else "")
        extensions = {"trace": self._watch.trace, "sni_hostname": url.raw_host.decode("ascii")}
        for number, address in enumerate(addresses or [url.host], start=1):
            request = client.build_request("GET", url.copy_with(host=address), headers=headers, extensions=extensions)
            try:
                return client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number >= len(addresses):
                    raise
            finally:
                client.cookies.clear()
        raise AssertionError("there is at least one address")

    def _client(self, host: str) -> httpx.Client:
        """Return the connections to hosts by name (""), or to the judged addresses of one host."""
        if host not in self._clients:
            self._clients[host] = httpx.Client(verify=_tls(), timeout=self._timeout_s, follow_redirects=False)
        return self._clients[host]


@functools.cache
def _tls() -> ssl.SSLContext:
    """Return the certificates that are trusted; reading them takes longer than most requests."""
    return httpx.create_ssl_context()
