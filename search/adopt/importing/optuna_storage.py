"""Read a study from a storage of Optuna's, which is neither locked nor changed."""

from __future__ import annotations

import logging
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.study._study_summary import StudySummary
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from search.adopt.importing.source import SourceStudy
from search.errors import InputError, SurroundingsError, did_you_mean
from search.study.storage import check_url, open_for_reading, shown

_METRIC_NAMES: Final = "study:metric_names"
SQLITE_HEAD: Final = b"SQLite format 3\0"
_WAL: Final = b"\x02\x02"  # bytes 18 and 19 of the file: written and read with a write-ahead log


def read(place: str | Path, study: str | None) -> SourceStudy:
    """Read one study.

    Args:
        place: URL of a database, or path of a journal or an SQLite file.
        study: Its name; None for the only one.

    Raises:
        InputError: There is no study, several without a name, or none of that name.
        SurroundingsError: The storage is damaged, or does not answer.
    """
    with _opened(place) as storage:
        summary = _chosen(storage, study, shown_place(place))
        study_id = storage.get_study_id_from_name(summary.study_name)
        system_attrs = storage.get_study_system_attrs(study_id)
        trials = sorted(storage.get_all_trials(study_id, deepcopy=False), key=lambda trial: trial.number)
        return SourceStudy(
            name=summary.study_name,
            tool="Optuna",
            directions=tuple(one.name.lower() for one in storage.get_study_directions(study_id)),
            metrics=tuple(system_attrs.get(_METRIC_NAMES, ())),
            trials=trials,
            user_attrs=storage.get_study_user_attrs(study_id),
            system_attrs=system_attrs,
        ).ended()


def shown_place(place: str | Path) -> str:
    """Return a place as it may be printed."""
    return shown(place) if isinstance(place, str) else str(place)


@contextmanager
def _opened(place: str | Path) -> Iterator[BaseStorage]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if isinstance(place, str):
        url = check_url(place)
        assert url is not None
        if not url.startswith("sqlite"):
            yield open_for_reading(url)
            return
        place = Path(str(make_url(url).database))
    if not place.is_file():
        raise InputError(f"{place} does not exist", field="SOURCE")
    with place.open("rb") as file:
        is_sqlite = file.read(len(SQLITE_HEAD)) == SQLITE_HEAD
    if not is_sqlite:
        yield open_for_reading(place)
        return
    with tempfile.TemporaryDirectory(prefix="sweep-import-") as folder:
        copy = Path(folder) / "copy.db"
        _copy(place, copy)
        yield _open_copy(copy, place)


def _copy(source: Path, target: Path) -> None:
    """Copy a database as it stands, also while somebody writes it; nothing is written beside it.

    Raises:
        SurroundingsError: It is damaged, or locked for long.
    """
    with source.open("rb") as file:
        in_wal_mode = file.read(20)[18:20] == _WAL
    # Without a log nobody has it open: SQLite would make one, and may not.
    unchanging = in_wal_mode and not source.with_name(f"{source.name}-wal").exists()
    uri = f"{source.absolute().as_uri()}?mode=ro{'&immutable=1' if unchanging else ''}"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=30)) as one, closing(sqlite3.connect(target)) as other:
            one.backup(other)
    except sqlite3.Error as error:
        raise SurroundingsError(f"{source} cannot be read: {error}", field="SOURCE") from error


def _open_copy(copy: Path, source: Path) -> BaseStorage:
    """Open a copied database, and bring what an older Optuna wrote to the tables of this one.

    Raises:
        InputError: It holds no study.
        SurroundingsError: It is damaged.
    """
    with closing(sqlite3.connect(copy)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"studies", "trials"} <= tables:
        raise InputError(
            f"{source} is an SQLite file without a study of Optuna's",
            field="SOURCE",
            hint="as a table for training it goes to --data",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of alembic, about its own configuration
            storage = RDBStorage(
                f"sqlite:///{copy}",
                engine_kwargs={"poolclass": NullPool},
                skip_compatibility_check=True,
                skip_table_creation=True,
            )
            if storage.get_current_version() != storage.get_head_version():
                _upgrade(storage)
    except (SQLAlchemyError, RuntimeError, sqlite3.Error) as error:
        said = str(error).splitlines()[0]
        raise SurroundingsError(f"{source} cannot be read: {said}", field="SOURCE") from error
    return storage


def _upgrade(storage: RDBStorage) -> None:
    """Bring a copy to the tables of this Optuna, without the lines that alembic logs."""
    logging.disable(logging.CRITICAL)
    try:
        storage.upgrade()
    finally:
        logging.disable(logging.NOTSET)


def _chosen(storage: BaseStorage, name: str | None, place: str) -> StudySummary:
    """Return the study that is meant.

    Raises:
        InputError: It is not clear which.
    """
    studies = {one.study_name: one for one in optuna.get_all_study_summaries(storage)}
    if not studies:
        raise InputError(f"{place} holds no study", field="SOURCE")
    if name is not None:
        if name not in studies:
            hint = did_you_mean(name, studies)
            raise InputError(f"{place} holds no study {name!r}", field="--study-name", hint=hint[:120])
        return studies[name]
    if len(studies) > 1:
        listed = [f"{one} ({studies[one].n_trials} trials)" for one in sorted(studies)[:4]]
        more = f" and {len(studies) - 4} more" if len(studies) > 4 else ""
        raise InputError(
            f"{place} holds {len(studies)} studies: {', '.join(listed)}{more}",
            field="--study-name",
            hint="give --study-name",
        )
    return next(iter(studies.values()))
