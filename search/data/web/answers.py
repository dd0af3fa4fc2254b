"""`Answer` and `Streamed`: what the other side sent, and what its status and headers mean."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from search.data.web.guard import shown
from search.data.web.retry import Again
from search.errors import InputError, SurroundingsError

_TRY_AGAIN: Final = (408, 425, 429, 500, 502, 503, 504)
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    Attributes:
        url: Where it came from in the end, without user and password; its query may hold what is secret.
        status: The HTTP status.
        headers: By their names in lower case.
        body: Unpacked, if it came packed.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            SurroundingsError: It is something else.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            what = "a web page" if self.body.lstrip()[:1] == b"<" else "something else"
            raise SurroundingsError(f"{shown(self.url)} sent {what}, not JSON", field="data") from error


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer that was written to a file, or is being written.

    Attributes:
        url: Where it came from in the end, as in `Answer`.
        status: 200, 206 where it was continued, 304 where nothing was written.
        headers: By their names in lower case, of the last answer.
        size: Bytes in the file.
        total: Bytes that the file will have, or None where the server does not say.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    size: int
    total: int | None

    @property
    def validator(self) -> str | None:
        """What names this very content in a later `If-Range`, or None where it cannot be continued."""
        tag = self.headers.get("etag", "")
        if tag.startswith('"'):  # a weak one says nothing about bytes
            return tag
        return self.headers.get("last-modified") if not tag else None


def check_status(response: httpx.Response, place: httpx.URL, accept: Collection[int] = ()) -> None:
    status = response.status_code
    if 200 <= status < 300 or status in accept:
        return
    said = f"{shown(place)} answered {status} {response.reason_phrase[:40]}".rstrip()
    if status in _TRY_AGAIN:
        raise Again(said, retry_after=response.headers.get("retry-after"))
    hints = {401: "it wants to know who asks", 403: "it may want to know who asks", 404: "is the address right?"}
    raise SurroundingsError(said, field="data", hint=hints.get(status, ""))


def target_of(response: httpx.Response, place: httpx.URL) -> httpx.URL:
    """Return where a redirect leads."""
    try:
        return place.join(response.headers["location"]).copy_with(userinfo=b"", fragment=None)
    except (KeyError, httpx.InvalidURL, ValueError) as error:
        raise SurroundingsError(f"{shown(place)} redirects to what is not an address", field="data") from error


def plain_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers by their names in lower case.

    Raises:
        InputError: One cannot be sent; its value, which may be secret, is not shown.
    """
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or not value.isascii() or not value.isprintable():
            raise InputError(f"header {name[:60]!r} cannot be sent: it is plain ASCII on one line", field=name[:60])
    return {name.lower(): value.strip() for name, value in headers.items()}
