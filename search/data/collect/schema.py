"""`Schema`: the columns of a collection and the rules of their values, read from TOML and kept as JSON."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from search.data.collect.values import TYPES, as_microseconds, fits
from search.errors import InputError, RefusedError, did_you_mean

Value: TypeAlias = float | int | str | bool
"""A value that is not missing; a datetime is microseconds since 1970 (UTC)."""

_OPTIONS: Final = ("type", "required", "min", "max", "choices", "max_length")
_MOST_COLUMNS: Final = 1000
_MOST_CHOICES: Final = 1000
_MOST_BYTES: Final = 1 << 20
_SHOWN: Final = 5  # names of columns
_ORDERED: Final = ("number", "integer", "datetime")


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Of the column.
        type: `number`, `integer`, `text`, `boolean` or `datetime`.
        required: Whether a row without a value is rejected.
        min: The least value, or None.
        max: The greatest value, or None.
        choices: The only values, or none for any.
        max_length: The most characters of a text, or None.
    """

    name: str
    type: str
    required: bool = False
    min: float | int | None = None
    max: float | int | None = None
    choices: tuple[Value, ...] = ()
    max_length: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the options that were given, and the type."""
        told = {name: getattr(self, name) for name in _OPTIONS}
        told["choices"] = list(self.choices)
        return {name: value for name, value in told.items() if value is not None and value is not False and value != []}

    def change_to(self, other: Column) -> str:
        """Return why `other` would not take every value that this takes; empty where it does."""
        if other.type != self.type:
            return f"is {self.type}, not {other.type}"
        if other.required and not self.required:
            return "was not required"
        for bound, tighter in (("min", _above(other.min, self.min)), ("max", _above(self.max, other.max))):
            if getattr(other, bound) is not None and (getattr(self, bound) is None or tighter):
                return f"had a wider {bound}"
        if other.choices and not (self.choices and set(self.choices) <= set(other.choices)):
            return "had choices that are gone" if self.choices else "had no choices"
        if other.max_length is not None and (self.max_length is None or other.max_length < self.max_length):
            return "had a longer max_length"
        return ""


def _above(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one > other


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a collection, in order, and which of them is predicted."""

    columns: tuple[Column, ...]
    target: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def to_json(self) -> dict[str, Any]:
        columns = [{"name": column.name, **column.to_json()} for column in self.columns]
        return {"columns": columns, "target": self.target}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Schema:
        columns = [Column(**{**one, "choices": tuple(one.get("choices", ()))}) for one in told["columns"]]
        return cls(tuple(columns), told["target"])


