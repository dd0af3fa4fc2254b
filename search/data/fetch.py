"""`fetch`: whatever a reference names, as a file or folder on this machine, and a reference to exactly that content."""

from __future__ import annotations

import fcntl
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from search.data.reference import SCHEMES, Reference
from search.errors import InputError
from search.paths import DataFolder

Say = Callable[[str], None]
"""Takes a line for people: how far a download has come, what is waited for."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a reference names, on this machine.

    Attributes:
        path: The file or folder.
        pinned: A reference to exactly this content, without a secret in it: fetching it again needs no network.
        target: The column that is predicted unless the user names another, or None.
        notes: One sentence for each thing that people should know of it.
    """

    path: Path
    pinned: str
    target: str | None = None
    notes: tuple[str, ...] = ()


class Fetcher(Protocol):
    """A module with this function fetches one kind of reference."""

    def fetch(self, reference: Reference, folder: Path, place: DataFolder, *, refresh: bool, say: Say) -> Fetched:
        """Fetch what `reference` names into `place`.

        Args:
            reference: With the options that are not about reading a table: those are the reader's.
            folder: What relative paths are relative to.
            place: Its own folder under `results/data/`; it need not be there yet.
            refresh: Ask the other side again, even if something was fetched before.
            say: Hears of progress.

        Raises:
            InputError: The reference, or the file that it names, is wrong.
            SurroundingsError: The other side cannot be reached, fails, or sends what cannot be used.
            RefusedError: It would have to talk to a host that it may not.
        """


_ARCHIVES: Final = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
_WEB: Final = "search.data.web.download"
_FETCHERS: Final = {
    **dict.fromkeys(("http", "https"), _WEB),
    **dict.fromkeys(set(SCHEMES) - {"http", "https"}, "search.data.remote"),
    "api": "search.data.api.pull",
    "archive": "search.data.web.archive",
    "collected": "search.data.collect.frozen",
    "hf": "search.data.web.hub",
    "html": "search.data.api.page",
    "openml": "search.data.web.openml",
    "sklearn": "search.data.sets",
    "sql": "search.data.sql.snapshots",
}
"""The module with the `fetch` of each kind; imported when it is needed."""


def quiet(line: str) -> None:
    """Say nothing."""


def fetch(reference: Reference, folder: Path, results: Path, *, refresh: bool = False, say: Say = quiet) -> Fetched:
    """Return what `reference` names, as a file or folder on this machine.

    A local file is where it is, but for a `.sql` file, which is a query, and an archive, which is unpacked. All else is
    fetched into `results/data/`.

    Args:
        reference: What to fetch.
        folder: What relative paths are relative to.
        results: The results folder.
        refresh: Ask the other side again, even if something was fetched before.
        say: Hears of progress.

    Raises:
        InputError: The reference, or the file that it names, is wrong.
        SurroundingsError: The other side cannot be reached, fails, or sends what cannot be used.
        RefusedError: It would have to talk to a host that it may not.
    """
    if reference.is_query:
        from search.data.sql.file import as_query

        reference = as_query(reference)
    kind, path = reference.kind, reference.location
    if isinstance(path, Path):
        if not (path.name.lower().endswith(_ARCHIVES) and path.is_file()):
            return Fetched(path, reference.with_options())
        kind = "archive"
    if refresh and reference.option("snapshot"):
        raise InputError(
            f"{reference.name} is asked for as it was, by snapshot=, and anew", field="data", hint="drop one of the two"
        )
    module: Fetcher = importlib.import_module(_FETCHERS[kind])
    place = DataFolder.of(results, reference.folder_name)
    if reference.kind == "collected":  # it has a lock of its own, and a name that is wrong makes no folder
        return module.fetch(reference, folder, place, refresh=refresh, say=say)
    with _alone(place, reference.name, say):
        return module.fetch(reference, folder, place, refresh=refresh, say=say)


@contextmanager
def _alone(place: DataFolder, name: str, say: Say) -> Iterator[None]:
    """Keep other processes from fetching the same while we do; what nothing was fetched into is removed again."""
    fd = _lock(place, name, say)
    try:
        yield
    finally:
        if fd is not None:
            with suppress(OSError):
                left = list(place.root.iterdir())
                if all(one.name.startswith(".") and one.stat().st_size == 0 for one in left):  # locks
                    for one in left:
                        one.unlink()
                    place.root.rmdir()
            os.close(fd)


def _lock(place: DataFolder, name: str, say: Say) -> int | None:
    """Return the held lock, or None where the folder cannot be written: then nothing new can be fetched either."""
    for _ in range(100):
        try:
            place.root.mkdir(parents=True, exist_ok=True)
            fd = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # another process has just removed the folder
            continue
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is fetching {name}; waiting for it")
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            os.close(fd)
            return None
        with suppress(OSError):
            if os.path.samestat(os.fstat(fd), place.lock.stat()):  # and not of a file that was removed meanwhile
                return fd
        os.close(fd)
    return None
