"""Parquet and Feather files as a table of raw columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from search.data.content import Kind
from search.data.csvfile import check_names, unnamed
from search.errors import InputError


def read_arrow(kind: Kind, parts: Sequence[tuple[Path, bytes]], folder: Path) -> pd.DataFrame:
    """Return the table in one or several files; what pandas noted in one about its index hides no column.

    A column that is whole numbers in one part and has gaps or fractions in another is of numbers.

    Args:
        kind: Parquet or Arrow.
        parts: In the order of their rows.
        folder: What the parts are of, for messages.

    Raises:
        InputError: One is damaged, or has other columns than the first.
    """
    tables = [(path, _read(kind, path, content)) for path, content in parts]
    first = tables[0]
    for path, table in tables[1:]:
        if set(table.column_names) != set(first[1].column_names):
            raise InputError(
                f"{path.name} has other columns than {first[0].name}; parts have equal columns", field="data"
            )
    try:
        whole = pa.concat_tables([table for _, table in tables], promote_options="permissive")
    except pa.ArrowException as error:
        said = " ".join(str(error).split())[:120]
        raise InputError(f"the parts of {folder.name} have columns of different types: {said}", field="data") from error
    try:
        return whole.to_pandas(ignore_metadata=True)  # type: ignore[no-any-return]
    except (pa.ArrowException, ValueError, OverflowError) as error:  # a date beyond the year 9999, a union
        said = " ".join(str(error).split())[:120]
        raise InputError(f"{folder.name} holds what no table can: {said}", field="data") from error


def _read(kind: Kind, path: Path, content: bytes) -> pa.Table:
    try:
        table = _parquet(content) if kind is Kind.PARQUET else _feather(content)
        table.validate(full=True)  # text that is not UTF-8 would only show when it is used
        while any(pa.types.is_struct(field.type) for field in table.schema):
            table = table.flatten()
        names = [str(name).strip() or unnamed(position) for position, name in enumerate(table.column_names, start=1)]
        check_names(path, names)
        return table.rename_columns(names)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        said = " ".join(str(error).split())[:120]
        raise InputError(f"{path.name} is a damaged {kind} file: {said}", field="data") from error


def _parquet(content: bytes) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(content))


def _feather(content: bytes) -> pa.Table:
    source = pa.BufferReader(content)
    reader = pa.ipc.open_file if content.startswith(b"ARROW1") else pa.ipc.open_stream
    with reader(source) as opened:
        return opened.read_all()
