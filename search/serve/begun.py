"""Counts what has begun, so that who ends can wait for it: the `Begun`."""

from __future__ import annotations

import asyncio


class Begun:
    """Entered by each request; for one event loop."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    def __enter__(self) -> None:
        self._count += 1
        self._none.clear()

    def __exit__(self, *of_error: object) -> None:
        self._count -= 1
        if not self._count:
            self._none.set()

    async def ended(self) -> None:
        """Wait until none is left."""
        await self._none.wait()
