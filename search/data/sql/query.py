"""One read-only query, its rows in portions, written to one Parquet file."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from search.data.fetch import Say
from search.data.sql.address import Address
from search.data.sql.columns import as_table, check_names, fit, widest
from search.errors import InputError, SurroundingsError

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.exc import SQLAlchemyError

ROWS: Final = 10_000
"""In memory at a time."""

_READS: Final = ("select", "with", "values", "table", "from", "(")
_COMMENT: Final = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)+", re.DOTALL)
_SAY_EVERY_S: Final = 2.0
# Of psycopg's classes of errors: connection, resources, intervention by the operator, system; SQLite's likewise.
_SURROUNDINGS: Final = (
    *("08", "28", "3D", "53", "57", "58", "XX"),
    *("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_NOMEM"),
)


def check_query(query: str) -> None:
    """Make sure that a query looks like one that reads; the database makes sure that it does.

    Raises:
        InputError: It does not.
    """
    start = _COMMENT.sub("", query, count=1) if _COMMENT.match(query) else query
    word = re.match(r"\(|\w*", start)
    if word is None or word[0].lower() not in _READS:
        got = word[0][:20] if word and word[0] else start[:20]
        raise InputError(f"a query starts with SELECT, WITH or VALUES, got {got!r}; nothing is changed", field="data")


def copy(address: Address, query: str, parts: Path, whole: Path, say: Say) -> pa.Schema:
    """Write the rows that a query gives into one Parquet file, and return its schema.

    Rows are read at one moment of the database, as far as its kind can: a transaction that only reads, in which all is
    as it was at its start. A part is begun whenever a column needs a wider type; the parts become one at the end.

    Args:
        address: The database.
        query: One statement.
        parts: An empty folder for parts.
        whole: The file to write.
        say: Hears how many rows have come.

    Raises:
        InputError: The database does not understand the query, it would write, or gives no rows or bytes.
        SurroundingsError: The database cannot be reached, or fails.
    """
    engine = address.engine()
    try:
        with _translated(address):
            schemas = _write_parts(_portions(engine, query), parts, say)
    finally:
        engine.dispose()
    if not schemas:
        raise InputError("the query gives no rows", field="data")
    files = [parts / f"{number}.parquet" for number in range(len(schemas))]
    schema = schemas[-1]
    if len(files) == 1:
        files[0].replace(whole)
        return schema
    with pq.ParquetWriter(whole, schema) as writer:
        for file in files:
            with pq.ParquetFile(file) as part:
                for number in range(part.num_row_groups):
                    writer.write_table(fit(part.read_row_group(number), schema))
            file.unlink()
    return schema


def _portions(engine: Engine, query: str) -> Iterator[pa.Table]:
    with engine.connect() as connection:
        streaming = connection.execution_options(stream_results=True, max_row_buffer=ROWS, no_parameters=True)
        result = streaming.exec_driver_sql(query)
        if not result.returns_rows:
            raise InputError("the query gives no rows", field="data")
        names = [str(name) for name in result.keys()]  # noqa: SIM118  (not a dict)
        check_names(names)
        with closing(result):
            while rows := result.fetchmany(ROWS):
                yield as_table(names, rows)


def _write_parts(portions: Iterator[pa.Table], parts: Path, say: Say) -> list[pa.Schema]:
    schemas: list[pa.Schema] = []
    count, told = 0, time.monotonic()
    with ExitStack() as open_:
        writer: Any = None
        for portion in portions:
            schema = widest([*schemas[-1:], portion.schema])
            if not schemas or not schemas[-1].equals(schema):
                open_.close()
                writer = open_.enter_context(pq.ParquetWriter(parts / f"{len(schemas)}.parquet", schema))
                schemas.append(schema)
            writer.write_table(fit(portion, schema))
            count += len(portion)
            if time.monotonic() - told > _SAY_EVERY_S:
                told = time.monotonic()
                say(f"{count:,} rows so far")
    return schemas


@contextmanager
def _translated(address: Address) -> Iterator[None]:
    """Tell the errors of a database and of its driver in one sentence, without a secret."""
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except DBAPIError as error:
        raise _trouble(address, error) from None  # its text may hold the connection's password
    except SQLAlchemyError as error:
        raise InputError(f"{address.shown} cannot be asked: {address.said(error)}", field="data") from None


def _trouble(address: Address, error: SQLAlchemyError) -> InputError | SurroundingsError:
    original = getattr(error, "orig", None)
    state = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None) or ""
    said = address.said(error)
    if state.startswith("25006"):
        return InputError(f"the query would change the database: {said}", field="data")
    trouble = state.startswith(_SURROUNDINGS)
    if not state and not isinstance(original, sqlite3.Error):  # sqlite3 has a name for all that is not the query's
        trouble = type(original).__name__ in ("OperationalError", "InterfaceError", "InternalError")
    if trouble:
        return SurroundingsError(
            f"{address.shown} cannot be asked: {said}", field="data", hint="nothing of it was kept; try again later"
        )
    return InputError(f"{address.shown} refuses the query: {said}", field="data")
