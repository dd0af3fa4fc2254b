"""`Home`: the detached actor on a cluster's head that keeps studies there, holds their drivers, and answers for them.

Whoever launches a sweep from outside the cluster sends its study here, and may go. The home runs `sweep resume` on it
in a process of its own, which is a driver like any other, and starts it again if something killed it. All else that can
be asked of a study is asked by the same commands, run here in the results folder of the head.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from search.errors import RefusedError
from search.paths import StudyFolder, check_study_name, inside, write_atomic
from search.study.lock import read_holder, refuse_running

RESULTS: Final = "SWEEP_RESULTS"
"""Environment variable of the head: where its studies lie; without one, `sweep-results` of the user's home."""

COMMANDS: Final = ("list", "show", "watch", "logs", "stop", "enqueue", "retry", "edit", "resume", "rm")
"""What may be asked from outside."""

HELD: Final = "held.json"
"""File of a study that says that its driver is to run."""

STARTS: Final = 5
"""How often a driver that was killed is started again."""

CHUNK_BYTES: Final = 8 * 2**20

_LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Output:
    """What a command has printed since it was last asked, and its exit code once it has ended."""

    out: bytes
    err: bytes
    code: int | None


@dataclass(slots=True, eq=False)
class _Driver:
    process: subprocess.Popen[bytes]
    starts: int = 1


@dataclass(slots=True, eq=False)
class _Asked:
    process: subprocess.Popen[bytes]
    folder: Path
    read: dict[str, int] = field(default_factory=lambda: {"out": 0, "err": 0})


