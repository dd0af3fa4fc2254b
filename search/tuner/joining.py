"""Start or join Ray: once more where a cluster's door fails for a moment, with Ray's reason where it stays shut."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from textwrap import shorten
from typing import Final

from search.errors import SurroundingsError
from search.tuner.reach import check_address

_AGAIN_S: Final = 1.0

_OF_HEAD: Final = {
    "Proxy failed to Connect to backend": "its head took too long to start a server for us",
    "Starting Ray client server failed": "its head could not start a server for us",
}
"""What Ray says of files on the head, and what that means here."""


def join(address: str | None, begin: Callable[[], object], clear: Callable[[], object]) -> None:
    """Join a cluster; where its door for others than its machines fails, as it does when many come, try once again.

    Args:
        address: Of the cluster; None to start one of our own on this machine.
        begin: Joins or starts it; Ray raises all kinds of errors, also plain `Exception`.
        clear: Removes what a failed attempt has left.

    Raises:
        SurroundingsError: It cannot be joined, or does not start, with Ray's reason.
    """
    try:
        begin()
    except Exception as error:
        if address is None:
            raise SurroundingsError(f"Ray does not start on this machine: {error}") from error
        passing = isinstance(error, ConnectionError) and "ersion mismatch" not in str(error)
        if not (passing and address.startswith("ray://")):
            raise _unreachable(address, error) from error
        clear()
        time.sleep(_AGAIN_S)
        check_address(address)
        try:
            begin()
        except Exception as again:
            raise _unreachable(address, again) from again


def _unreachable(address: str, error: Exception) -> SurroundingsError:
    import ray

    clash = re.search(r"Ray: (\S+)\s+Python: (\S+).*?Ray: (\S+)\s+Python: (\S+)", str(error), re.DOTALL)
    if clash is not None:
        theirs, here = f"Ray {clash[1]} / Python {clash[2]}", f"{clash[3]} / {clash[4]}"
        return SurroundingsError(f"the cluster runs {theirs}, here {here}: they must match", field="--address")
    if "ersion mismatch" in str(error):
        here = f"Ray {ray.__version__} / Python {sys.version_info.major}.{sys.version_info.minor}"
        said = f"the cluster at {address} runs other versions than {here}: they must match"
        return SurroundingsError(said, field="--address")
    if "been disconnected" in str(error):
        said = f"the connection to {address} was lost while the cluster was being joined"
        return SurroundingsError(said, field="--address", hint="try again")
    return SurroundingsError(
        f"the Ray cluster at {address} answers, and cannot be joined: {_reason(error)}",
        field="--address",
        hint="try again; if it stays so, Ray's logs on its head say why",
    )


def _reason(error: Exception) -> str:
    """Return what Ray says in a line, short enough for a sentence: the last one, where the first heads a traceback."""
    said = str(error)
    for theirs, ours in _OF_HEAD.items():
        if theirs in said:
            return ours
    lines = [line.strip() for line in said.splitlines() if line.strip(": ")] or [type(error).__name__]
    return shorten(lines[-1 if lines[0].endswith(":") else 0].rstrip(":"), 120, placeholder=" ...")
