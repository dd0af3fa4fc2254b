"""One command under watch: at a pseudo-terminal or behind pipes, with all its processes, files and words."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import pexpect
import psutil

from search.study.lock import FILE_NAME as LOCK
from search.tuner.reaper import MARK

ROUND: Final = "INTERRUPTS_ROUND"
"""Environment variable that everything of one command inherits."""

LEFT_S: Final = 5.0
"""How long a process or a folder may outlive its command."""

EARLY_S: Final = 0.08
"""Seconds of processor time after which it has to listen: Python's own start takes some hundredths."""

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
FOREIGN: Final = re.compile(
    r"Traceback|\*\*\*|Exception ignored|Check failed|terminate called|Fatal Python|@ +0x[0-9a-f]"
)
"""What is no sentence of ours."""

_FAMILY_EVERY_S: Final = 0.2


class Way(Protocol):
    """How a command is started, talked to and listened to."""

    pid: int

    def pump(self) -> None:
        """Take in what it has said."""

    def code(self) -> int | None:
        """Return its exit code, negative for a signal; None while it runs."""

    def all(self) -> tuple[str, str]:
        """Return stdout and stderr; what a terminal got is all on stderr."""

    def restored(self) -> list[str]:
        """Say what is wrong with the terminal after it."""


class AtTerminal:
    """A command at a terminal of its own, whose foreground it is."""

    def __init__(self, command: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self._child: pexpect.spawn[bytes] = pexpect.spawn(
            command[0], command[1:], env=dict(environment), cwd=str(folder), dimensions=(24, 90), timeout=None
        )
        self.pid = int(self._child.pid or 0)
        self._before = termios.tcgetattr(self._child.child_fd)
        self._said = b""

    def pump(self) -> None:
        with suppress(pexpect.TIMEOUT, pexpect.EOF):
            while True:
                self._said += self._child.read_nonblocking(65536, timeout=0)

    def type(self, keys: str) -> None:
        self._child.send(keys)

    def code(self) -> int | None:
        if self._child.isalive():
            return None
        self.pump()
        if self._child.signalstatus is not None:
            return -int(self._child.signalstatus)
        return int(self._child.exitstatus or 0)

    def all(self) -> tuple[str, str]:
        return "", self._said.decode(errors="replace")

    def restored(self) -> list[str]:
        found, said = [], self.all()[1]
        if said.rfind(HIDE) > said.rfind(SHOW):
            found.append("the cursor stays hidden")
        with suppress(termios.error):
            if termios.tcgetattr(self._child.child_fd) != self._before:
                found.append("the terminal's settings differ")
        self._child.close(force=False)
        return found


class BehindPipes:
    """A command whose words go into files, as they would into pipes."""

    def __init__(self, command: list[str], environment: Mapping[str, str], folder: Path, said: Path) -> None:
        self._out, self._err = said / "out", said / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, cwd=folder)
        self.pid = self._process.pid

    def pump(self) -> None:
        """Nothing: the files take all."""

    def code(self) -> int | None:
        return self._process.poll()

    def all(self) -> tuple[str, str]:
        return self._out.read_text(errors="replace"), self._err.read_text(errors="replace")

    def restored(self) -> list[str]:
        return []


@dataclass(frozen=True, slots=True)
class Left:
    """What a command left behind: processes and temporary folders, and how long it took them to go."""

    seconds: float
    what: tuple[str, ...]


