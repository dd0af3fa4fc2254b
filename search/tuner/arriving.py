"""Studies that are being sent to a cluster's home: parts of files until all have come, then a study: the `Arrivals`."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from search.errors import RefusedError, SurroundingsError
from search.paths import ARRIVING, StudyFolder, check_name, check_study_name, inside, write_atomic
from search.study.disk import cannot_write

ABANDONED_S: Final = 86_400.0
"""What has not grown for so long was cut off, and is removed."""

_SPARE_BYTES: Final = 50_000_000
"""What a disk is to have left beside a study that is sent."""

_MOST_NAMES: Final = 1_000


class Arrivals:
    """What comes to a results folder.

    Args:
        results: The folder.
    """

    def __init__(self, results: Path) -> None:
        self._results = results
        self._root = results / ARRIVING
        self.clean()

    def begin(self, upload: str, study: str, size: int, needs: Sequence[str], *, rename: bool) -> str:
        """Look whether a study can come, before any of it is sent, and return the name that it is to have here.

        Args:
            upload: Id of the sending.
            study: Its name.
            size: In bytes, of all that will be sent.
            needs: Environment variables that its sweep will read, which hold secrets and so do not travel.
            rename: Whether it may get another name if that one is taken.

        Raises:
            RefusedError: There is such a study.
            SurroundingsError: A secret is missing here, or room on the disk.
        """
        check_study_name(study)
        missing = [name for name in needs if not os.environ.get(name)]
        if missing:
            named = " and ".join(f"${{{name}}}" for name in missing)
            raise SurroundingsError(
                f"the cluster's head does not have {named} in its environment",
                field="--address",
                hint="secrets do not travel: set it there, and start Ray again",
            )
        name = next((one for one in _names(study, rename) if not (self._results / one).exists()), None)
        if name is None:
            raise self._taken(study)
        with _told(self._root):
            self._results.mkdir(mode=0o700, parents=True, exist_ok=True)
            free = shutil.disk_usage(self._results).free
            if size + _SPARE_BYTES > free:
                raise SurroundingsError(
                    f"the study takes {size / 1e6:,.0f} MB, and the cluster's head has {free / 1e6:,.0f} MB free"
                    f" in {self._results}",
                    field="--address",
                    hint="free some there",
                )
            self._of(upload).mkdir(mode=0o700, parents=True, exist_ok=True)
        return name

    def receive(self, upload: str, name: str, offset: int, data: bytes) -> None:
        """Take a part of a file; the same part may come twice.

        Raises:
            InputError: The name leads elsewhere.
            SurroundingsError: It cannot be written.
        """
        path = inside(self._of(upload), name)
        with _told(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.seek(offset)
                file.write(data)

    def settle(self, upload: str, study: str, *, rename: bool = False) -> StudyFolder:
        """Make a study of what has come whole; asked for twice, it is done once.

        Args:
            upload: Id of the sending.
            study: Its name.
            rename: Whether it may get another name if that one has been taken meanwhile.

        Raises:
            RefusedError: There is such a study by now.
            SurroundingsError: It cannot be written.
        """
        folders = [StudyFolder.of(self._results, name) for name in _names(check_study_name(study), rename)]
        come = StudyFolder(self._of(upload))
        if not come.exists():
            for folder in folders:
                if _upload_of(folder) == upload:  # the answer was lost, and the call came again
                    return folder
            raise SurroundingsError("what was sent of the study is gone", field="--address", hint="send it again")
        with _told(self._root):
            record = come.plan.read_text(encoding="utf-8")
            for folder in folders:
                if folder.exists():
                    continue
                write_atomic(come.plan, _settled(record, come, folder, upload))
                try:
                    come.root.rename(folder.root)  # onto an empty folder at most: two senders never mix
                except OSError:
                    if folder.root.exists():
                        continue
                    raise
                return folder
        shutil.rmtree(come.root, ignore_errors=True)
        raise self._taken(study)

    def forget(self, upload: str) -> None:
        """Remove what has come of a study that will not come whole."""
        shutil.rmtree(self._of(upload), ignore_errors=True)

    def clean(self, *, older_s: float = ABANDONED_S) -> None:
        """Remove what was cut off long ago."""
        now = time.time()
        for one in self._root.glob("*"):
            if now - _touched(one) > older_s:
                shutil.rmtree(one, ignore_errors=True)

    def _of(self, upload: str) -> Path:
        return inside(self._root, check_name(upload, what="an upload", field="upload"))

    def _taken(self, study: str) -> RefusedError:
        return RefusedError(
            f"study {study!r} exists already on the cluster", field="--study", hint="choose another --study"
        )


def _names(study: str, rename: bool) -> list[str]:
    """Return the names that a study may have here, the first that is free being taken."""
    return [study, *(f"{study}-{number}" for number in range(2, _MOST_NAMES if rename else 2))]


def _settled(sent: str, come: StudyFolder, folder: StudyFolder, upload: str) -> str:
    """Return a plan as it is here: its references have the places of this machine."""
    record = json.loads(sent)
    plan = record["plan"]
    plan.update(results=str(folder.root.parent), study=folder.name)
    for name in ("objective", "space"):
        if (come.root / plan[name].rpartition(":")[0]).is_file():
            plan[name] = f"{folder.root}/{plan[name]}"
    record["sent"]["upload"] = upload
    return json.dumps(record, indent=1)


def _upload_of(folder: StudyFolder) -> str:
    try:
        return str(json.loads(folder.plan.read_text(encoding="utf-8"))["sent"]["upload"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _touched(folder: Path) -> float:
    """Return when anything in a folder last changed, in unix seconds."""
    try:
        return max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
    except OSError:  # it is being removed, or renamed into place
        return time.time()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say whose disk it is that cannot be written.

    Raises:
        SurroundingsError: It cannot.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write_there(path, error) from error


def cannot_write_there(path: Path, error: OSError) -> SurroundingsError:
    """Return the error that says why the cluster's head could not write a file of its own."""
    fault = cannot_write(path, error)
    return SurroundingsError(f"on the cluster's head: {fault.message}", field="--address", hint=fault.hint)
