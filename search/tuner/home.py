"""`Home`: the detached actor on a cluster's head that keeps studies there, holds their drivers, and answers for them.

Whoever launches a sweep from outside the cluster sends its study here, and may go. The home runs `sweep resume` on it
in a process of its own, which is a driver like any other, and starts it again if something killed it. All else that can
be asked of a study is asked by the same commands, run here in the results folder of the head.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from search.copied import STAY
from search.errors import InputError, SweepError
from search.paths import ASKED, StudyFolder, check_study_name, inside
from search.status import Status
from search.tuner.arriving import Arrivals, cannot_write_there
from search.tuner.ends import End
from search.tuner.errands import CHUNK_BYTES, Errands, Output
from search.tuner.held import Drivers
from search.tuner.onlookers import Onlookers
from search.tuner.unused import UNUSED_S, end_this_actor

RESULTS: Final = "SWEEP_RESULTS"
"""Environment variable of the head: where its studies lie; without one, `sweep-results` of the user's home."""

_OF_DISKS: Final = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
_LOOK_EVERY_S: Final = 1.0
_CLEAN_EVERY_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Look:
    """A study, as whoever left it here sees it.

    Attributes:
        status: Where it stands; None while there is nothing to be seen.
        begun: Whether somebody runs it.
        held: Whether its driver runs, or is about to.
        end: How its driver ended; None while it runs, or if it never did.
    """

    status: Status | None
    begun: bool
    held: bool
    end: End | None


