"""`RowCheck`: one JSON row against a schema, as its values in order or as the `Fault` that it is put aside for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias

from search.data.collect.schema import Column, Schema, Value
from search.data.collect.values import EPOCH, fits, kind_of, parse_datetime
from search.errors import did_you_mean

Values: TypeAlias = "list[Value | None]"
"""Of one row, in the order of the schema's columns."""

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row is not accepted.

    Attributes:
        column: The column of the schema that it is about, or None.
        expected: What its value should have been.
        got: What kind of value came; never the value itself.
    """

    column: str | None
    expected: str
    got: str


class RowCheck:
    """Checks rows against one schema."""

    def __init__(self, schema: Schema) -> None:
        self._columns = [(column, _rule(column)) for column in schema.columns]
        self._names = frozenset(schema.names)

    def __call__(self, row: object) -> Values | Fault:
        """Return the values of a row in the order of the schema, or what is wrong with it."""
        if not isinstance(row, dict):
            return Fault(None, "an object of column names and values", kind_of(row))
        values: Values = []
        found = 0
        for column, rule in self._columns:
            value = row.get(column.name)
            found += column.name in row
            if value is None:
                if column.required:
                    return Fault(column.name, describe(column), "nothing")
                values.append(None)
                continue
            taken = rule(value)
            if isinstance(taken, Fault):
                return taken
            values.append(taken)
        if found < len(row):
            strange = next(name for name in row if name not in self._names)
            hint = did_you_mean(strange[:100], self._names)
            hint = f"; {hint}" if hint.startswith("did you mean") else ""
            return Fault(None, f"the columns of the schema only{hint}", "an unknown column")
        if not any(value is not None for value in values):
            return Fault(None, "a value in one column at least", "nothing")
        return values


def describe(column: Column) -> str:
    """Say what a column takes."""
    words = [column.type]
    if column.type == "datetime":
        words.append("(ISO 8601, as 2026-05-01T12:00:00Z)")
    if column.choices:
        more = ", ..." if len(column.choices) > _SHOWN else ""
        words.append(f"of {', '.join(json.dumps(choice) for choice in column.choices[:_SHOWN])[:200]}{more}")
    for name, bound in (("from", column.min), ("to", column.max)):
        if bound is not None:
            moment = column.type == "datetime"
            words.append(f"{name} {(EPOCH + timedelta(microseconds=bound)).isoformat() if moment else bound}")
    if column.max_length is not None:
        words.append(f"of at most {column.max_length} characters")
    return " ".join(words)


def _rule(column: Column) -> Callable[[Any], Value | Fault]:
    kind, low, high, longest = column.type, column.min, column.max, column.max_length
    choices = frozenset(column.choices)
    expected = describe(column)

    def rule(value: Any) -> Value | Fault:
        if not fits(value, kind):
            return Fault(column.name, expected, _misfit(value, kind))
        if choices and value not in choices:
            return Fault(column.name, expected, f"another {kind}")
        if longest is not None and len(value) > longest:
            return Fault(column.name, expected, "a longer text")
        taken: Any = parse_datetime(value) if kind == "datetime" else float(value) if kind == "number" else value
        if low is not None and taken < low:
            return Fault(column.name, expected, f"{kind} below min")
        if high is not None and taken > high:
            return Fault(column.name, expected, f"{kind} above max")
        return taken  # type: ignore[no-any-return]

    return rule


def _misfit(value: object, kind: str) -> str:
    got = kind_of(value)
    if kind == "datetime" and got == "text":
        return "text that is no ISO 8601 date"
    if got == "integer" and kind in ("number", "integer"):
        return "integer that would lose digits"
    return got