class Watched:
    """A command that runs, and its family.

    Args:
        arguments: Of `sweep`.
        folder: Where it runs.
        scratch: Its folder for temporary files; a short path, for there are sockets in it.
        terminal: Whether it runs at one.
        script: Whether it is called as `sweep` and not as `python -m search`.
    """

    def __init__(self, arguments: list[str], folder: Path, scratch: Path, *, terminal: bool, script: bool) -> None:
        own = [str(Path(sys.executable).with_name("sweep"))] if script else [sys.executable, "-m", "search"]
        environment = {name: value for name, value in os.environ.items() if name not in ("SWEEP_RESULTS", MARK)}
        root = str(Path(__file__).resolve().parent.parent)
        environment |= {ROUND: str(scratch), "TMPDIR": str(scratch), "PYTHONPATH": root, "TERM": "xterm"}
        self._scratch = scratch
        self._met: dict[int, psutil.Process] = {}
        self._marks: set[str] = set()
        self._looked = 0.0
        self.way: AtTerminal | BehindPipes = (
            AtTerminal([*own, *arguments], environment, folder)
            if terminal
            else BehindPipes([*own, *arguments], environment, folder, scratch)
        )

    def look(self) -> int | None:
        """Take in what it says and whom it starts; return its exit code once it has ended."""
        self.way.pump()
        if time.monotonic() - self._looked > _FAMILY_EVERY_S:
            self._looked = time.monotonic()
            with suppress(psutil.Error):
                for one in psutil.Process(self.way.pid).children(recursive=True):
                    if self._met.setdefault(one.pid, one) is one:
                        with suppress(psutil.Error, OSError):
                            self._marks |= {one.environ().get(MARK, "")} - {""}
        return self.way.code()

    def wait(self, most_s: float) -> int | None:
        """Return its exit code; None if it does not end in time."""
        deadline = time.monotonic() + most_s
        while (code := self.look()) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return code

    def send(self, signum: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.way.pid, signum)

    def listens(self) -> bool:
        """Tell whether it handles SIGTERM, which Python by itself does not; it has to once it has run a moment."""
        try:
            if sum(psutil.Process(self.way.pid).cpu_times()[:2]) > EARLY_S:
                return True
            status = Path(f"/proc/{self.way.pid}/status").read_text()
        except (OSError, psutil.Error):
            return True
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)
        return caught is None or bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)

    def leaves(self) -> Left:
        """Wait for the end of all that it started, and of its folders; kill what does not end."""
        begun = time.monotonic()
        while (left := self._family()) or self._folders():
            if time.monotonic() - begun > LEFT_S:
                break
            time.sleep(0.05)
        seconds = time.monotonic() - begun
        names = []
        for one in left:
            with suppress(psutil.Error):
                names.append(f"process {one.pid} {' '.join(one.cmdline())[:60]}")
                one.kill()
        return Left(seconds, (*names, *(f"folder {name}" for name in self._folders())))

    def _folders(self) -> list[str]:
        kept = f"sweep-watchdog-{os.getuid()}"  # the user's, for all sweeps
        return [path.name for path in self._scratch.glob("sweep-*") if path.name != kept]

    def _family(self) -> list[psutil.Process]:
        found = {one for one in self._met.values() if _runs(one)}
        for one in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                carried = one.environ()
                if carried.get(ROUND) == str(self._scratch) or carried.get(MARK) in self._marks:
                    found.add(one)
        return [one for one in found if _runs(one) and one.pid != self.way.pid]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def lock_trouble(study: Path, *, may_stay: bool) -> list[str]:
    """Say what is wrong with a study's lock when nobody runs it.

    Args:
        study: Its folder.
        may_stay: Whether the file may be there, which a kill leaves; held it may not be.
    """
    try:
        fd = os.open(study / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return []
    found = [] if may_stay else [f"{LOCK} stays"]
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        found.append(f"{LOCK} is held")
    os.close(fd)
    return found


def finished(journal: Path, name: str) -> dict[int, Any]:
    """Return the trials that have ended, as plain Optuna reads them; {} before the study is there."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if not journal.exists() or not journal.stat().st_size:
        return {}
    storage = JournalStorage(JournalFileBackend(str(journal)))
    try:
        trials = optuna.load_study(study_name=name, storage=storage).trials
    except KeyError:
        return {}
    return {trial.number: trial for trial in trials if trial.state.is_finished()}
