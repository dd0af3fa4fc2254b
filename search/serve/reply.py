"""What a request is answered with, before it is bytes of HTTP: the `Reply`."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

JSON = b"application/json"


class Reply(NamedTuple):
    """An answer.

    Attributes:
        status: Of HTTP.
        body: Its bytes.
        kind: Of the body.
        headers: More of them.
        close: Whether the connection ends behind it.
    """

    status: int
    body: bytes
    kind: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    close: bool = False


def as_reply(status: int, told: Any) -> Reply:
    """Return JSON as an answer."""
    return Reply(status, json.dumps(told, ensure_ascii=False).encode())


def refusal(
    status: int,
    message: str,
    *,
    field: str = "",
    hint: str = "",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    close: bool = False,
) -> Reply:
    """Return an error, in the form that all have."""
    told = {"error": {"code": status, "field": field, "message": message, "hint": hint}}
    if status == 503:
        headers = (*headers, (b"retry-after", b"1"))
    return Reply(status, json.dumps(told).encode(), JSON, headers, close)
