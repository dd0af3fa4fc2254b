"""Take down a head or a node that `sweep cluster` started on this machine, and nothing else."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from search.tuner.known import StartedNode

if TYPE_CHECKING:
    import psutil

_PAUSE_S: Final = 30.0
"""How long sweeps may take to pause."""

_END_S: Final = 5.0


def stop(known: StartedNode) -> int:
    """Take it down and forget it; return how many of its processes had to be killed."""
    killed = take_down(known)
    forget(known.file)
    known.file.with_suffix(".log").unlink(missing_ok=True)
    return killed


def take_down(known: StartedNode) -> int:
    """End its processes; return how many of them had to be killed.

    Sweeps that run on it are asked to pause first. All is ended that runs in its session, Ray's agents too.
    """
    import psutil

    sweeps = {one for one in known.members() if _is_sweep(one)}
    _signal(sweeps, signal.SIGTERM)
    psutil.wait_procs(sweeps, timeout=_PAUSE_S)
    members = known.members()
    _signal(members, signal.SIGTERM)
    _, left = psutil.wait_procs(members, timeout=_END_S)
    end(left)
    return len(left)


def end(processes: Iterable[psutil.Process]) -> None:
    """Kill processes, and wait until they are gone."""
    import psutil

    killed = list(processes)
    _signal(killed, signal.SIGKILL)
    psutil.wait_procs(killed, timeout=_END_S)


def forget(record: Path) -> None:
    """Remove a record, and the token and certificates that were made for it."""
    for suffix in (".json", ".token"):
        record.with_suffix(suffix).unlink(missing_ok=True)
    shutil.rmtree(record.with_suffix(".tls"), ignore_errors=True)


def _is_sweep(process: psutil.Process) -> bool:
    import psutil

    with suppress(psutil.Error):
        return bool(process.cmdline()[1:4] == ["-m", "search", "resume"])
    return False


def _signal(processes: Iterable[psutil.Process], signum: signal.Signals) -> None:
    import psutil

    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(signum)
