"""A small process that outlives its sweep by a moment: whatever way that ended, nothing of it stays behind.

It is started before Ray, waits for the end of the pipe that the driver holds, and then kills what the driver named,
their descendants, and every process that carries the sweep's mark in its environment. A kill -9 of the driver closes
the pipe like any other end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

import psutil

MARK: Final = "SWEEP_FAMILY"
"""Environment variable that everything which a sweep starts inherits."""

_SCRATCH: Final = "sweep-"
"""What names of temporary folders begin with that may be removed."""

_ROUNDS: Final = 20
_ROUND_S: Final = 0.25


class Reaper:
    """The driver's end of the pipe. Starts the process; `close` lets it do its work, and waits for that.

    Attributes:
        mark: What the family's environment carries.
    """

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        os.environ[MARK] = self.mark
        self._process = subprocess.Popen(
            [sys.executable, __file__, self.mark, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # out of reach of a terminal's Ctrl-C
            cwd="/",
            bufsize=0,  # a buffer has a lock, which a thread that a signal stopped may hold
        )

    def know(self, processes: Iterable[psutil.Process]) -> None:
        """Name processes that must not outlive the driver."""
        self._write("".join(f"pid {one.pid} {one.create_time()!r}\n" for one in processes))

    def know_folder(self, folder: Path) -> None:
        """Name a temporary folder that must not outlive the driver."""
        self._write(f"folder {folder}\n")

    def close(self) -> None:
        """Have it end the family, leave the folders to this process, and wait for it; harmless when repeated."""
        os.environ.pop(MARK, None)
        self._write("done\n")
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
                self._process.stdin = None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)

    def _write(self, text: str) -> None:
        with suppress(OSError):  # it has died: then the driver's own cleaning has to do
            if text and self._process.stdin is not None:
                self._process.stdin.write(text.encode())


def main(arguments: list[str], told: IO[str]) -> None:
    """Wait for the driver's end, then kill and remove what it left.

    Args:
        arguments: The mark, and the driver's process id.
        told: What the driver names, a line each.
    """
    mark, driver = arguments
    processes: list[psutil.Process] = []
    folders: list[str] = []
    for line in told:
        kind, _, rest = line.rstrip("\n").partition(" ")
        if kind == "folder":
            folders.append(rest)
        elif kind == "done":
            folders.clear()
        elif kind == "pid":
            pid, _, started = rest.partition(" ")
            with suppress(psutil.Error, ValueError):
                one = psutil.Process(int(pid))
                if abs(one.create_time() - float(started)) < 1:
                    processes.append(one)
    spared = {os.getpid(), int(driver)}
    for _ in range(_ROUNDS):
        left = _alive(processes, mark, spared)
        if not left:
            break
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(left, timeout=_ROUND_S)
    for folder in folders:
        _remove(Path(folder))


def _alive(processes: list[psutil.Process], mark: str, spared: set[int]) -> list[psutil.Process]:
    """Return what still runs of the processes, their descendants, and all that carry the mark."""
    found = {one for one in processes if _runs(one)}
    for one in list(found):
        with suppress(psutil.Error):
            found.update(one.children(recursive=True))
    for one in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if one.pid not in spared and one.environ().get(MARK) == mark:
                found.add(one)
    processes.extend(found - set(processes))  # whose children may show only now
    return [one for one in found if one.pid not in spared and _runs(one)]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _remove(folder: Path) -> None:
    if folder.parent == Path(tempfile.gettempdir()) and folder.name.startswith(_SCRATCH) and not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:], sys.stdin)