def read_schema(path: Path) -> Schema:
    """Read a schema file.

    Raises:
        InputError: It is not there, or something in it is wrong; the sentence names the column.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"schema {path} cannot be read: {error.strerror}", field="--schema") from error
    if len(content) > _MOST_BYTES:
        raise InputError(f"schema {path.name} is above 1 MB; it holds [columns] only", field="--schema")
    try:
        told = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"schema {path.name} is not UTF-8 text", field="--schema") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"schema {path.name} is not TOML: {str(error)[:120]}", field="--schema") from error
    return _schema(told, path.name)


def check_widened(old: Schema, new: Schema, collection: str) -> None:
    """Make sure that each row that `old` accepts is accepted by `new`, so that one table can hold both.

    Raises:
        RefusedError: It names the column that has changed.
    """
    known = {column.name: column for column in old.columns}
    for column in new.columns:
        if column.name in known:
            why = known[column.name].change_to(column)
        else:
            why = "is new and required; rows without it are there already" if column.required else ""
        if why:
            raise _changed(collection, column.name, why)
    for name in known:
        if name not in new.names:
            raise _changed(collection, name, "is gone")


def _changed(collection: str, column: str, why: str) -> RefusedError:
    return RefusedError(
        f"collection {collection!r}: column {column[:60]!r} {why}",
        field=f"columns.{column[:60]}",
        hint="a schema may add optional columns and loosen rules; collect under another NAME",
    )


def _schema(told: Mapping[str, Any], file: str) -> Schema:
    for name in told:
        if name not in ("columns", "target"):
            hint = did_you_mean(name, ("columns", "target"))
            raise InputError(f"{file} has an unknown key {name[:60]!r}", field=name[:60], hint=hint)
    tables = told.get("columns")
    if not isinstance(tables, dict) or not 1 <= len(tables) <= _MOST_COLUMNS:
        raise InputError(f'{file} needs [columns] with 1 to {_MOST_COLUMNS} lines like age = "number"', field="columns")
    columns = tuple(_column(name, rules, file) for name, rules in tables.items())
    target = told.get("target")
    names = [column.name for column in columns]
    if target is not None and target not in names:
        hint = did_you_mean(str(target)[:60], names)
        if not hint.startswith("did you mean"):
            hint = f"it has {', '.join(name[:30] for name in names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"
        raise InputError(f"{file}: target {str(target)[:60]!r} is no column", field="target", hint=hint)
    return Schema(columns, target)


def _column(name: str, rules: object, file: str) -> Column:
    field, of = f"columns.{name[:60]}", f"{file}: column {name[:60]!r}"
    if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > 100:
        raise InputError(f"{of}: a name is 1-100 printable characters without blanks around", field=field)
    given = {"type": rules} if isinstance(rules, str) else rules
    if not isinstance(given, dict) or not isinstance(given.get("type"), str):
        raise InputError(f"{of} needs a type, one of {', '.join(TYPES)}", field=field)
    for option in given:
        if option not in _OPTIONS:
            hint = did_you_mean(option, _OPTIONS)
            raise InputError(f"{of} has an unknown option {option[:60]!r}", field=field, hint=hint)
    kind = given["type"]
    if kind not in TYPES:
        hint = "write target = above [columns]" if name == "target" else did_you_mean(kind, TYPES)
        raise InputError(f"{of} has an unknown type {kind[:60]!r}", field=field, hint=hint)
    if not isinstance(given.get("required", False), bool):
        raise InputError(f"{of}: required is true or false", field=field)
    low, high = (_bound(given.get(bound), kind, f"{of}: {bound}", field) for bound in ("min", "max"))
    if low is not None and high is not None and low > high:
        raise InputError(f"{of}: min is above max", field=field)
    length = given.get("max_length")
    if length is not None and (kind != "text" or isinstance(length, bool) or not isinstance(length, int) or length < 1):
        raise InputError(f"{of}: max_length is a whole number above 0, of a text", field=field)
    choices = _choices(given.get("choices"), kind, of, field)
    return Column(name, kind, given.get("required", False), low, high, choices, length)


def _bound(value: object, kind: str, of: str, field: str) -> float | int | None:
    if value is None:
        return None
    if kind not in _ORDERED:
        raise InputError(f"{of} is for {', '.join(_ORDERED)}, not {kind}", field=field)
    if kind == "datetime" and isinstance(value, date):
        return as_microseconds(value if isinstance(value, datetime) else datetime(value.year, value.month, value.day))
    if kind == "datetime" or isinstance(value, str) or not fits(value, kind):
        raise InputError(f"{of} is no {kind}", field=field)
    return value  # type: ignore[return-value]  # it fits


def _choices(values: object, kind: str, of: str, field: str) -> tuple[Value, ...]:
    if values is None:
        return ()
    if kind not in ("number", "integer", "text"):
        raise InputError(f"{of}: choices are for number, integer and text, not {kind}", field=field)
    if not isinstance(values, list) or not 1 <= len(values) <= _MOST_CHOICES:
        raise InputError(f"{of}: choices are a list of 1 to {_MOST_CHOICES} values", field=field)
    for value in values:
        if not fits(value, kind):
            raise InputError(f"{of}: choice {json.dumps(value, default=str)[:40]} is no {kind}", field=field)
    if len(set(values)) < len(values):
        raise InputError(f"{of}: a choice stands there twice", field=field)
    return tuple(values)
