"""Who runs a study that lies in an object store, and until when: the `Lease`.

Each holder has an object of its own, `lease-<n>.json`; the highest n holds. To take a lease that is over is to create
the next one, which a store with conditional writes lets one machine do. In a store without them two machines that
start in the same second may both believe that they hold it; the next renewal tells one of them.
"""

from __future__ import annotations

import json
import re
import socket
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import psutil

from search.errors import RefusedError
from search.remote.place import Place
from search.study.holder import start_of

LEASE_S: Final = 180.0
"""How long a lease holds that is not renewed; clocks of machines may differ by less."""

_NAME: Final = re.compile(r"lease-([0-9]{1,9})\.json")


class Lease:
    """The right to run a study.

    Args:
        place: Where the study lies.
        study: Its name.
        pid: Of the process that runs it.
        clock: Unix time, in seconds.
    """

    def __init__(self, place: Place, study: str, pid: int, clock: Callable[[], float] = time.time) -> None:
        self._place, self._study, self._clock = place, study, clock
        self._me = {"id": uuid.uuid4().hex, "host": socket.gethostname(), "pid": pid, "started": start_of(pid)}
        self._number, self._renewed = 0, 0.0

    def take(self) -> None:
        """Take it.

        Raises:
            RefusedError: Another process has it.
        """
        highest = max(self._numbers(), default=0)
        holder = self._told(highest) if highest else None
        if holder is not None and holder.get("until", 0) > self._clock() and not _is_dead(holder):
            raise self._refused(holder)
        number = highest + 1
        if not self._place.create(self._key(number), self._content(LEASE_S)):
            raise self._refused(self._told(number) or {})
        self._number, self._renewed = number, self._clock()
        self._place.remove(self._key(old) for old in self._numbers() if old < number)

    def renew(self) -> None:
        """Hold it for longer.

        Raises:
            RefusedError: Another process took it, since it was over.
        """
        highest = max(self._numbers(), default=self._number)
        holder = self._told(highest)
        if highest != self._number or (holder is not None and holder.get("id") != self._me["id"]):
            raise self._refused(holder or {})
        self._place.write(self._key(self._number), self._content(LEASE_S))
        self._renewed = self._clock()

    def beat(self) -> None:
        """Hold it for longer if a sixth of its time is over: what is large takes long to send.

        Raises:
            RefusedError: Another process took it.
        """
        if self._clock() - self._renewed > LEASE_S / 6:
            self.renew()

    def release(self) -> None:
        """Give it back."""
        if self._number and max(self._numbers(), default=0) == self._number:
            self._place.write(self._key(self._number), self._content(0.0))

    def _numbers(self) -> list[int]:
        return [int(found[1]) for name in self._place.names(self._study) if (found := _NAME.fullmatch(name))]

    def _key(self, number: int) -> str:
        return f"{self._study}/lease-{number}.json"

    def _content(self, holds_s: float) -> bytes:
        return json.dumps({**self._me, "until": self._clock() + holds_s if holds_s else 0}).encode()

    def _told(self, number: int) -> dict[str, Any] | None:
        try:
            told = json.loads(self._place.read(self._key(number)) or b"null")
        except ValueError:
            return None
        return told if isinstance(told, dict) and isinstance(told.get("until"), (int, float)) else None

    def _refused(self, holder: dict[str, Any]) -> RefusedError:
        where = f"pid {holder.get('pid', '?')} on {str(holder.get('host', '?'))[:40]}"
        until = datetime.fromtimestamp(float(holder.get("until", 0))).astimezone().strftime("%H:%M:%S")
        return RefusedError(
            f"study {self._study!r} at {self._place.url} is run by {where}, until {until} at least",
            field="study",
            hint="stop it there first; a lost machine's lease ends by itself",
        )


def _is_dead(holder: dict[str, Any]) -> bool:
    """Tell whether a holder was a process of this machine that is no more."""
    if holder.get("host") != socket.gethostname() or not isinstance(pid := holder.get("pid"), int):
        return False
    return not psutil.pid_exists(pid) or start_of(pid) != holder.get("started")
