"""SQLite and PostgreSQL as storage: their URLs, connections, and their errors as sentences."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage, get_storage

from search.errors import InputError, SurroundingsError
from search.study.disk import no_space

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna.distributions import BaseDistribution
    from sqlalchemy.engine import URL, Engine, ExceptionContext
    from sqlalchemy.orm import Session

_SQLITE_WAIT_S: Final = 30
"""How long a write waits for a reader's or a dashboard's lock."""
_CONNECT_WAIT_S: Final = 10


@dataclass(frozen=True, slots=True)
class Database:
    """An open database: Optuna's storage on it, and how it is synced and closed."""

    storage: BaseStorage
    sync: Callable[[], None]
    close: Callable[[], None]


class _Unchecked(RDBStorage):
    """Takes a parameter whatever it was in earlier trials, as Optuna's journal does of a new trial.

    Optuna asks the database for an earlier distribution before each parameter that it stores, and refuses other
    choices. A space that was edited has other choices, and to read them nothing is checked.
    """

    def _set_trial_param_without_commit(
        self,
        session: Session,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None = None,  # noqa: ARG002
    ) -> None:
        super()._set_trial_param_without_commit(
            session, trial_id, param_name, param_value_internal, distribution, distribution
        )


def check_url(text: str) -> str:
    """Return the URL with its driver and, for SQLite, with an absolute path.

    Raises:
        InputError: It is neither `sqlite:///FILE` nor `postgresql://...`.
    """
    scheme, separator, _ = text.partition(":")
    if not separator or scheme not in ("sqlite", "postgresql", "postgresql+psycopg"):
        got = f"{scheme}:" if separator else text
        raise InputError(
            f"storage must be journal, sqlite: or postgresql:, got {got!r}",
            field="storage",
            hint="try sqlite:///FILE or postgresql://HOST/DATABASE",
        )
    url = _parse(text)
    if scheme == "sqlite":
        if url.database in (None, "", ":memory:") or url.host:
            raise InputError(f"sqlite needs a file, got {shown(text)!r}", field="storage", hint="try sqlite:///FILE")
        return url.set(database=str(Path(str(url.database)).absolute())).render_as_string(hide_password=False)
    return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def shown(url: str) -> str:
    """Return `url` as it may be printed: without user, password and query."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url.partition("?")[0]
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2]
    return f"{scheme.partition('+')[0]}://{host}{slash}{path.partition('?')[0].rpartition('@')[2]}"


def connect_for_writing(url: str) -> Database:
    """Open a database, and make Optuna's tables if they are missing.

    SQLite runs in WAL mode with synchronous=NORMAL: a commit survives a kill, and `sync` makes it survive a power cut.

    Raises:
        SurroundingsError: It cannot be opened or written.
    """
    sqlite = url.startswith("sqlite")
    if sqlite:
        _prepare_sqlite(url)
    with _translated(url):
        rdb = _Unchecked(url, engine_kwargs=_engine_options(url))
    if sqlite:
        _run_at_connect(rdb.engine, "PRAGMA synchronous=NORMAL")
    _translate_errors_of(rdb.engine, url)

    def sync() -> None:
        if sqlite:  # PostgreSQL syncs each commit
            with rdb.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def close() -> None:
        rdb.remove_session()
        rdb.engine.dispose()

    return Database(get_storage(rdb), sync, close)


def connect_for_reading(url: str) -> BaseStorage:
    """Open a database without changing it.

    Raises:
        InputError: There is no such file, or it holds no study.
        SurroundingsError: It does not answer.
    """
    from sqlalchemy.pool import NullPool

    if url.startswith("sqlite") and not Path(str(_parse(url).database)).is_file():
        raise InputError(f"{shown(url)} does not exist", field="storage", hint="`sweep list` shows all studies")
    options = {**_engine_options(url), "poolclass": NullPool}  # nothing stays open
    if not url.startswith("sqlite"):
        options["connect_args"]["options"] = "-c default_transaction_read_only=on"
    with _translated(url):
        _refuse_without_tables(url, options)
        rdb = RDBStorage(url, engine_kwargs=options, skip_table_creation=True)
    if url.startswith("sqlite"):
        _run_at_connect(rdb.engine, "PRAGMA query_only=ON")
    _translate_errors_of(rdb.engine, url)
    return get_storage(rdb)


def _parse(text: str) -> URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        urlsplit(text)
        return make_url(text)
    except (ArgumentError, ValueError) as error:
        raise InputError(
            f"storage {shown(text)!r} is no URL",
            field="storage",
            hint="try sqlite:///FILE or postgresql://HOST:PORT/DATABASE",
        ) from error


def _engine_options(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": _SQLITE_WAIT_S}}
    # Without an encoding, psycopg hands out bytes from a database that was made in the C locale.
    arguments = {"connect_timeout": _CONNECT_WAIT_S, "client_encoding": "utf8"}
    return {"connect_args": arguments, "pool_pre_ping": True}


def _prepare_sqlite(url: str) -> None:
    """Make the file, in WAL mode, which it keeps; readers then never wait for the writer."""
    path = Path(str(_parse(url).database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_SQLITE_WAIT_S)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise _trouble(url, error) from error


def _refuse_without_tables(url: str, options: dict[str, Any]) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(url, **options)
    try:
        if not sqlalchemy.inspect(engine).has_table("studies"):
            raise InputError(f"{shown(url)} holds no study", field="storage")
    finally:
        engine.dispose()


def _run_at_connect(engine: Engine, pragma: str) -> None:
    from sqlalchemy import event

    def run(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(pragma)

    event.listen(engine, "connect", run)
    engine.dispose()  # connections made so far are without it


def _translate_errors_of(engine: Engine, url: str) -> None:
    """Have the engine raise our errors where the database or its disk is in trouble."""
    from sqlalchemy import event
    from sqlalchemy.exc import DBAPIError, IntegrityError

    def translate(context: ExceptionContext) -> BaseException | None:
        error = context.sqlalchemy_exception
        if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
            return _trouble(url, error.orig or error)  # raised in place of it
        return None

    event.listen(engine, "handle_error", translate)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except StorageInternalError as error:
        cause = error.__cause__
        raise _trouble(url, getattr(cause, "orig", None) or cause or error) from error
    except SQLAlchemyError as error:
        raise _trouble(url, getattr(error, "orig", None) or error) from error
    except RuntimeError as error:  # made by another version of Optuna
        raise _trouble(url, error) from error
    except ImportError as error:
        raise SurroundingsError(
            f"{shown(url)} needs the package psycopg", field="storage", hint="pip install 'sweep-search[postgresql]'"
        ) from error


def _trouble(url: str, error: BaseException) -> SurroundingsError:
    text = str(error).strip()
    if url.startswith("sqlite") and "disk is full" in text:
        return no_space(Path(str(_parse(url).database)).parent)
    reason = text.splitlines()[0] if text else type(error).__name__
    parsed = _parse(url)
    for secret in (parsed.password, *(value for value in parsed.query.values() if isinstance(value, str))):
        if secret:
            reason = reason.replace(str(secret), "***")
    return SurroundingsError(f"{shown(url)} cannot be used: {reason}", field="storage")
