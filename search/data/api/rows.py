"""Pages and the snapshot that they extend as one table: rows that come twice are one, and only new ones are added."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from search.data.api.columns import Columns
from search.data.api.description import Description
from search.data.api.partial import Page, Value
from search.errors import InputError, SurroundingsError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa


def check_columns(description: Description, columns: Columns, offered: Iterable[str]) -> None:
    """Make sure that each column that the description names came.

    Args:
        description: Names columns.
        columns: Has seen all pages.
        offered: The paths of what could have been chosen.

    Raises:
        InputError: One never came.
    """
    wanted = [*description.columns, *description.key, *([description.since.column] if description.since else [])]
    for name in wanted:
        if name not in columns.names:
            path = description.columns.get(name, name)
            raise InputError(
                f"{description.name}: no row has a value {path[:60]!r}",
                field="columns",
                hint=did_you_mean(path, {*columns.names, *offered} - {name}),
            )


def whole_table(
    description: Description, columns: Columns, pages: Iterable[Page], base: pa.Table | None, since: Value | None
) -> tuple[pa.Table, list[str]]:
    """Return all rows in the order in which they first came, and a sentence for each thing that was done to them.

    Args:
        description: Names the key and the column that later pulls start from.
        columns: Has seen `base` and `pages`.
        pages: With the new rows.
        base: The rows so far, if the pull extends them.
        since: The greatest value in `base`.
    """
    import pyarrow as pa

    notes: list[str] = []
    new = pa.Table.from_batches((columns.batch(page.rows) for page in pages), schema=columns.schema())
    if base is None:
        return _once(new, description.key, notes), notes
    if description.since and not description.key and since is not None:
        new = _newer(new, description.since.column, since, notes)
    return _once(pa.concat_tables([columns.cast(base), new]), description.key, notes), notes


def greatest(table: pa.Table, column: str) -> Value:
    """Return the greatest value of a column.

    Raises:
        InputError: It holds truth values, or nothing.
        SurroundingsError: It is no column.
    """
    import pyarrow.compute as pc

    value = pc.max(table.column(column)).as_py()
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InputError(f"column {column[:60]!r} has no greatest value", field="since.column")
    return value


def _newer(table: pa.Table, column: str, since: Value, notes: list[str]) -> pa.Table:
    """Leave out rows that were there before: without a key, only their value tells."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        bound = pa.scalar(since, table.schema.field(column).type)
    except (pa.ArrowException, TypeError) as error:
        raise SurroundingsError(
            f"column {column[:60]!r} held {type(since).__name__} values before and holds others now",
            field="since.column",
            hint="with a key, or without since, everything is pulled anew",
        ) from error
    newer = pc.fill_null(pc.greater(table.column(column), bound), False)
    kept = table.filter(newer)
    if len(kept) < len(table):
        notes.append(f"{len(table) - len(kept)} rows that are not newer than the last pull are left out")
    return kept


def _once(table: pa.Table, key: tuple[str, ...], notes: list[str]) -> pa.Table:
    """Keep of rows with the same key the last to come, at the place of the first."""
    import numpy as np
    import pandas as pd

    if not key or not len(table):
        return table
    codes: Any = np.zeros(len(table), dtype=np.int64)
    for name in key:
        more, values = pd.factorize(table.column(name).to_pandas())
        codes, _ = pd.factorize(codes * (len(values) + 1) + more)
    last = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    np.maximum.at(last, codes, np.arange(len(table)))
    if len(last) < len(table):
        notes.append(f"{len(table) - len(last)} rows came again with a newer or the same content: the last one counts")
    return table.take(last)
