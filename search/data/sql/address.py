"""`Address`: a database by its URL, as it is connected to, and as it may be shown."""

from __future__ import annotations

import os
import re
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from search.data import secrets
from search.errors import InputError, SurroundingsError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

_WAIT_S: Final = 10
# What libpq says before it says what is wrong; the host stands in our sentence already.
_PREAMBLE: Final = re.compile(
    r'^(connection failed: )?(connection to server at "[^"]*"(, port \d+)? failed: )?(FATAL: )?'
)
# A machine that is gone is noticed after 30 + 3 x 10 s, however long a query takes.
_LIBPQ: Final = {
    "connect_timeout": _WAIT_S,
    "client_encoding": "utf8",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is.

    Attributes:
        shown: The URL without user, password and parameters.
        url: All of it, with its secrets.
        hidden: What may not be shown.
    """

    shown: str
    url: URL = field(repr=False)
    hidden: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, location: str, *, otherwise: str) -> Address:
        """Take the URL of a reference, or of the environment, and put its secrets in.

        Args:
            location: The URL, or "".
            otherwise: The variable of the environment that holds it then.

        Raises:
            InputError: It is no URL, names no file, or a secret is not in the environment.
        """
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        text = location or os.environ.get(otherwise, "")
        if not text:
            raise InputError(
                f"no database is named: neither the reference nor {otherwise} has its URL",
                field="data",
                hint="try postgresql://me@host/db",
            )
        shown = secrets.shown(text).replace("+psycopg:", ":")
        try:
            url = make_url(secrets.expand(text, quoted=True))
        except (ArgumentError, ValueError):
            raise InputError(
                f"{shown!r} is no URL of a database", field="data", hint="try postgresql://me@host:5432/db"
            ) from None  # its text may hold the URL
        if url.drivername in ("postgres", "postgresql"):
            url = url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() == "sqlite" and (url.host or not Path(url.database or "").is_file()):
            raise InputError(f"{shown} does not exist; SQLite needs a file, sqlite:///FILE", field="data")
        named = [value for name, value in url.query.items() if isinstance(value, str) and secrets.is_secret_name(name)]
        taken = [value for name, value in os.environ.items() if name == "PGPASSWORD" or f"${{{name}}}" in text]
        return cls(shown, url, tuple(filter(None, [str(url.password or ""), *named, *taken])))

    def said(self, error: BaseException) -> str:
        """Return the first line of what a driver or a server said, without secrets."""
        original = getattr(error, "orig", None) or error
        primary = getattr(getattr(original, "diag", None), "message_primary", None)
        lines = str(primary or original).strip().splitlines()
        first = _PREAMBLE.sub("", " ".join(lines[0].split())) if lines else type(original).__name__
        return secrets.mask(first, *self.hidden)[:100]

    def engine(self) -> Engine:
        """Return an engine whose connections cannot write, where the database can be told so.

        Raises:
            InputError: There is no such dialect, or it is one for asyncio.
            SurroundingsError: Its driver is not installed.
        """
        from sqlalchemy import create_engine
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError
        from sqlalchemy.pool import NullPool

        kind = self.url.get_backend_name()
        try:
            if kind == "sqlite":
                return create_engine("sqlite://", creator=self._open_sqlite, poolclass=NullPool)
            if self.url.get_dialect().is_async:
                raise InputError(f"{self.url.drivername} is for asyncio; take another driver", field="data")
            if kind != "postgresql":
                return create_engine(self.url, poolclass=NullPool)
            return create_engine(
                self.url,
                poolclass=NullPool,
                isolation_level="REPEATABLE READ",
                connect_args=_LIBPQ if "psycopg" in self.url.drivername else {},
                execution_options={"postgresql_readonly": True},
            )
        except NoSuchModuleError as error:
            raise InputError(
                f"{kind!r} is no known kind of database", field="data", hint="postgresql: and sqlite: come with sweep"
            ) from error
        except ImportError as error:
            package = "'sweep-search[postgresql]'" if error.name == "psycopg" else f"its driver, {error.name}"
            raise SurroundingsError(
                f"the driver of {self.shown} is not installed", field="data", hint=f"pip install {package}"
            ) from error
        except (ArgumentError, TypeError, ValueError) as error:
            raise InputError(f"{self.shown} cannot be used: {self.said(error)}", field="data") from None

    def _open_sqlite(self) -> sqlite3.Connection:
        path = quote(str(Path(str(self.url.database)).absolute()))
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=_WAIT_S)
