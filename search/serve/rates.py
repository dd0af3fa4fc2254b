"""How often each client may ask: a bucket of tokens for each address, as `Rates`."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_MOST_CLIENTS: Final = 10_000


class Rates:
    """Counts requests by client; those that were heard of least lately are forgotten.

    Args:
        rate: Requests a second in the long run; as many may come at once.
        most: That may come at once, if those are others.
    """

    def __init__(self, rate: float, most: float | None = None) -> None:
        self._rate, self._most = rate, max(1.0, rate if most is None else most)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many clients are remembered."""
        return len(self._buckets)

    def wait_s(self, address: str, now_s: float, count: int = 1) -> float:
        """Count a request, and return 0; or, of one that is too many, the seconds until the next may come.

        Args:
            address: Of the client.
            now_s: Of a clock that never goes back.
            count: For how many it counts.
        """
        client = _client(address)
        left, at_s = self._buckets.pop(client, (self._most, now_s))
        left = min(self._most, left + (now_s - at_s) * self._rate)
        allowed = left >= count
        self._buckets[client] = (left - count if allowed else left, now_s)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (count - left) / self._rate


def _client(address: str) -> str:
    """Return who an address belongs to: of IPv6 a client has a whole /64."""
    if ":" not in address:
        return address
    head, gap, _ = address.partition("::")
    groups = head.split(":") if head else []
    return ":".join((groups + ["0"] * 4 if gap else groups)[:4])
