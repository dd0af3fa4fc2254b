"""Drivers that a home holds: each a process of its own, started again if something kills it: the `Drivers`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from search import asked
from search.errors import RefusedError
from search.paths import HOMES, StudyFolder, check_study_name, write_atomic
from search.study.holder import start_of
from search.study.lock import living_holder, read_holder, refuse_running
from search.tuner import turns
from search.tuner.ends import End, Ends, told

RESTARTS: Final = 5
"""How often a driver that was killed is started again."""

SWEEP: Final = (sys.executable, "-m", "search")


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver that is to run, as the study's `held.json` has it.

    Attributes:
        home: That holds it: its version, its machine and its cluster.
        request: Id of the wish that it answers.
        at: What whoever wished it calls the cluster.
        pid: Of its process; 0 before it has one.
        started: When that process started.
        restarts: How often it was started again.
        said_from: Where in the log its words begin.
    """

    home: str
    request: str = ""
    at: str = ""
    pid: int = 0
    started: float = 0.0
    restarts: int = 0
    said_from: int = 0


class Drivers:
    """The drivers of the studies in a results folder, as far as one home holds them.

    Args:
        results: The folder.
        version: Of the home; homes of several versions, machines or clusters share a folder, each with its own drivers.
        environment: Of the drivers; it names the cluster.
        always: Arguments that each of them gets.
    """

    def __init__(self, results: Path, version: str, environment: Mapping[str, str], always: Sequence[str] = ()) -> None:
        self._results = results
        self._at = f"@{socket.gethostname()}@{environment.get('RAY_ADDRESS', '')}"
        self._home = version + self._at
        self._environment, self._always = dict(environment), tuple(always)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.RLock()
        self._ends = Ends()
        self._mine: int | None = None

    def hold(self, study: str, arguments: Sequence[str] = (), *, request: str = "", at: str = "") -> None:
        """Run a study's driver until its sweep ends; asked for twice by the same request, it is done once.

        Args:
            study: Its name.
            arguments: Further ones of `sweep resume`.
            request: Id of the wish.
            at: What whoever wishes it calls the cluster.

        Raises:
            RefusedError: It is being run.
        """
        asked.check("resume", [study], arguments)
        folder = self._folder(study)
        with self._lock:
            held = _read(folder)
            end = self._ends.of(folder)
            if request and request in (held and held.request, end and end.request):
                return
            if held is not None and self._is_alive(study, held):
                raise RefusedError(f"study {study!r} is being run", hint=f"`sweep watch {study}` shows it")
            refuse_running(folder.root, study=study)
            self._ends.forget(folder)
            self._start(folder, Driver(self._home, request, at), arguments)

    def is_held(self, study: str) -> bool:
        """Tell whether a study's driver runs, or is about to."""
        return self._ends.unwritten(study) is None and _read(self._folder(study)) is not None

    def hold_any(self) -> bool:
        """Tell whether any driver runs, or is about to, that this home looks after."""
        return any((held := _read(folder)) and held.home == self._home for folder in self._held_folders())

    def has_begun(self, study: str) -> bool:
        """Tell whether somebody runs a study, so that it can be looked at."""
        folder = self._folder(study)
        return _has_storage(folder) and living_holder(folder.root) is not None

    def end(self, study: str) -> End | None:
        """Return how a study's last driver ended; None while it runs, or if it never did."""
        return None if self.is_held(study) else self._ends.of(self._folder(study))

    def withdraw(self, study: str) -> None:
        """Remove a study whose driver could not begin it, so that its name is free; one that was opened once stays."""
        folder = self._folder(study)
        with self._lock:
            end = self._ends.of(folder)
            if _read(folder) is None and end is not None and end.error and not _has_storage(folder):
                shutil.rmtree(folder.root, ignore_errors=True)

    def take_up(self) -> None:
        """Look after what the home before this one held; what one of another version held on this cluster, likewise."""
        homes = self._results / HOMES
        homes.mkdir(mode=0o700, exist_ok=True)
        self._mine = turns.locked(homes / self._home) if self._mine is None else self._mine
        if self._mine is None:  # the home before this one is on its way out
            return
        with self._lock, turns.turn(homes / "turn"):
            for folder in self._held_folders():
                held = _read(folder)
                if held is None or held.home == self._home or not held.home.endswith(self._at):
                    continue
                if not turns.is_locked(homes / held.home):
                    _write(folder, replace(held, home=self._home))

    def close(self) -> None:
        """Look after them no more; they run on, and the next home takes them up."""
        if self._mine is not None:
            os.close(self._mine)
            self._mine = None
        for child in self._children.values():
            child.poll()  # of those that have ended nothing is left

    def look(self) -> None:
        """Start drivers again that were killed, and note how the others ended."""
        if self._mine is None:
            self.take_up()
        if self._mine is None:
            return
        with self._lock:
            for folder in self._held_folders():
                held = _read(folder)
                if held is not None and held.home == self._home:
                    with suppress(OSError):  # a full disk: it is looked at again
                        self._look_at(folder, held)

    def _look_at(self, folder: StudyFolder, held: Driver) -> None:
        if (end := self._ends.unwritten(folder.name)) is not None:
            self._ends.note(folder, end)
            return
        if self._is_alive(folder.name, held):
            return
        holder = living_holder(folder.root)
        if not held.pid and holder is not None and holder.is_alive() and not holder.is_orphan():
            started = holder.driver_started if holder.driver else holder.started
            _write(folder, replace(held, pid=holder.known_as, started=started))  # its home was killed as it began it
            return
        child = self._children.pop(folder.name, None)
        code = child.returncode if child is not None else None
        # of the child of a home that is no more nobody has the code; one that ends by itself lets go of its lock
        left_lock = read_holder(folder.root) is not None or not _has_storage(folder)
        killed = left_lock if code is None else code < 0
        how = f"by signal {-code}" if code is not None else "while nobody looked"
        if killed and held.restarts < RESTARTS:
            times = held.restarts + 1
            _note(folder, f"the driver was killed {how}; it is started again ({times} of at most {RESTARTS} times)")
            self._start(folder, replace(held, restarts=times), ())
            return
        if killed:
            _note(folder, f"the driver was killed {how}, and {RESTARTS} times before: it is not started again")
        error, said = told(folder, held.said_from)
        if killed:
            error = {
                "code": 3,
                "field": "study",
                "message": f"the driver of study {folder.name!r} was killed {RESTARTS + 1} times",
                "hint": f"`sweep logs` and {folder.driver_log} on the head may say why",
            }
        code = 128 - code if code is not None and code < 0 else code
        self._ends.note(folder, End(code, error, said, held.request))

    def _start(self, folder: StudyFolder, held: Driver, arguments: Sequence[str]) -> None:
        with folder.driver_log.open("ab") as log:
            held = replace(held, said_from=log.tell())
            _write(folder, replace(held, pid=0))
            ours = ("--results", str(self._results), "--quiet", "--json", *self._always)
            child = subprocess.Popen(
                [*SWEEP, "resume", folder.name, *ours, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # where the study stands is in the study
                stderr=log,
                env={**self._environment, asked.VARIABLE: held.at},
                start_new_session=True,
            )
        self._children[folder.name] = child
        _write(folder, replace(held, pid=child.pid, started=start_of(child.pid) or 0.0))

    def _is_alive(self, study: str, held: Driver) -> bool:
        child = self._children.get(study)
        if child is not None:
            return child.poll() is None
        return bool(held.pid) and start_of(held.pid) == held.started

    def _folder(self, study: str) -> StudyFolder:
        return StudyFolder.of(self._results, check_study_name(study))

    def _held_folders(self) -> list[StudyFolder]:
        folders = (StudyFolder(path) for path in sorted(self._results.glob("*")))
        return [folder for folder in folders if folder.held.exists()]


def _read(folder: StudyFolder) -> Driver | None:
    try:
        return Driver(**json.loads(folder.held.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _write(folder: StudyFolder, held: Driver) -> None:
    write_atomic(folder.held, json.dumps(asdict(held)))


def _has_storage(folder: StudyFolder) -> bool:
    """Tell whether a study has been opened once; of one in a database it is taken for granted."""
    if folder.journal.exists():
        return True
    try:
        return json.loads(folder.plan.read_text(encoding="utf-8"))["plan"]["storage"] is not None
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _note(folder: StudyFolder, said: str) -> None:
    with folder.driver_log.open("a") as log:
        log.write(f"{said}\n")
