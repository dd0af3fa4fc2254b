"""How server and workers talk: messages of known length over a pair of sockets, the `Channel`."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from dataclasses import asdict
from enum import IntEnum
from pathlib import Path
from typing import Final, cast

from search.bundle.bundle import Bundle
from search.bundle.manifest import Manifest
from search.bundle.signature import Signature
from search.serve.backend import Answer, Served
from search.serve.limits import Limits

_HEAD: Final = struct.Struct(">IBQ")
_ANSWER: Final = struct.Struct(">HIIHI")
_SIZE: Final = struct.Struct(">I")


class Kind(IntEnum):
    """What a message is. The server sends the first four, a worker the others."""

    PREDICT = 1
    LOAD = 2
    USE = 3
    DROP = 4
    ANSWER = 5
    FAILED = 6
    LOADED = 7
    REFUSED = 8


class Channel(asyncio.Protocol):
    """One end of the pair.

    Args:
        taken: Called with kind, id and content of each message.
        lost: Called when the other end is gone.
    """

    def __init__(self, taken: Callable[[int, int, bytes], object], lost: Callable[[], object]) -> None:
        self._taken, self._lost = taken, lost
        self._held = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        held = self._held
        held += data
        at = 0
        while len(held) - at >= _HEAD.size:
            length, kind, number = _HEAD.unpack_from(held, at)
            end = at + _HEAD.size + length
            if len(held) < end:
                break
            self._taken(kind, number, bytes(held[at + _HEAD.size : end]))
            at = end
        del held[:at]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._lost()

    def send(self, kind: Kind, number: int, *parts: bytes) -> None:
        """Send a message; what is sent to one who is gone is lost, which `lost` tells."""
        if self._transport is not None and not self._transport.is_closing():
            length = sum(len(part) for part in parts)
            self._transport.write(b"".join((_HEAD.pack(length, kind, number), *parts)))

    def close(self) -> None:
        """Let the other end know that nothing more comes."""
        if self._transport is not None:
            self._transport.close()


def pack_answer(answer: Answer) -> bytes:
    """Return an answer as the content of a message."""
    label = answer.label.encode()
    strange = json.dumps(dict(answer.strange)).encode() if answer.strange else b""
    head = _ANSWER.pack(answer.status, answer.rows, answer.batch, len(label), len(strange))
    return b"".join((head, label, strange, answer.body))


def unpack_answer(content: bytes) -> Answer:
    """Return the answer that `pack_answer` packed."""
    status, rows, batch, length, more = _ANSWER.unpack_from(content)
    middle = _ANSWER.size + length
    end = middle + more
    strange = json.loads(content[middle:end]) if more else {}
    return Answer(status, content[end:], rows, content[_ANSWER.size : middle].decode(), batch, strange)


def pack_order(served: Served, limits: Limits, threads: int) -> bytes:
    """Return what a worker needs to answer with a model, as the content of a message.

    The bundle goes as it was checked, and not as a path: a worker that starts later needs no folder, which may be gone.
    """
    bundle = served.bundle
    told = {
        "name": served.name,
        "version": served.version,
        "limits": asdict(limits),
        "threads": threads,
        "root": str(bundle.root),
        "digest": bundle.digest,
        "card": bundle.card,
        "manifest": bundle.manifest.to_json(),
        "signature": bundle.signature.to_json(),
    }
    head = json.dumps(told).encode()
    return b"".join((_SIZE.pack(len(head)), head, bundle.model))


def unpack_order(content: bytes) -> tuple[Served, Limits, int]:
    """Return what `pack_order` packed."""
    (length,) = _SIZE.unpack_from(content)
    end = _SIZE.size + length
    told = json.loads(content[_SIZE.size : end])
    manifest, signature = Manifest.from_json(told["manifest"]), Signature.from_json(told["signature"])
    bundle = Bundle(Path(told["root"]), manifest, signature, told["card"], content[end:], told["digest"])
    return Served(bundle, told["name"], told["version"]), Limits(**told["limits"]), told["threads"]