class Home:
    """Studies of a cluster, on its head; plain, so that an actor can be made of it.

    Args:
        version: Of our code: homes of several versions live side by side.
        address: Of the cluster, as a driver on the head reaches it; in an actor, its own.
    """

    def __init__(self, version: str, address: str = "") -> None:
        everything = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        self._results = Path(os.environ.get(RESULTS) or Path.home() / "sweep-results").absolute()
        self._results.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._arrivals = Arrivals(self._results)
        self._errands = Errands(self._results, everything)
        environment = {**everything, "RAY_ADDRESS": address or _gcs_address()}
        # who left a study on an open cluster has said so there, and nobody is there to say it again
        accepts = () if os.environ.get("RAY_AUTH_MODE") == "token" else ("--insecure-cluster",)
        self._drivers = Drivers(self._results, version, environment, accepts)
        self._onlookers = Onlookers(self._results)
        self._errands.clean()
        self._asked_s = time.monotonic()
        threading.Thread(target=self._look_after, name="sweep-home", daemon=True).start()

    def answer(self, method: str, *arguments: Any) -> Any:
        """Do what somebody elsewhere asks for; a home that nobody asks for anything ends in time.

        Raises:
            SurroundingsError: The disk here is full, or cannot be written any more.
        """
        self._asked_s = time.monotonic()
        try:
            return getattr(self, method)(*arguments)
        except OSError as error:
            if error.errno in _OF_DISKS:
                raise cannot_write_there(Path(error.filename or self._results / ASKED), error) from error
            raise

    def is_unused(self, now_s: float) -> bool:
        """Tell whether nothing runs here, and nobody has asked for anything for long, at this monotonic second."""
        return now_s - self._asked_s > UNUSED_S and not self._drivers.hold_any()

    def results(self) -> str:
        """Return the results folder of the head."""
        return str(self._results)

    # --- a study comes ---

    def begin(self, upload: str, study: str, size: int, needs: Sequence[str], rename: bool) -> str:
        """Look whether a study can come, and return its name here: see `Arrivals.begin`."""
        return self._arrivals.begin(upload, study, size, needs, rename=rename)

    def receive(self, upload: str, name: str, offset: int, data: bytes) -> None:
        """Take a part of a file of a study that is being sent; the same part may come twice."""
        self._arrivals.receive(upload, name, offset, data)

    def forget(self, upload: str) -> None:
        """Remove what has come of a study that will not come whole."""
        self._arrivals.forget(upload)

    def launch(self, upload: str, study: str, at: str = "", rename: bool = False) -> str:
        """Let a study that has come whole begin, and return its name here: see `Arrivals.settle`.

        Raises:
            RefusedError: There is such a study.
        """
        name = self._arrivals.settle(upload, study, rename=rename).name
        self._drivers.hold(name, request=upload, at=at)
        return name

    def hold(self, study: str, arguments: Sequence[str] = (), request: str = "", at: str = "") -> None:
        """Run a study's driver until its sweep ends, with these further arguments of `sweep resume`.

        Raises:
            RefusedError: It is being run.
        """
        self._drivers.hold(study, arguments, request=request, at=at)

    def withdraw(self, study: str) -> None:
        """Remove a study that could not begin: see `Drivers.withdraw`."""
        self._drivers.withdraw(study)

    def name_of(self, text: str) -> str:
        """Return the study that a name, or the start of one, means.

        Raises:
            InputError: It means none, or several.
        """
        from search.records import find

        if "/" in text:
            raise InputError(f"from elsewhere a study has a name, got {text!r}", field="study")
        return find.study_folder(self._results, check_study_name(text)).name

    # --- it is looked at ---

    def look(self, study: str) -> Look:
        """Return where a study stands, and how its driver fares."""
        held, begun = self._drivers.is_held(study), self._drivers.has_begun(study)
        end = self._drivers.end(study)  # before the study: its last words are in it then
        status = None
        with suppress(SweepError, OSError):
            status = self._onlookers.status(study, anew=not held and not begun)
        return Look(status, begun, held, None if held else end or End())

    def ask(self, asked: str, command: str, studies: Sequence[str], arguments: Sequence[str], at: str = "") -> None:
        """Begin to run a command of `sweep` in the results folder here: see `Errands.ask`."""
        self._errands.ask(asked, command, studies, arguments, at)

    def output(self, asked: str, out: int, err: int) -> Output:
        """Return what a command has printed beyond so many bytes: see `Errands.output`."""
        return self._errands.output(asked, out, err)

    def signal(self, asked: str, signum: int) -> None:
        """Pass a signal on to a command."""
        self._errands.signal(asked, signum)

    # --- a study goes ---

    def files(self, study: str) -> dict[str, int]:
        """Return the files of a study, by relative path, with their sizes.

        Raises:
            InputError: There is no such study.
        """
        return dict(_files(self._folder(study).root))

    def digests(self, study: str, lengths: Mapping[str, int]) -> dict[str, str]:
        """Return the SHA-256 of so many bytes at the beginning of files of a study, without those that are shorter."""
        root, found = self._folder(study).root, {}
        for name, length in lengths.items():
            with suppress(OSError), inside(root, name).open("rb") as file:
                digest, left = hashlib.sha256(), length
                while left and (data := file.read(min(left, CHUNK_BYTES))):
                    digest.update(data)
                    left -= len(data)
                if not left:
                    found[name] = digest.hexdigest()
        return found

    def content(self, study: str, name: str, offset: int) -> bytes | None:
        """Return a part of a file of a study, at most `CHUNK_BYTES` long; None if the file is gone."""
        try:
            with inside(self._folder(study).root, name).open("rb") as file:
                file.seek(offset)
                return file.read(CHUNK_BYTES)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def _folder(self, study: str) -> StudyFolder:
        folder = StudyFolder.of(self._results, check_study_name(study))
        if not folder.exists():
            raise InputError(f"no study {study!r} on the cluster", field="study", hint="`sweep list` shows all")
        return folder

    def _look_after(self) -> None:
        self._drivers.take_up()
        cleaned_s = time.monotonic()
        while True:
            self._drivers.look()
            self._errands.look()
            self._onlookers.look()
            if self.is_unused(time.monotonic()):
                end_this_actor()
            if time.monotonic() - cleaned_s > _CLEAN_EVERY_S:
                cleaned_s = time.monotonic()
                self._arrivals.clean()
                self._errands.clean()
            time.sleep(_LOOK_EVERY_S)


def _files(root: Path) -> Iterator[tuple[str, int]]:
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        left_here = name.startswith(STAY) or name.endswith(".tmp")
        with suppress(OSError):  # it went meanwhile
            if not left_here and path.is_file() and not path.is_symlink():
                yield name, path.stat().st_size


def _gcs_address() -> str:
    import ray

    return str(ray.get_runtime_context().gcs_address)
