"""`KeyWindow`: the idempotency keys that count, each with the answer that its request got; bounded in number, age."""

from __future__ import annotations

import hashlib
import json
import struct
import time
from collections.abc import Iterator
from typing import Final

from search.data.collect.manifest import Part
from search.data.collect.place import CollectionFolder
from search.data.collect.record import Answer
from search.errors import SurroundingsError

MOST: Final = 1_000_000
"""Keys: the last half of as many always count."""

DAYS: Final = 7
"""How long a key counts."""

_HEAD: Final = struct.Struct("<d16sII")
_AGE_S: Final = DAYS * 86_400.0


class KeyWindow:
    """Remembers keys in two generations, of which the older is forgotten when the younger is full."""

    def __init__(self, most: int = MOST) -> None:
        self._half = max(1, most // 2)
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def add(self, key: str, at: float, body: str, answer: Answer) -> None:
        """Remember a key.

        Args:
            key: As it came.
            at: When, in unix seconds.
            body: The digest of its request.
            answer: What the request was told.
        """
        head = _HEAD.pack(at, bytes.fromhex(body), answer.accepted, answer.rejected)
        self._young[digest(key.encode())] = head + (json.dumps(answer.errors).encode() if answer.errors else b"")
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}

    def find(self, key: str) -> tuple[str, Answer] | None:
        """Return the digest of the request that had this key, and its answer; None if there was none lately."""
        name = digest(key.encode())
        known = self._young.get(name) or self._old.get(name)
        if known is None:
            return None
        at, body, accepted, rejected = _HEAD.unpack_from(known)
        if at < time.time() - _AGE_S:
            return None
        errors = json.loads(known[_HEAD.size :]) if len(known) > _HEAD.size else ()
        return body.hex(), Answer(accepted, rejected, tuple(errors))


def read_keys(folder: CollectionFolder, part: Part) -> Iterator[tuple[str, float, str, Answer]]:
    """Yield the keys of a compacted segment: each with its time, the digest of its request, and the answer.

    Raises:
        SurroundingsError: They cannot be read.
    """
    path = folder.keys(part.number)
    try:
        for line in path.read_bytes().splitlines():
            told = json.loads(line)
            answer = Answer(told["accepted"], told["rejected"], tuple(told["errors"]))
            yield told["key"], told["at"], told["body"], answer
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SurroundingsError(f"{path} cannot be read: {str(error)[:80]}", field="results") from error


def is_over(until: float, now: float) -> bool:
    """Tell whether keys of that time count no longer."""
    return until < now - _AGE_S


def digest(content: bytes) -> bytes:
    """Return 16 bytes that stand for a key or a request."""
    return hashlib.blake2b(content, digest_size=16).digest()
