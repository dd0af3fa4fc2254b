"""Commands that a cluster's home runs for whoever asks from elsewhere: the `Errands`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from search import asked
from search.errors import SurroundingsError
from search.tuner.held import SWEEP

FOLDER: Final = ".asked"
CHUNK_BYTES: Final = 8 * 2**20

LEFT_S: Final = 60.0
"""A command whose asker has not asked for its output for so long is ended."""

_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Output:
    """What a command has printed since it was last asked, and its exit code once it has ended and told all."""

    out: bytes
    err: bytes
    code: int | None


@dataclass(slots=True, eq=False)
class _Errand:
    process: subprocess.Popen[bytes]
    folder: Path
    heard_s: float
    read: dict[str, int] = field(default_factory=lambda: {"out": 0, "err": 0})


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

    def ask(self, command: str, studies: Sequence[str], arguments: Sequence[str], at: str) -> str:
        """Begin to run a command of `sweep` in the results folder here, and return its id.

        Args:
            command: One of `search.asked.COMMANDS`.
            studies: Names, or starts of names, that it is about.
            arguments: All others.
            at: What whoever asks calls the cluster.

        Raises:
            InputError: A study is none of the results folder.
            RefusedError: It is none of those that may be asked, or not so.
        """
        asked.check(command, studies, arguments)
        identity = uuid.uuid4().hex
        folder = self._results / FOLDER / identity
        folder.mkdir(mode=0o700, parents=True)
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            process = subprocess.Popen(
                [*SWEEP, command, "--results", str(self._results), *studies, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**self._environment, asked.VARIABLE: at},
                start_new_session=True,
            )
        with self._lock:
            self._all[identity] = _Errand(process, folder, time.monotonic())
        return identity

    def output(self, identity: str) -> Output:
        """Return what a command has printed since the last call; after its end it is forgotten.

        Raises:
            SurroundingsError: It is not known here.
        """
        with self._lock:
            one = self._all.get(identity)
            if one is None:
                raise SurroundingsError(
                    "the home was started again while it ran the command", field="--address", hint="ask again"
                )
            one.heard_s = time.monotonic()
            code = one.process.poll()
            parts, is_all = {}, True
            for name in ("out", "err"):
                with (one.folder / name).open("rb") as file:
                    file.seek(one.read[name])
                    parts[name] = file.read(CHUNK_BYTES)
                    one.read[name] += len(parts[name])
                    is_all = is_all and one.read[name] >= os.fstat(file.fileno()).st_size
            if code is None or not is_all:
                return Output(parts["out"], parts["err"], None)
            self._forget(identity)
            return Output(parts["out"], parts["err"], 128 - code if code < 0 else code)

    def signal(self, identity: str, signum: int) -> None:
        """Pass a signal on to a command."""
        with self._lock:
            if identity in self._all:
                self._all[identity].process.send_signal(signum)

    def look(self, *, left_s: float = LEFT_S) -> None:
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

    def clean(self, *, older_s: float = _DAY_S) -> None:
        """Remove what commands of an earlier home have printed."""
        with self._lock, suppress(OSError):
            mine = {one.folder.name for one in self._all.values()}
            for folder in (self._results / FOLDER).glob("*"):
                if folder.name not in mine and time.time() - folder.stat().st_mtime > older_s:
                    shutil.rmtree(folder, ignore_errors=True)

    def _forget(self, identity: str) -> None:
        shutil.rmtree(self._all.pop(identity).folder, ignore_errors=True)
