"""JSON that somebody else may have written: parsed strictly, and checked field by field against our own types."""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import EnumType, StrEnum
from functools import cache
from typing import Any, Final

DEEPEST: Final = 32
"""Levels of lists and objects within each other; ours have 6."""

_LARGEST: Final = 2**63
"""Of a whole number: every reader of JSON has these."""


def parse(content: bytes) -> Any:
    """Return what a JSON text says, if it can be read in one way only.

    Raises:
        ValueError: It is no JSON in UTF-8, or has a name twice in one object, a number that is not finite or has more
            than 64 bits, half of a character, or more levels than `DEEPEST`.
    """
    try:
        text = content.decode()
        values = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite, parse_int=_short
        )
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    _check_depth(values)
    return values


def check(values: Any, kind: Any, where: str = "") -> None:
    """Make sure that parsed JSON is what a type of ours is made of.

    Args:
        values: As `parse` returned them.
        kind: A dataclass, or a type that one has a field of; an object must have all names without a default, and no
            others.
        where: What the values are of, for people.

    Raises:
        ValueError: It is not; the text names the field.
    """
    if is_dataclass(kind):
        _check_object(values, kind, where)
        return
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return
    if origin in (types.UnionType, typing.Union):
        _check_one_of(values, inner, where)
    elif origin is tuple:
        _expect(isinstance(values, list), values, "a list", where)
        for index, value in enumerate(values):
            check(value, inner[0], f"{where}[{index}]")
    elif origin is not None and issubclass(origin, Mapping):
        _expect(isinstance(values, dict), values, "an object", where)
        for name, value in values.items():
            check(value, inner[1], f"{where}.{name}")
    elif isinstance(kind, EnumType):
        known = [str(one) for one in typing.cast("type[StrEnum]", kind)]
        _expect(values in known, values, " or ".join(known), where)
    elif kind is float:
        _expect(isinstance(values, (int, float)) and not isinstance(values, bool), values, "a number", where)
    elif kind is int:
        _expect(isinstance(values, int) and not isinstance(values, bool), values, "a whole number", where)
    else:
        _expect(isinstance(values, kind), values, _PLAIN[kind], where)


_PLAIN: Final = {str: "a text", bool: "true or false", types.NoneType: "null"}


def _check_object(values: Any, kind: Any, where: str) -> None:
    _expect(isinstance(values, dict), values, "an object", where)
    known = _fields(kind)
    before = f"{where}." if where else ""
    for name in values:
        if name not in known:
            raise ValueError(f"{before}{name[:40]} is not known")
    for name, (inner, needed) in known.items():
        if name in values:
            check(values[name], inner, f"{before}{name}")
        elif needed:
            raise ValueError(f"{before}{name} is missing")


@cache
def _fields(kind: Any) -> Mapping[str, tuple[Any, bool]]:
    """Return the type of each field, and whether it has no default."""
    kinds = typing.get_type_hints(kind)
    return {
        one.name: (kinds[one.name], one.default is MISSING and one.default_factory is MISSING) for one in fields(kind)
    }


def _check_one_of(values: Any, kinds: tuple[Any, ...], where: str) -> None:
    said = []
    for kind in kinds:
        try:
            check(values, kind, where)
        except ValueError as error:
            said.append(error)
        else:
            return
    raise said[0]


def _expect(holds: bool, value: Any, expected: str, where: str) -> None:
    if not holds:
        raise ValueError(f"{where or 'it'} is {json.dumps(value)[:40]}, expected {expected}")


def _check_depth(values: Any) -> None:
    """Walk without recursion; a text must be one that can be written again."""
    waiting = [(values, 1)]
    while waiting:
        value, level = waiting.pop()
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, (dict, list)):
            if level > DEEPEST:
                raise ValueError("it is nested too deep")
            if isinstance(value, dict):
                waiting.extend((name, level) for name in value)
            waiting.extend((one, level + 1) for one in (value.values() if isinstance(value, dict) else value))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)[:40]!r} is there twice")
    return values


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large")
    return number


def _short(text: str) -> int:
    number = int(text) if len(text) <= 20 else _LARGEST
    if not -_LARGEST <= number < _LARGEST:
        raise ValueError(f"{text[:40]} is too large")
    return number