class Home:
    """Studies of a cluster, on its head; plain, so that an actor can be made of it.

    Args:
        address: Of the cluster, as a driver on the head reaches it.
    """

    def __init__(self, address: str) -> None:
        self._environment = {**os.environ, "RAY_ADDRESS": address}
        self._results = Path(os.environ.get(RESULTS) or Path.home() / "sweep-results").absolute()
        self._results.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._arriving = self._results / ".arriving"
        self._drivers: dict[str, _Driver] = {}
        self._asked: dict[str, _Asked] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._look_after, name="sweep-home", daemon=True).start()

    def results(self) -> str:
        """Return the results folder of the head."""
        return str(self._results)

    # --- a study comes ---

    def receive(self, upload: str, name: str, offset: int, data: bytes) -> None:
        """Take a part of a file of a study that is being sent; the same part may come twice."""
        path = inside(self._arriving / upload, name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("r+b" if path.exists() else "wb") as file:
            file.seek(offset)
            file.write(data)

    def launch(self, upload: str, study: str) -> None:
        """Let a study that has come whole begin.

        Raises:
            RefusedError: There is such a study.
        """
        folder = StudyFolder.of(self._results, check_study_name(study))
        come = inside(self._arriving, upload)
        if folder.root.exists():
            shutil.rmtree(come, ignore_errors=True)
            raise RefusedError(f"study {study!r} exists already on the cluster", field="--study", hint="choose another")
        self._settle_in(StudyFolder(come), folder)
        come.rename(folder.root)
        self.hold(study)

    def hold(self, study: str, arguments: Sequence[str] = ()) -> None:
        """Run a study's driver until its sweep ends, with these further arguments of `sweep resume`.

        Raises:
            RefusedError: It is being run.
        """
        folder = StudyFolder.of(self._results, check_study_name(study))
        with self._lock:
            driver = self._drivers.get(study)
            if driver is not None and driver.process.poll() is None:
                raise RefusedError(
                    f"study {study!r} is being run", hint=f"`sweep watch {study} --address ...` shows it"
                )
            write_atomic(folder.root / HELD, json.dumps({"arguments": list(arguments)}))
            self._drivers[study] = _Driver(self._start(study, arguments))

    def is_held(self, study: str) -> bool:
        """Tell whether a study's driver runs, or is about to."""
        return (StudyFolder.of(self._results, check_study_name(study)).root / HELD).exists()

    def has_begun(self, study: str) -> bool:
        """Tell whether a study's driver has opened it, so that it can be looked at."""
        folder = StudyFolder.of(self._results, check_study_name(study))
        return read_holder(folder.root) is not None or not self.is_held(study)

    def _settle_in(self, come: StudyFolder, folder: StudyFolder) -> None:
        """Give a plan's references the places that they have here."""
        record = json.loads(come.plan.read_text(encoding="utf-8"))
        plan = record["plan"]
        plan["results"] = str(self._results)
        for name in ("objective", "space"):
            if (come.root / plan[name].rpartition(":")[0]).is_file():
                plan[name] = f"{folder.root}/{plan[name]}"
        write_atomic(come.plan, json.dumps(record, indent=1))

    # --- its driver runs ---

    def _start(self, study: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self._results / study / "driver.log").open("ab") as log:
            return subprocess.Popen(
                [*_SWEEP, "resume", study, "--results", str(self._results), "--quiet", "--json", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    def _look_after(self) -> None:
        """Start drivers again that were killed; those too that an earlier home had, if they run no more."""
        self._take_up()
        while True:
            time.sleep(_LOOK_EVERY_S)
            with self._lock:
                for study, driver in self._drivers.items():
                    self._look_at(study, driver)

    def _look_at(self, study: str, driver: _Driver) -> None:
        code, held = driver.process.poll(), self._results / study / HELD
        if code is None or not held.exists():
            return
        if code >= 0 or driver.starts >= STARTS:  # it has ended by itself, whatever it says
            held.unlink(missing_ok=True)
            return
        driver.starts += 1
        driver.process = self._start(study, ())

    def _take_up(self) -> None:
        for held in sorted(self._results.glob(f"*/{HELD}")):
            with suppress(RefusedError):  # its driver outlived the home before
                refuse_running(held.parent, study=held.parent.name)
                self.hold(held.parent.name)

    # --- what is asked of it ---

    def ask(self, command: str, arguments: Sequence[str]) -> str:
        """Begin to run a command of `sweep` in the results folder here, and return its id.

        Raises:
            RefusedError: It is none of those that may be asked.
        """
        if command not in COMMANDS:
            raise RefusedError(f"`sweep {command}` does not run on a cluster")
        asked = uuid.uuid4().hex
        folder = self._arriving / f"asked-{asked}"
        folder.mkdir(mode=0o700, parents=True)
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            process = subprocess.Popen(
                [*_SWEEP, command, *arguments, "--results", str(self._results)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=self._environment,
                start_new_session=True,
            )
        self._asked[asked] = _Asked(process, folder)
        return asked

    def output(self, asked: str) -> Output:
        """Return what a command has printed since the last call; after its end it is forgotten."""
        one = self._asked[asked]
        code = one.process.poll()
        parts = {}
        for name in ("out", "err"):
            with (one.folder / name).open("rb") as file:
                file.seek(one.read[name])
                parts[name] = file.read()
            one.read[name] += len(parts[name])
        if code is not None:
            shutil.rmtree(one.folder, ignore_errors=True)
            del self._asked[asked]
        return Output(parts["out"], parts["err"], code)

    def signal(self, asked: str, signum: int) -> None:
        """Pass a signal on to a command."""
        if asked in self._asked:
            self._asked[asked].process.send_signal(signum)

    # --- a study goes ---

    def files(self, study: str) -> dict[str, int]:
        """Return the files of a study, by relative path, with their sizes."""
        root = StudyFolder.of(self._results, check_study_name(study)).root
        return dict(_files(root))

    def content(self, study: str, name: str, offset: int) -> bytes:
        """Return a part of a file of a study, at most `CHUNK_BYTES` long."""
        root = StudyFolder.of(self._results, check_study_name(study)).root
        with inside(root, name).open("rb") as file:
            file.seek(offset)
            return file.read(CHUNK_BYTES)


_SWEEP: Final = (sys.executable, "-m", "search")


def _files(root: Path) -> Iterator[tuple[str, int]]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(root).as_posix(), path.stat().st_size
