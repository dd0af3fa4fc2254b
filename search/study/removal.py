"""Deletes studies so that a half-deleted one is never seen: first out of sight, by a rename, then from the disk."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

from search.errors import InputError, RefusedError, SurroundingsError
from search.paths import StudyFolder, sync_folder
from search.study import database
from search.study.disk import cannot_write
from search.study.lock import acquire
from search.study.peek import place
from search.study.storage import check_url, trials_in

BIN: Final = ".removed"
"""Folder in the results folder; what lies in it is being deleted, or was when its `sweep rm` was killed."""
_NO_STUDIES: Final = {"models", "data", "online"}


def check_removable(results: Path, folder: StudyFolder) -> None:
    """Check that a study's folder may be deleted: it lies in the results folder itself, and is no link.

    Raises:
        InputError: It lies elsewhere.
        RefusedError: It is a link, or holds promoted models or data.
    """
    root = folder.root
    if root.is_symlink():
        raise RefusedError(
            f"{root} is a link to {root.readlink()}, and nothing is removed outside of {results}",
            field="study",
            hint="remove the link by hand, or give the results folder that it leads to by --results",
        )
    if root.resolve().parent != results.resolve():
        raise InputError(
            f"{root} does not lie in {results}", field="study", hint=f"give its own: --results {root.absolute().parent}"
        )
    if folder.name in _NO_STUDIES:
        raise RefusedError(f"{root} holds {folder.name}, which are no study's", field="study")


def size_bytes(root: Path) -> int:
    """Return what a folder takes on the disk, without what links lead to."""
    total = 0
    for folder, _, files in os.walk(root):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(folder) / name).lstat().st_size
    return total


def database_of(folder: StudyFolder) -> str | None:
    """Return the URL of the database that a study is to be deleted from, None if it is in none.

    A folder that does not bear the study's name was copied or renamed: the study in the database may be another's.
    """
    try:
        found = place(folder)
        return check_url(found.url) if found.url is not None and found.study == folder.name else None
    except (SurroundingsError, InputError):  # a plan that says nothing; the folder can go all the same
        return None


def remove(results: Path, folder: StudyFolder) -> None:
    """Delete a study: from its database, then its folder. Whenever it is killed, doing it again finishes it.

    Raises:
        RefusedError: A living process holds it.
        SurroundingsError: The database does not answer, or the folder cannot be deleted.
    """
    url = database_of(folder)
    lock = acquire(folder.root, study=folder.name)
    try:
        if url is not None:
            # First, while the study can still be named: nobody would look for it in there afterwards.
            _delete_from_database(url, folder.name)
        gone = _out_of_sight(results, folder)
    except BaseException:
        lock.release()
        raise
    lock.forget()  # its file has moved: under its old name another sweep's may lie by now
    _delete(gone)
    _tidy(results)


def clean_up(results: Path) -> None:
    """Delete what an earlier removal left when it was killed.

    Raises:
        SurroundingsError: It cannot be deleted.
    """
    bin_ = _bin(results)
    if bin_.is_dir():
        for left in bin_.iterdir():
            _delete(left)
        _tidy(results)


def _delete_from_database(url: str, study: str) -> None:
    if trials_in(url, study) is None:
        return
    opened = database.connect_for_writing(url)
    try:
        with contextlib.suppress(KeyError):  # somebody else was faster
            opened.storage.delete_study(opened.storage.get_study_id_from_name(study))
        opened.sync()
    finally:
        opened.close()


def _out_of_sight(results: Path, folder: StudyFolder) -> Path:
    bin_, number = _bin(results), 0
    try:
        bin_.mkdir(exist_ok=True)
        while True:
            hidden = bin_ / f"{folder.name}.{os.getpid()}.{number}"
            if not hidden.exists():
                break
            number += 1
        folder.root.rename(hidden)
        sync_folder(results)  # before anything in it is deleted
    except OSError as error:
        raise cannot_write(folder.root, error) from error
    return hidden


def _bin(results: Path) -> Path:
    """Return the folder out of sight.

    Raises:
        RefusedError: It is a link, so that what is deleted might lie elsewhere.
    """
    bin_ = results / BIN
    if bin_.is_symlink():
        raise RefusedError(f"{bin_} is a link to {bin_.readlink()}", field="--results", hint="remove the link")
    return bin_


def _delete(path: Path) -> None:
    """Delete a folder and all in it; links are deleted, and not what they lead to."""
    while True:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except FileNotFoundError:  # another `sweep rm` is at it, too
            continue
        except OSError as error:
            raise SurroundingsError(
                f"{error.filename or path} cannot be deleted: {error.strerror or error}",
                field="study",
                hint="the next `sweep rm` tries again",
            ) from error
        return


def _tidy(results: Path) -> None:
    with contextlib.suppress(OSError):  # another `sweep rm` has something in it
        (results / BIN).rmdir()
