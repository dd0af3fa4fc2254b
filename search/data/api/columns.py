"""`Columns`: the names and types of the columns of a pull as its pages come, and rows as an Arrow table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from search.data.api.answers import LEAST_INT, MAX_COLUMNS, MOST_INT, Scalar
from search.errors import SurroundingsError

if TYPE_CHECKING:
    import pyarrow as pa

_TOLD: Final = 3
"""Columns that are named in a note of their own; the others are counted."""
_LONG: Final = range(len(str(MOST_INT)), 1001)
"""Characters of a whole number beyond 64 bits."""
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass(slots=True)
class _Column:
    kind: str = ""  # "" until a value comes; then bool, int, float, text, or beyond: numbers, some beyond 64 bits
    first: int = 0
    last: int = 0


class Columns:
    """What is known of the columns so far.

    Numbers widen from whole ones to all; where text, or a truth value beside numbers, comes in, the column is text from
    its first row on. An object where a single value was, or the reverse, is refused.

    Attributes:
        notes: A sentence for each column that changed its type.
    """

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._objects: dict[str, int] = {}
        self._begin = self._pages = 0  # pages with the first and the last row
        self._extends = False
        self.notes: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    @property
    def names(self) -> list[str]:
        """Those with values, in the order in which they first came; what is an object has its parts instead."""
        return [name for name, column in self._columns.items() if column.kind or name not in self._objects]

    def see(self, page: int, rows: Iterable[Mapping[str, Scalar]], objects: Iterable[str]) -> None:
        """Learn from a page; page 0 is the snapshot that is extended.

        Raises:
            SurroundingsError: A column cannot be one column any longer.
        """
        for name in objects:
            self._objects.setdefault(name, page)
        for row in rows:
            self._begin, self._pages = self._begin or page, page
            for name, value in row.items():
                column = self._columns.get(name)
                if column is None:
                    column = self._columns[name] = _Column(first=page)
                column.last = page
                if value is not None:
                    self._widen(name, column, _kind(value), page)
        if len(self._columns) > MAX_COLUMNS:
            raise SurroundingsError(
                f"{_where(page)} brings the number of columns over {MAX_COLUMNS}",
                field="columns",
                hint="choose some with columns = [...]",
            )
        for name, since in self._objects.items():
            column = self._columns.get(name)
            if column is not None and column.kind:
                one, other = ("an object", "a single value") if since == page else ("a single value", "an object")
                raise SurroundingsError(
                    f"column {name[:60]!r} is {one} on {_where(page)} and {other} before or beside it",
                    field="columns",
                    hint="leave it out with columns = [...]",
                )

    def see_table(self, table: pa.Table) -> None:
        """Learn from the snapshot that is extended."""
        import pyarrow as pa

        self._extends = True
        for field in table.schema:
            column = _Column()
            if table.column(field.name).null_count < len(table):
                kinds = ((pa.types.is_boolean, "bool"), (pa.types.is_integer, "int"), (pa.types.is_floating, "float"))
                column.kind = next((kind for test, kind in kinds if test(field.type)), "text")
                if column.kind == "text" and _are_numbers(one.as_py() for one in table.column(field.name)):
                    column.kind = "beyond"
            self._columns[field.name] = column

    def told(self) -> list[str]:
        """Return notes on types, and on columns that are not on every page."""
        odd: list[tuple[str, str]] = []
        for name, one in self._columns.items():
            if one.first > self._begin:
                odd.append((name, f"first comes on page {one.first}: missing before"))
            elif self._extends and one.first:
                odd.append((name, "is new: missing in the rows so far"))
            elif one.last < self._pages:
                until = (
                    f"comes for the last time on page {one.last} of {self._pages}" if one.last else "comes no longer"
                )
                odd.append((name, f"{until}: missing since"))
        notes = [f"column {name[:60]!r} {what}" for name, what in odd[:_TOLD]]
        more = len(odd) - _TOLD
        return [*self.notes, *notes, *([f"{more} more columns are not on every page"] if more > 0 else [])]

    def schema(self) -> pa.Schema:
        """Return the types that hold all that came."""
        import pyarrow as pa

        types = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
        return pa.schema([(name, types.get(self._columns[name].kind, pa.string())) for name in self.names])

    def batch(self, rows: Sequence[Mapping[str, Scalar]]) -> pa.RecordBatch:
        """Return rows under `schema`; what a row lacks is missing."""
        import pyarrow as pa

        arrays, schema = [], self.schema()
        for name, type_ in zip(schema.names, schema.types, strict=True):
            kind = self._columns[name].kind
            values: list[Any] = [row.get(name) for row in rows]
            if kind == "float":
                values = [None if value is None else float(value) for value in values]
            elif kind in ("text", "beyond"):
                values = [value if value is None or isinstance(value, str) else as_text(value) for value in values]
            arrays.append(pa.array(values, type_))
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def cast(self, table: pa.Table) -> pa.Table:
        """Return the snapshot that is extended under `schema`."""
        import pyarrow as pa

        arrays = []
        for field in self.schema():
            if field.name not in table.column_names:
                arrays.append(pa.nulls(len(table), field.type))
                continue
            column = table.column(field.name)
            if field.type == pa.string() and column.type != pa.string():
                column = pa.array([None if one is None else as_text(one) for one in column.to_pylist()], pa.string())
            arrays.append(column.cast(field.type))
        return pa.table(arrays, schema=self.schema())

    def _widen(self, name: str, column: _Column, kind: str, page: int) -> None:
        before = column.kind
        if before in ("", kind):
            column.kind = kind
        elif {before, kind} == {"int", "float"}:
            column.kind = "float"
        elif {before, kind} <= {"int", "float", "beyond"}:
            column.kind = "beyond"
            if self._beyond(name) not in self.notes:
                self.notes.append(self._beyond(name))
        elif {before, kind} == {"text", "beyond"} and self._beyond(name) not in self.notes:
            column.kind = "text"
        else:
            column.kind = "text"
            self._note_text(name, "bool" in (before, kind), page)

    def _note_text(self, name: str, has_truth: bool, page: int) -> None:
        if self._beyond(name) in self.notes:
            self.notes.remove(self._beyond(name))
        start = f"column {name[:60]!r} mixes "
        if not any(note.startswith(start) for note in self.notes):
            what = "truth values with text or numbers" if has_truth else "numbers and text"
            self.notes.append(f"{start}{what} since {_where(page)}: all of it is text")

    def _beyond(self, name: str) -> str:
        return f"column {name[:60]!r} holds whole numbers beyond 64 bits, kept as text"


def as_text(value: str | int | float | bool) -> str:
    """Return a value as it stands in JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _kind(value: str | int | float | bool) -> str:
    if isinstance(value, str):
        return "beyond" if _is_beyond(value) else "text"
    if isinstance(value, bool):
        return "bool"
    return "int" if isinstance(value, int) else "float"


def _where(page: int) -> str:
    return f"page {page}" if page else "the snapshot so far"


def _is_beyond(text: str) -> bool:
    """Tell whether a text is a whole number that 64 bits do not hold."""
    digits = text.removeprefix("-")
    whole = len(digits) in _LONG and digits.isascii() and digits.isdigit() and digits[0] != "0"
    return whole and not LEAST_INT <= int(text) <= MOST_INT


def _are_numbers(texts: Iterable[str | None]) -> bool:
    """Tell whether all texts are numbers, one of them a whole one beyond 64 bits."""
    beyond = False
    for text in texts:
        if text is not None and _NUMBER.fullmatch(text) is None:
            return False
        beyond = beyond or (text is not None and _is_beyond(text))
    return beyond
