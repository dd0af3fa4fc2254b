"""The body of a request, read with a cap on its bytes and on what all bodies hold together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from search.serve.limits import Limits
from search.serve.metrics import Metrics
from search.serve.reply import Reply, refusal

if TYPE_CHECKING:
    from starlette.types import Receive

_LISTENS: Final = 4
"""Times the cap: so much of a body is read, and thrown away, so that its client gets to read why."""

_DISCARD_S: Final = 2.0

BUSY: Final = refusal(503, "too much is being predicted at once", hint="send it again in a moment", close=True)


async def read_body(heads: Mapping[bytes, bytes], receive: Receive, limits: Limits, metrics: Metrics) -> bytes | Reply:
    """Return the body of a request, or why it is not read; its bytes are counted as held until `metrics` is told.

    Args:
        heads: Headers of the request.
        receive: Of ASGI.
        limits: Of bodies.
        metrics: Counts the bytes that are held; of a body that is returned they stay counted.

    Raises:
        ConnectionError: The client has gone.
    """
    declared = heads.get(b"content-length", b"")
    if declared.isdigit():
        size = int(declared[:20])
        if size > limits.body_bytes and (_asks_first(heads) or size > _LISTENS * limits.body_bytes):
            return _too_large(limits)
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body") and message["type"] == "http.request" and len(body) <= limits.body_bytes:
        if metrics.held_bytes + len(body) > limits.held_bytes:
            return BUSY
        metrics.held_bytes += len(body)
        return body
    found, total = bytearray(), 0
    held = 0
    try:
        while True:
            if message["type"] == "http.disconnect":
                raise ConnectionError
            chunk = message.get("body", b"")
            total += len(chunk)
            if total <= limits.body_bytes:
                if metrics.held_bytes + len(chunk) > limits.held_bytes:
                    return BUSY
                metrics.held_bytes += len(chunk)
                held += len(chunk)
                found += chunk
            else:
                found.clear()
            if not message.get("more_body") or total > _LISTENS * limits.body_bytes:
                break
            message = await receive()
        if total > limits.body_bytes:
            return _too_large(limits)
        held = 0  # it stays counted
        return bytes(found)
    finally:
        metrics.held_bytes -= held


async def discard(heads: Mapping[bytes, bytes], receive: Receive, limits: Limits) -> None:
    """Read what comes of a body that is refused, so that its client gets to read why."""
    if _asks_first(heads) or (b"content-length" not in heads and b"transfer-encoding" not in heads):
        return
    total = 0
    try:
        async with asyncio.timeout(_DISCARD_S):
            while total <= _LISTENS * limits.body_bytes:
                message = await receive()
                total += len(message.get("body", b""))
                if not message.get("more_body"):
                    return
    except TimeoutError:
        return


def _asks_first(heads: Mapping[bytes, bytes]) -> bool:
    return heads.get(b"expect", b"").lower() == b"100-continue"


def _too_large(limits: Limits) -> Reply:
    return refusal(
        413, f"a request has at most {limits.body_bytes / 1e6:g} MB; send fewer rows at once", field="body", close=True
    )
