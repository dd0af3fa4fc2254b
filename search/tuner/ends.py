"""How the drivers of a home ended: in a file of each study, and in memory until a full disk takes it: the `Ends`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from search.paths import StudyFolder, write_atomic

_MOST_SAID: Final = 20_000


@dataclass(frozen=True, slots=True)
class End:
    """How a driver ended.

    Attributes:
        code: Its exit code; None where nobody saw it.
        error: The error that it told, as `--json` tells it; None for none.
        said: What else it said.
        request: Id of the wish that it answered.
    """

    code: int | None = None
    error: Mapping[str, Any] | None = None
    said: tuple[str, ...] = ()
    request: str = ""


class Ends:
    """How the last driver of each study ended."""

    def __init__(self) -> None:
        self._unwritten: dict[str, End] = {}

    def of(self, folder: StudyFolder) -> End | None:
        """Return how a study's last driver ended; None if nobody noted it."""
        if (end := self._unwritten.get(folder.name)) is not None:
            return end
        try:
            known = json.loads(folder.ended.read_text())
            return End(known["code"], known["error"], tuple(known["said"]), str(known.get("request", "")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def note(self, folder: StudyFolder, end: End) -> None:
        """Note how a study's driver ended, so that it is held no more.

        Raises:
            OSError: It cannot be written: that it is known, and is to be written later.
        """
        self._unwritten[folder.name] = end
        told = {"request": end.request, "code": end.code, "error": end.error, "said": end.said}
        write_atomic(folder.ended, json.dumps(told))
        folder.held.unlink(missing_ok=True)
        del self._unwritten[folder.name]

    def unwritten(self, study: str) -> End | None:
        """Return an end that is yet to be written."""
        return self._unwritten.get(study)

    def forget(self, folder: StudyFolder) -> None:
        """Forget how a study's driver ended: it has another one."""
        self._unwritten.pop(folder.name, None)
        folder.ended.unlink(missing_ok=True)


def told(folder: StudyFolder, said_from: int) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """Return the error that a driver told last, if any, and what else it said, from this byte of its log on."""
    try:
        with folder.driver_log.open("rb") as log:
            log.seek(max(said_from, os.fstat(log.fileno()).st_size - _MOST_SAID))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return None, ()
    error, said = None, []
    for line in lines:
        try:
            found = json.loads(line)["error"]
            error = {name: found[name] for name in ("code", "field", "message", "hint")}
        except (ValueError, KeyError, TypeError):
            said.append(line)
    return error, tuple(said)
