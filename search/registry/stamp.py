"""When something was changed, and by whom: the `Stamp` of every entry."""

from __future__ import annotations

import getpass
import os
import socket
from datetime import UTC, datetime
from typing import NamedTuple


class Stamp(NamedTuple):
    """When, in UTC to the second, and by whom, as user@host."""

    when: str
    by: str


def stamp() -> Stamp:
    """Return the stamp of what this process does now."""
    when = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return Stamp(when, f"{user}@{socket.gethostname()}")
