"""`Limits`: how much a client of the web API may send, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_BODY: Final = 8_000_000
MAX_ROWS: Final = 10_000
TIMEOUT_S: Final = 30.0
CONNECTIONS: Final = 512
"""Few enough for the 1,024 files that a process may usually hold open."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may do.

    Attributes:
        body_bytes: Of a request.
        rows: Of a request.
        timeout_s: Seconds that the head of a request may take to come, its body, and its answer; each.
        rate: Requests a second of one client, in the long run; 0: as many as it likes.
        connections: At once; the one that has waited longest without a request goes first.
    """

    body_bytes: int = MAX_BODY
    rows: int = MAX_ROWS
    timeout_s: float = TIMEOUT_S
    rate: float = 0.0
    connections: int = CONNECTIONS

    @property
    def held_bytes(self) -> int:
        """Bytes of all bodies that are being read or predicted, beyond which none but small ones are let in."""
        return max(4 * self.body_bytes, 32_000_000)
