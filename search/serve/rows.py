"""The JSON of a request, read strictly, as the columns that a model takes: `Rows`, or why not: `BadRows`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from search.bundle.signature import Signature
from search.errors import did_you_mean
from search.serve.limits import Limits
from search.serve.values import MOST_ERRORS, Column, column_of, shown

Array = np.ndarray[Any, Any]
Form: TypeAlias = Literal["record", "records", "columns"]

_LARGE: Final = 65_536
"""Bytes from which on a body is looked at before it is parsed."""

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+\\?(?:"|\Z)', re.DOTALL)
"""A string, or the start of one that has no end; it never goes back, so that no body makes it slow."""


class BadRows(Exception):
    """A body that is not predicted.

    Attributes:
        status: Of HTTP: 400 (no JSON), 413 (too many rows), 422 (rows that the model does not take).
        message: One sentence.
        field: The place in the body, such as `rows[0].age`.
        hint: What to try.
        errors: Of rows: `row` (null where there is none), `column`, `message` of each.
    """

    def __init__(
        self, status: int, message: str, field: str = "body", *, hint: str = "", errors: Sequence[dict[str, Any]] = ()
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.hint, self.errors = status, message, field, hint, tuple(errors)

    def answer(self) -> bytes:
        """Return the JSON that tells of it."""
        told: dict[str, Any] = {"code": self.status, "field": self.field, "message": self.message, "hint": self.hint}
        if self.errors:
            told["errors"] = list(self.errors)
        return json.dumps({"error": told}).encode()  # in ASCII: a name may hold half of a surrogate pair


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What a request asks for.

    Attributes:
        columns: Of each input that the model reads, as `Model.run` takes it.
        count: Of rows.
        form: In which they came; the answer has the same.
        strange: Of each column how many values lie outside the range, or the texts, that the signature names.
    """

    columns: Mapping[str, Array]
    count: int
    form: Form
    strange: Mapping[str, int] = field(default_factory=dict)


