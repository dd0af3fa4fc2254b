"""The border to where a study is stored: a journal file by default, SQLite or PostgreSQL by URL.

Trouble of the disk or the database crosses it as `SurroundingsError`; a URL is shown without user, password and query.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from optuna.storages import BaseStorage

from search.errors import InputError
from search.study import database
from search.study.journal import JournalReader, JournalWriter, replay
from search.study.lock import StudyLock, acquire

_SECRETS: Final = {"password", "sslpassword"}
"""Parameters of PostgreSQL that a URL's query may hold."""


@dataclass(frozen=True, slots=True)
class StudyStorage:
    """A storage that this process alone writes.

    Attributes:
        optuna: What Optuna's study is built on.
        batch: Makes everything written inside one write (a journal), or does nothing (a database).
        sync: Makes what was written survive a power cut.
        notes: What was repaired at the opening, one sentence each.
        folder: Of the study, with its lock; None of one in memory.
    """

    optuna: BaseStorage
    batch: Callable[[], AbstractContextManager[None]]
    sync: Callable[[], None]
    notes: tuple[str, ...]
    folder: Path | None
    _close: Callable[[], None]
    _lock: StudyLock

    def close(self) -> None:
        """Sync, and let go of the storage and its lock; harmless when repeated."""
        try:
            self._close()
        finally:
            self._lock.release()


def open_for_writing(location: str | Path, *, study: str, folder: Path | None = None, driver: int = 0) -> StudyStorage:
    """Become the one writer of a study's storage, which is made if it is missing.

    Args:
        location: Path of a journal, or URL of a database.
        study: Name of the study, for sentences.
        folder: Where the lock lies; the journal's folder if not given.
        driver: Process that people know as the sweep, if it is another one than this.

    Raises:
        RefusedError: Another process writes it.
        InputError: The URL is none that can be used.
        SurroundingsError: The storage cannot be written, or is damaged.
    """
    url = _url(location) if isinstance(location, str) else None
    journal = Path(location).absolute()
    if url is not None and folder is None:
        raise ValueError("a database needs the study's folder for its lock")
    place = folder or journal.parent
    lock = acquire(place, study=study, driver=driver)
    try:
        return _open_journal(journal, place, lock) if url is None else _open_database(url, place, lock)
    except BaseException:
        lock.release()
        raise


def open_for_reading(location: str | Path) -> BaseStorage:
    """Open a storage without its lock, also while another process writes it; nothing is made or changed.

    Raises:
        InputError: There is none.
        SurroundingsError: It cannot be read, or is damaged.
    """
    url = _url(location) if isinstance(location, str) else None
    if url is not None:
        return database.connect_for_reading(url)
    journal = Path(location).absolute()
    if not journal.is_file():
        raise InputError(f"{location} does not exist", field="storage", hint="`sweep list` shows all studies")
    return replay(journal, JournalReader(journal))


def check_url(text: str) -> str | None:
    """Return the URL that a user chose as it will be used and stored, None for `journal`, the default.

    A relative SQLite file is made absolute, so that a change of folder does not change the file.

    Raises:
        InputError: It is none of the three, or holds a password, which a plan would show to everybody.
    """
    url = _url(text)
    if url is not None:
        parts = urlsplit(url)
        if parts.password or not _SECRETS.isdisjoint(parse_qs(parts.query)):
            raise InputError(
                f"storage {database.shown(url)!r} came with a password, and secrets never come by flag or file",
                field="storage",
                hint="leave it out and use ~/.pgpass or PGPASSWORD",
            )
    return url


def trials_in(url: str, study: str) -> int | None:
    """Return how many trials a study in a database has, None if there is no such study, or no database file yet.

    Raises:
        SurroundingsError: The database does not answer.
    """
    try:
        storage = open_for_reading(url)
    except InputError:  # no file, or no tables in it
        return None
    try:
        return storage.get_n_trials(storage.get_study_id_from_name(study))
    except KeyError:
        return None


def shown(url: str) -> str:
    """Return a database's URL as it may be printed."""
    return database.shown(url)


def _url(location: str) -> str | None:
    return None if location == "journal" else database.check_url(location)


def _open_journal(path: Path, folder: Path, lock: StudyLock) -> StudyStorage:
    writer = JournalWriter(path)
    try:
        storage = replay(path, writer)
        writer.sync()
    except BaseException:
        with contextlib.suppress(Exception):
            writer.close()
        raise
    return StudyStorage(storage, writer.batch, writer.sync, writer.notes, folder, writer.close, lock)


def _open_database(url: str, folder: Path, lock: StudyLock) -> StudyStorage:
    opened = database.connect_for_writing(url)
    return StudyStorage(opened.storage, contextlib.nullcontext, opened.sync, (), folder, opened.close, lock)
