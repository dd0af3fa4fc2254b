"""Rows of a collection as Parquet: always the same bytes for the same rows, whatever segments they came from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from search.data.collect.rows import Values
from search.data.collect.schema import Schema
from search.data.web.keep import digest_of
from search.paths import sync_folder

Table: TypeAlias = Any
"""A `pyarrow.Table`."""

GROUP: Final = 65_536
"""Rows of a row group."""

_TYPES: Final = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "text": pa.string(),
    "boolean": pa.bool_(),
    "datetime": pa.timestamp("us", tz="UTC"),
}
_TARGET: Final = b"sweep.target"


def arrow_schema(schema: Schema) -> Any:
    """Return the columns of a schema as a `pyarrow.Schema`, its target noted in it."""
    noted = {_TARGET: schema.target.encode()} if schema.target else None
    return pa.schema([pa.field(column.name, _TYPES[column.type]) for column in schema.columns], metadata=noted)


def target_of(path: Path) -> str | None:
    """Return the target that a Parquet file notes."""
    noted = (pq.read_schema(path).metadata or {}).get(_TARGET)
    return noted.decode() if noted else None


def tables(rows: Iterable[tuple[int, Sequence[Values]]], versions: Sequence[Schema]) -> Iterator[Table]:
    """Yield tables of the last version's columns from rows, each batch of which is of one version.

    Args:
        rows: The number of a version, from 1, and rows in the order of its columns.
        versions: All schemas, the first first.
    """
    waiting: list[Values] = []
    of = 0
    for version, batch in rows:
        if waiting and (version != of or len(waiting) >= GROUP):
            yield _table(waiting, versions[of - 1], versions[-1])
            waiting = []
        of = version
        waiting.extend(batch)
    if waiting:
        yield _table(waiting, versions[of - 1], versions[-1])


def widened(table: Table, schema: Schema) -> Table:
    """Return a table with the columns of a later schema; the new ones are empty."""
    wanted = arrow_schema(schema)
    known = set(table.column_names)
    columns = [
        table.column(field.name).cast(field.type) if field.name in known else pa.nulls(len(table), field.type)
        for field in wanted
    ]
    return pa.table(columns, schema=wanted)


def write_parquet(path: Path, parts: Iterable[Table], schema: Schema) -> tuple[int, str]:
    """Write a file of row groups of `GROUP` rows, synced but for its name; return its rows and its sha256.

    Raises:
        OSError: It cannot be written; then nothing is left of it.
    """
    total = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(path, arrow_schema(schema), compression="zstd", version="2.6") as writer:
            for group in _groups(parts):
                writer.write_table(group, row_group_size=GROUP)
                total += len(group)
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        return total, digest_of(path)
    except BaseException:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


def put(temporary: Path, path: Path) -> None:
    """Give a synced file its name, for good."""
    temporary.replace(path)
    sync_folder(path.parent)


def _table(rows: Sequence[Values], written: Schema, wanted: Schema) -> Table:
    arrays = []
    for column, values in zip(written.columns, zip(*rows, strict=True), strict=True):
        kind = _TYPES[column.type]
        # a datetime is stored as its microseconds
        arrays.append(pa.array(values, pa.int64()).cast(kind) if column.type == "datetime" else pa.array(values, kind))
    return widened(pa.table(arrays, schema=arrow_schema(written)), wanted)


def _groups(parts: Iterable[Table]) -> Iterator[Table]:
    """Yield the rows in tables of `GROUP` rows of one piece, however they were cut before."""
    waiting: list[Table] = []
    rows = 0
    for part in parts:
        waiting.append(part)
        rows += len(part)
        while rows >= GROUP:
            whole = pa.concat_tables(waiting)
            yield whole.slice(0, GROUP).combine_chunks()
            waiting, rows = [whole.slice(GROUP)], rows - GROUP
    if rows:
        yield pa.concat_tables(waiting).combine_chunks()
