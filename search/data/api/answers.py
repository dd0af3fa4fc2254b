"""An answer of an API as records: JSON read strictly, its parts found by a path, nested objects made flat."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from search.errors import InputError, SurroundingsError, did_you_mean

Scalar = str | int | float | bool | None
MAX_COLUMNS: Final = 10_000
MISSING: Final = object()
"""What is found where a path leads nowhere."""

LEAST_INT, MOST_INT = -(2**63), 2**63 - 1
_MAX_DEPTH: Final = 64
_INDEX: Final = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Parsed:
    """JSON, and how many numbers in it are none (`NaN`, `Infinity`, 1e400); they count as missing."""

    value: Any
    not_finite: int


def parse_json(body: bytes, content_type: str, where: str) -> Parsed:
    """Read an answer.

    Args:
        body: Its bytes.
        content_type: As its header says.
        where: `page 3 of https://...`, for people.

    Raises:
        SurroundingsError: It is no JSON, or has a key twice in one object.
    """
    missing = 0

    def none(_: str) -> float | None:
        nonlocal missing
        missing += 1
        return None

    def finite(token: str) -> float | None:
        value = float(token)
        return value if math.isfinite(value) else none(token)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise SurroundingsError(f"{where} has the key {twice[:60]!r} twice in one object", field="data")
        return found

    try:
        text = body.decode("utf-8-sig")
        value = json.loads(text, parse_constant=none, parse_float=finite, object_pairs_hook=unique)
        if "\\ud" in text.lower():
            value = _without_halves(value)
    except RecursionError:
        raise SurroundingsError(f"{where} is JSON nested too deep to be read", field="data") from None
    except ValueError as error:
        start = body.lstrip()[:15].lower()
        kind = content_type.partition(";")[0].strip()[:40]
        if start.startswith((b"<!doctype", b"<html", b"<?xml")) or kind in ("text/html", "application/xml"):
            what = "HTML" if b"html" in start or kind == "text/html" else "XML"
            raise SurroundingsError(
                f"{where} is {what}, not JSON, with status 200",
                field="data",
                hint="is it a page for people or for a login?",
            ) from None
        if not body.strip():
            raise SurroundingsError(f"{where} is empty, not JSON", field="data") from None
        said = "not UTF-8" if isinstance(error, UnicodeDecodeError) else "a number is too long"
        if isinstance(error, json.JSONDecodeError):
            said = f"{error.msg}, line {error.lineno}"
        raise SurroundingsError(f"{where} is not JSON ({said}, {len(body)} bytes)", field="data") from None
    return Parsed(value, missing)


def steps_of(path: str) -> list[str]:
    """Return the steps of a dotted path, or of a JSON pointer (RFC 6901), which starts with a slash."""
    if path.startswith("/"):
        return [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    return path.split(".") if path else []


def at_path(value: Any, path: str) -> Any:
    """Return what a path leads to, or `MISSING`; a number counts into a list, from its end if negative."""
    for step in steps_of(path):
        if isinstance(value, Mapping):
            value = value.get(step, MISSING)
        elif isinstance(value, list) and _INDEX.fullmatch(step) and -len(value) <= int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
        if value is MISSING:
            return MISSING
    return value


def records_at(value: Any, path: str, where: str) -> list[Mapping[str, Any]]:
    """Return the list of records that a path leads to.

    Raises:
        InputError: It leads nowhere, or to what is no list.
        SurroundingsError: A record is no object.
    """
    found = at_path(value, path)
    if found is MISSING or not isinstance(found, list):
        lists = _lists_in(value)
        shown = path or "the answer itself"
        got = "leads nowhere" if found is MISSING else f"is {_kind(found)}, not a list"
        hint = did_you_mean(path, lists)[:100] if lists else _error_in(value)
        raise InputError(f"{where}: records = {shown[:60]!r} {got}", field="records", hint=hint)
    for position, record in enumerate(found, start=1):
        if not isinstance(record, Mapping):
            raise SurroundingsError(
                f"{where}: record {position} is {_kind(record)}, where an object was expected", field="records"
            )
    return found


@dataclass(slots=True)
class Flat:
    """Rows of scalars, which columns are objects in some record, and the names of all that could be chosen."""

    rows: list[dict[str, Scalar]]
    objects: set[str]
    offered: set[str] = field(default_factory=set)


def flatten(records: Sequence[Mapping[str, Any]], columns: Mapping[str, str], where: str) -> Flat:
    """Return records as rows: nested objects become `outer.inner`, lists JSON text.

    Args:
        records: As they came.
        columns: The path of each column by the name it gets; empty for all columns.
        where: For people.

    Raises:
        SurroundingsError: Two values have one name, or a record is nested too deep.
    """
    made = Flat([], set())
    names: dict[str, str] = {path: name for name, path in columns.items()}
    for position, record in enumerate(records, start=1):
        row: dict[str, Scalar] = {}
        try:
            _flatten_into(row, made.objects, record, "", 0)
        except _AmbiguousError as error:
            raise SurroundingsError(f"{where}: record {position} {error}", field="records") from None
        made.offered.update(row)
        made.rows.append({names[path]: row[path] for path in columns.values() if path in row} if columns else row)
    if columns:
        made.objects = {names[path] for path in made.objects if path in names}
    return made


class _AmbiguousError(Exception):
    pass


def _flatten_into(
    row: dict[str, Scalar], objects: set[str], record: Mapping[str, Any], prefix: str, depth: int
) -> None:
    if depth > _MAX_DEPTH:
        raise _AmbiguousError(f"is nested more than {_MAX_DEPTH} deep")
    for key, value in record.items():
        name = prefix + key
        if isinstance(value, Mapping):
            objects.add(name)
            _flatten_into(row, objects, value, f"{name}.", depth + 1)
            continue
        if name in row:
            raise _AmbiguousError(f"has two values for {name[:60]!r}")
        if len(row) >= MAX_COLUMNS:
            raise _AmbiguousError(f"has more than {MAX_COLUMNS} columns; choose some with columns = [...]")
        if isinstance(value, list):
            row[name] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        elif isinstance(value, int) and not isinstance(value, bool) and not LEAST_INT <= value <= MOST_INT:
            row[name] = str(value)  # a float would take another row's digits for its own
        else:
            row[name] = value


def _without_halves(value: Any) -> Any:
    """Return JSON whose text is Unicode: half of a surrogate pair, which escapes can write, becomes a question mark."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.loads(text.encode("utf-8", errors="replace"))
    return value


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object"
    names = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _lists_in(value: Any, prefix: str = "", depth: int = 3) -> list[str]:
    """Return the paths of lists of objects near the top of an answer."""
    if isinstance(value, list):
        return [prefix or '""'] if all(isinstance(one, Mapping) for one in value[:3]) else []
    if not isinstance(value, Mapping) or depth == 0:
        return []
    inner = ((f"{prefix}.{key}" if prefix else key, one) for key, one in value.items())
    return [path for name, one in inner for path in _lists_in(one, name, depth - 1)]


def _error_in(value: Any) -> str:
    """Return what an answer says about an error, if it looks like one."""
    for name in ("error", "errors", "message", "detail"):
        said = value.get(name) if isinstance(value, Mapping) else None
        said = said.get("message") if isinstance(said, Mapping) else said
        if isinstance(said, str) and said.strip():
            # cut between words: half of a secret in it would not be known as one
            return f"it says {textwrap.shorten(said, 80, placeholder=' ...')!r}"
    return "it has no list of objects"
