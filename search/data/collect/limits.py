"""`Limits`: how much a client may send, and for how long."""

from __future__ import annotations

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