class Reader:
    """Reads bodies for one model; safe to be called by several threads at once.

    Args:
        signature: Of the model.
        limits: Of rows.
    """

    def __init__(self, signature: Signature, limits: Limits) -> None:
        self._columns: list[Column] = [column_of(one) for one in signature.inputs if one.used]
        self._names = [one.name for one in self._columns]
        self._known = frozenset(one.name for one in signature.inputs)
        self._most = limits.rows
        widths = [one.shape[-1] for one in signature.inputs if one.shape]
        self._bytes_a_list = 16 if min(widths, default=8) >= 8 else 4
        self._decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)

    def __call__(self, body: bytes) -> Rows:
        """Return the rows of a body: of one object itself, of `{"rows": [...]}`, or of `{"columns": {...}}`.

        Raises:
            BadRows: It is no such JSON, there are too many rows, or a value is not what the signature says.
        """
        told, escaped = self.decoded(body)
        if not isinstance(told, dict):
            raise BadRows(422, f'expected {{"rows": [...]}}, {{"columns": {{...}}}} or one row, got {shown(told)}')
        form = self._form(told)
        if form == "record":
            return self.records([told], escaped, form)
        if len(told) > 1:
            other = next(name for name in told if name != form_key(form))
            raise BadRows(422, f'beside "{form_key(form)}" there is nothing in a batch, got {shown(other)}')
        if form == "records":
            return self.records(told["rows"], escaped)
        return self._of_columns(told["columns"], escaped)

    def decoded(self, body: bytes) -> tuple[Any, bool]:
        """Return what a body says, and whether a text of it may hold half of a surrogate pair.

        Raises:
            BadRows: It is no JSON, or more than rows can be.
        """
        if len(body) > _LARGE:
            self._check_size(body)
        try:
            text = body.decode()
            told = self._decoder.decode(text)
        except UnicodeDecodeError as error:
            raise BadRows(400, f"the body is not UTF-8 at byte {error.start}") from error
        except json.JSONDecodeError as error:
            if text.startswith("\ufeff"):
                raise BadRows(400, "the body begins with a byte-order mark; JSON has none") from error
            said = f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
            raise BadRows(400, said) from error
        except RecursionError as error:
            raise BadRows(400, "the body is nested too deep") from error
        except ValueError as error:  # Python's own cap on digits
            raise BadRows(422, "a whole number has thousands of digits") from error
        return told, "\\u" in text and _SURROGATE.search(text) is not None

    def _check_size(self, body: bytes) -> None:
        """Refuse more objects, lists or names than rows can have, before they all are in memory."""
        lists = len(body) // self._bytes_a_list + 1000
        for mark, most in ((b"{", self._most + 2), (b"[", lists), (b":", (self._most + 2) * (len(self._known) + 1))):
            if (count := body.count(mark)) <= most:
                continue
            if count - sum(body.count(mark, *text.span()) for text in _STRING.finditer(body)) > most:
                if mark == b"{":
                    raise self._too_many()
                raise BadRows(422, "the body has more lists or names than rows can have")

    def _form(self, told: Mapping[str, Any]) -> Form:
        """Tell in which form rows came; a model may have a column of the name `rows`, which holds no list."""
        if "rows" in told and ("rows" not in self._known or isinstance(told["rows"], list)):
            if not isinstance(told["rows"], list):
                raise BadRows(422, f"expected a list of rows, got {shown(told['rows'])}", "rows")
            return "records"
        if "columns" in told and ("columns" not in self._known or isinstance(told["columns"], dict)):
            if not isinstance(told["columns"], dict):
                raise BadRows(422, f"expected lists by the names of columns, got {shown(told['columns'])}", "columns")
            return "columns"
        return "record"

    def records(self, rows: list[Any], escaped: bool, form: Form = "records") -> Rows:
        """Return rows that came as objects.

        Args:
            rows: Of JSON.
            escaped: Whether a text may hold half of a surrogate pair.
            form: In which they came.

        Raises:
            BadRows: There are none or too many, or a value is not what the signature says.
        """
        self._check_count(len(rows), "rows")
        names = self._names
        try:
            values = [[row[name] for row in rows] for name in names]
            known = all(len(row) == len(names) or row.keys() <= self._known for row in rows)
        except (KeyError, TypeError, AttributeError, IndexError):
            known = False
        if not known or not all(type(row) is dict for row in rows):
            raise self._wrong_records(rows, form)
        return self._taken(values, len(rows), form, escaped)

    def _of_columns(self, columns: dict[str, Any], escaped: bool) -> Rows:
        errors = self._unknown(None, columns)
        missing = (name for name in self._names if name not in columns)
        errors += [_error(None, name, "is missing; the model reads it") for name in missing]
        for name, values in columns.items():
            if name in self._known and not isinstance(values, list):
                errors.append(_error(None, name, f"expected a list, got {shown(values)}"))
        if errors:
            raise _several(errors, "columns")
        sizes = {name: len(values) for name, values in columns.items()}
        first = next(iter(sizes), "")
        for name, size in sizes.items():
            self._check_count(size, f"columns.{name[:60]}")
            if size != sizes[first]:
                said = f"has {size} values, and {shown(first)} has {sizes[first]}"
                raise _several([_error(None, name, said)], "columns")
        if not sizes:
            raise BadRows(422, "expected lists by the names of columns, got none", "columns")
        return self._taken([columns[name] for name in self._names], sizes[first], "columns", escaped)

    def _taken(self, values: Sequence[list[Any]], count: int, form: Form, escaped: bool) -> Rows:
        found: dict[str, Array] = {}
        strange: dict[str, int] = {}
        errors: list[dict[str, Any]] = []
        for column, given in zip(self._columns, values, strict=True):
            taken = column.take(given, escaped)
            if isinstance(taken, list):
                errors += [_error(bad.position, column.name, bad.message) for bad in taken]
                continue
            found[column.name], outside = taken
            if outside:
                strange[column.name] = outside
        if errors:
            raise _several(sorted(errors, key=lambda one: int(one["row"])), form)
        return Rows(found, count, form, strange)

    def _check_count(self, count: int, field: str) -> None:
        if count > self._most:
            raise self._too_many()
        if not count:
            raise BadRows(422, "expected at least one row, got none", field)

    def _too_many(self) -> BadRows:
        return BadRows(413, f"a request has at most {self._most} rows; send several", "rows")

    def _wrong_records(self, rows: Sequence[Any], form: Form) -> BadRows:
        errors: list[dict[str, Any]] = []
        for position, row in enumerate(rows):
            if not isinstance(row, dict):
                errors.append(_error(position, None, f"expected an object of columns and values, got {shown(row)}"))
                continue
            errors += self._unknown(position, row)
            missing = (name for name in self._names if name not in row)
            errors += [_error(position, name, "is missing; null says that there is no value") for name in missing]
            if len(errors) > MOST_ERRORS:
                break
        return _several(errors, form)

    def _unknown(self, row: int | None, names: Iterable[str]) -> list[dict[str, Any]]:
        """Return an error for each name that the model does not know; the first ones are enough."""
        errors: list[dict[str, Any]] = []
        for name in islice((name for name in names if name not in self._known), MOST_ERRORS):
            hint = did_you_mean(name[:60], self._known) if not errors else ""  # it takes long, of many columns
            hint = f"; {hint}" if hint.startswith("did") else ""
            errors.append(_error(row, name, f"is no column of the model{hint}"))
        return errors


def form_key(form: Form) -> str:
    """Return the name under which a body holds rows of a form."""
    return "rows" if form == "records" else "columns"


def _error(row: int | None, column: str | None, message: str) -> dict[str, Any]:
    return {"row": row, "column": None if column is None else column[:80], "message": message}


def _several(errors: list[dict[str, Any]], form: Form) -> BadRows:
    place = _place(errors[0], form)
    more = f" ({len(errors) - 1} more)" if 1 < len(errors) <= MOST_ERRORS else ""
    more = more or (" (and many more)" if len(errors) > 1 else "")
    return BadRows(422, f"{place}: {errors[0]['message']}{more}"[:300], place, errors=errors[:MOST_ERRORS])


def _place(error: Mapping[str, Any], form: Form) -> str:
    row, column = error["row"], error["column"]
    if form == "columns":
        return f"columns.{column}" if row is None else f"columns.{column}[{row}]"
    if form == "record":
        return str(column)
    return f"rows[{row}]" if column is None else f"rows[{row}].{column}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BadRows(422, f"the name {shown(twice)} stands twice in one object")
    return found


def _refuse_constant(name: str) -> None:
    raise BadRows(422, f"{name} is no JSON; null says that there is no value")
