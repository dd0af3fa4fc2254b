"""Rows of plain values as typed columns of Parquet, whose types are the narrowest that hold every value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

_TYPES: Final = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "time": pa.timestamp("us"),
    "text": pa.string(),
}
_KINDS: Final = {bool: "bool", int: "int", float: "float", datetime: "time", str: "text"}
_INT64: Final = 2**63


class Columns:
    """The columns of a table and what each holds.

    Args:
        kinds: Those that the table has in any case.
        sections: Beginnings of names; columns stand in this order of theirs, then as they appeared.
    """

    def __init__(self, kinds: Mapping[str, str], sections: Sequence[str]) -> None:
        self._kinds = dict(kinds)
        self._sections = sections

    @classmethod
    def of(cls, schema: pa.Schema, sections: Sequence[str]) -> Columns:
        """Return the columns of a table that was written.

        Raises:
            ValueError: One of them is none of ours.
        """
        names = {str(kind): name for name, kind in _TYPES.items()}
        try:
            return cls({field.name: names[str(field.type)] for field in schema}, sections)
        except KeyError as error:
            raise ValueError(f"a column of type {error}") from error

    def learn(self, row: Mapping[str, Any]) -> None:
        """Make room for the values of a row."""
        for name, value in row.items():
            kind = _kind(value)
            known = self._kinds.get(name)
            if kind is None or kind == known:
                if known is None:
                    self._kinds[name] = ""  # nothing but missing values so far
                continue
            if known:
                kind = "float" if {kind, known} == {"int", "float"} else "text"
            self._kinds[name] = kind

    @property
    def schema(self) -> pa.Schema:
        """Return the types of all columns, in order."""
        names = sorted(self._kinds, key=self._section)
        return pa.schema([(name, _TYPES[self._kinds[name] or "text"]) for name in names])

    def _section(self, name: str) -> int:
        found = [index for index, prefix in enumerate(self._sections) if name.startswith(prefix)]
        return found[-1] if found else -1


def table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table; what a row lacks is missing in it."""
    listed = [*rows]
    arrays = [pa.array([_as(row.get(field.name), field.type) for row in listed], type=field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def widened(found: pa.Table, schema: pa.Schema) -> pa.Table | None:
    """Return a table with the columns that it lacks, all missing; None if one of its columns has another type."""
    if any(field.name not in schema.names or schema.field(field.name).type != field.type for field in found.schema):
        return None
    arrays = [
        found.column(field.name) if field.name in found.schema.names else pa.nulls(len(found), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _kind(value: Any) -> str | None:
    if value is None:
        return None
    if type(value) is int and not -_INT64 <= value < _INT64:
        return "float"
    return _KINDS.get(type(value), "text")


def _as(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if kind == _TYPES["text"]:
        return value if isinstance(value, str) else str(value)
    return float(value) if kind == _TYPES["float"] else value
