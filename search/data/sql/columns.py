"""Rows as Arrow tables: which type a column has, and how it widens when later rows hold more than that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from search.errors import InputError

_INT64: Final = range(-(2**63), 2**63)
_TEXT: Final = pa.string()
_TYPES: Final[Mapping[type, pa.DataType]] = {
    type(None): pa.null(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    Decimal: pa.float64(),
    datetime: pa.timestamp("us"),
    date: pa.date32(),
    timedelta: pa.duration("us"),
    str: _TEXT,
}
"""Of all other types, text is kept."""
_BYTES: Final = (bytes, bytearray, memoryview)
_UTC: Final = pa.timestamp("us", tz="UTC")
# Each holds all values of those before it.
_NUMBERS: Final = (pa.null(), pa.bool_(), pa.int64(), pa.float64())


def check_names(names: Sequence[str]) -> None:
    """Make sure that the columns of a result can be told apart.

    Raises:
        InputError: Two have the same name, or one has none.
    """
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise InputError(f"column {position} of the query has no name", field="data", hint="name it with AS")
        if names.index(name) < position - 1:
            raise InputError(
                f"the query gives two columns named {name[:60]!r} ({names.index(name) + 1}, {position})",
                field="data",
                hint="name one of them with AS",
            )


def as_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Return rows as a table, each column of the narrowest type that holds it.

    Decimals become float64, times with a zone UTC; JSON and lists JSON text; what else has no type here its text.

    Raises:
        InputError: A column holds bytes.
    """
    columns = [_as_array(name, [row[index] for row in rows]) for index, name in enumerate(names)]
    return pa.table(columns, names=list(names))


def widest(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Return a schema whose columns hold the values of all these, which have the same names."""
    first, *others = schemas
    types = list(first.types)
    for schema in others:
        types = [_wider(one, two) for one, two in zip(types, schema.types, strict=True)]
    return pa.schema(list(zip(first.names, types, strict=True)))


def fit(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with its columns widened to those of `schema`."""
    if table.schema.equals(schema):
        return table
    columns = [_widen(column, kind) for column, kind in zip(table.columns, schema.types, strict=True)]
    return pa.table(columns, schema=schema)


def _as_array(name: str, values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values}
    if any(issubclass(kind, _BYTES) for kind in kinds):
        raise InputError(
            f"column {name[:60]!r} holds bytes, which nothing can be learned from",
            field="data",
            hint="leave it out of the query, or encode it there",
        )
    wanted = pa.null()
    for kind in kinds:
        wanted = _wider(wanted, _TYPES.get(kind, _TEXT))
    if wanted == pa.int64() and not all(value is None or value in _INT64 for value in values):
        wanted = pa.float64()
    if wanted == pa.timestamp("us") and datetime in kinds:
        wanted = _zone(values)
    return pa.array(map(_converter(wanted), values), type=wanted, size=len(values))


def _zone(values: list[Any]) -> pa.DataType:
    """Return the type of times: all with a zone, none with one, or some, which is text."""
    zoned = {isinstance(value, datetime) and value.tzinfo is not None for value in values if value is not None}
    return _TEXT if len(zoned) > 1 else _UTC if zoned == {True} else pa.timestamp("us")


def _converter(wanted: pa.DataType) -> Callable[[Any], Any]:
    if wanted == pa.float64():
        return lambda value: None if value is None else float(value)
    if wanted == pa.int64():
        return lambda value: None if value is None else int(value)
    if wanted == pa.timestamp("us"):
        return _at_midnight
    if wanted == _TEXT:
        return _as_text
    return lambda value: value


def _at_midnight(value: Any) -> Any:
    return value if isinstance(value, datetime) or value is None else datetime(value.year, value.month, value.day)


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)


def _wider(one: pa.DataType, two: pa.DataType) -> pa.DataType:
    if one == two or pa.types.is_null(two):
        return one
    if pa.types.is_null(one):
        return two
    if one in _NUMBERS and two in _NUMBERS:
        return _NUMBERS[max(_NUMBERS.index(one), _NUMBERS.index(two))]
    if {one, two} == {pa.date32(), pa.timestamp("us")}:
        return pa.timestamp("us")
    return _TEXT


def _widen(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    if kind == _TEXT and not pa.types.is_null(column.type):
        return pa.chunked_array([pa.array(map(_as_text, column.to_pylist()), type=_TEXT)])
    if pa.types.is_boolean(column.type) and kind == pa.float64():
        column = column.cast(pa.int64())
    return column.cast(kind, safe=False)
