"""Commands that a cluster's home runs for whoever asks from elsewhere: the `Errands`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from search import asked
from search.errors import RefusedError, SurroundingsError
from search.paths import ASKED, check_name, write_atomic
from search.study.holder import start_of
from search.tuner.held import SWEEP

CHUNK_BYTES: Final = 8 * 2**20

UNASKED_S: Final = 60.0
"""A command whose asker has not asked for its output for so long is ended."""

_RUN: Final = "run.json"
"""File beside what a command prints: its process, and that of its home."""

_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Output:
    """What a command has printed beyond what was heard, and its exit code once it has ended and told all."""

    out: bytes
    err: bytes
    code: int | None


@dataclass(slots=True, eq=False)
class _Errand:
    process: subprocess.Popen[bytes]
    folder: Path
    heard_s: float


class Errands:
    """What is being asked of the studies in a results folder.

    Args:
        results: The folder.
        environment: Of the commands.
    """

    def __init__(self, results: Path, environment: Mapping[str, str]) -> None:
        self._results, self._environment = results, dict(environment)
        self._all: dict[str, _Errand] = {}
        self._lock = threading.Lock()

    def ask(self, identity: str, command: str, studies: Sequence[str], arguments: Sequence[str], at: str) -> None:
        """Begin to run a command of `sweep` in the results folder here; asked for twice by the same id, it is run once.

        Args:
            identity: By which whoever asks will know it.
            command: One of `search.asked.COMMANDS`.
            studies: Names, or starts of names, that it is about.
            arguments: All others.
            at: What whoever asks calls the cluster.

        Raises:
            InputError: A study is none of the results folder.
            RefusedError: It is none of those that may be asked, or not so.
            SurroundingsError: The home before this one ran it.
        """
        asked.check(command, studies, arguments)
        if command == "resume":
            raise RefusedError("a sweep that goes on is held by its home, and is no command that is run there")
        folder = self._results / ASKED / check_name(identity, what="an id", field="identity")
        with self._lock:
            if identity in self._all:
                return
            try:
                folder.mkdir(mode=0o700, parents=True)
            except FileExistsError:
                raise _started_again() from None
            with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
                process = subprocess.Popen(
                    [*SWEEP, command, "--results", str(self._results), *studies, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env={**self._environment, asked.VARIABLE: at},
                    start_new_session=True,
                )
            self._all[identity] = _Errand(process, folder, time.monotonic())
            write_atomic(folder / _RUN, json.dumps([_process(process.pid), _process(os.getpid())]))

    def output(self, identity: str, out: int, err: int) -> Output:
        """Return what a command has printed beyond so many bytes; a minute after its end it is forgotten.

        Args:
            identity: Of the command.
            out: Bytes of its output that were heard.
            err: Bytes of its errors that were heard.

        Raises:
            SurroundingsError: It is not known here.
        """
        with self._lock:
            one = self._all.get(identity)
            if one is None:
                raise _started_again()
            one.heard_s = time.monotonic()
            code = one.process.poll()
            parts, is_all = {}, True
            for name, heard in (("out", out), ("err", err)):
                with (one.folder / name).open("rb") as file:
                    file.seek(heard)
                    parts[name] = file.read(CHUNK_BYTES)
                    is_all = is_all and file.tell() >= os.fstat(file.fileno()).st_size
            if code is not None:
                code = (128 - code if code < 0 else code) if is_all else None
            return Output(parts["out"], parts["err"], code)

    def signal(self, identity: str, signum: int) -> None:
        """Pass a signal on to a command."""
        with self._lock:
            if identity in self._all:
                self._all[identity].process.send_signal(signum)

    def look(self, *, left_s: float = UNASKED_S) -> None:
        """End the commands whose askers have gone."""
        now = time.monotonic()
        with self._lock:
            for identity, one in list(self._all.items()):
                if now - one.heard_s < left_s:
                    continue
                if one.process.poll() is None:
                    one.process.send_signal(signal.SIGTERM)  # it cleans up, and is looked at again
                    one.heard_s = now
                else:
                    self._forget(identity)

    def clean(self) -> None:
        """End the commands of homes that are no more, and remove what they have printed."""
        with self._lock, suppress(OSError):
            for folder in (self._results / ASKED).glob("*"):
                if folder.name in self._all:
                    continue
                errand, home = _run_of(folder)
                if home is None:  # its home was killed as it began it, or is just beginning it
                    if time.time() - folder.stat().st_mtime > _DAY_S:
                        shutil.rmtree(folder, ignore_errors=True)
                elif home["host"] == socket.gethostname() and not _runs(home):
                    if errand is not None and _runs(errand):
                        os.kill(errand["pid"], signal.SIGTERM)
                    shutil.rmtree(folder, ignore_errors=True)

    def _forget(self, identity: str) -> None:
        shutil.rmtree(self._all.pop(identity).folder, ignore_errors=True)


def _process(pid: int) -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": pid, "started": start_of(pid)}


def _runs(process: Mapping[str, Any]) -> bool:
    return process["started"] is not None and start_of(process["pid"]) == process["started"]


def _run_of(folder: Path) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the process of a command, and that of the home that ran it; None where nobody knows."""
    try:
        errand, home = json.loads((folder / _RUN).read_text())
        return errand, home
    except (OSError, ValueError, TypeError):
        return None, None


def _started_again() -> SurroundingsError:
    return SurroundingsError("the home was started again while it ran the command", field="--address", hint="ask again")
