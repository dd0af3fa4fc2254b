"""The JSON of a request, read strictly: what standard JSON leaves open is refused, not guessed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any, Final

from search.errors import InputError

_DIGITS: Final = 20
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


class TooManyRows(InputError):
    """There are more rows in one request than it may have."""


def parse_rows(body: bytes, *, most: int) -> list[Any]:
    """Return the rows of a request: of one object itself, of `{"rows": [...]}` those in it.

    Refused are NaN and Infinity, numbers beyond a double or 64 bits, a name that stands twice in an object, half of a
    surrogate pair, and text that is not UTF-8: each would be stored as something else than was sent.

    Args:
        body: As it came.
        most: Rows that a request may have.

    Raises:
        TooManyRows: It has more.
        InputError: It is no such JSON; the sentence repeats nothing of it.
    """
    told = _parse(body, most)
    if not isinstance(told, dict):
        raise InputError('a request is one object, or {"rows": [...]}', field="body")
    rows = told.get("rows")
    if not isinstance(rows, list):
        return [told]
    if len(told) > 1:
        raise InputError('beside "rows" there is nothing in a batch', field="body")
    if len(rows) > most:
        raise _too_many(most)
    return rows


def _parse(body: bytes, most: int) -> Any:
    seen = 0

    def checked(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal seen
        seen += 1
        if seen > most + 1:  # before they all are in memory; values are no objects
            raise _too_many(most)
        found = dict(pairs)
        if len(found) < len(pairs):
            raise InputError("a name stands twice in one object", field="body")
        return found

    try:
        told = json.loads(
            body.decode(),
            object_pairs_hook=checked,
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            parse_int=_parse_int,
        )
    except UnicodeDecodeError as error:
        raise InputError(f"the body is not UTF-8 at byte {error.start}", field="body") from error
    except json.JSONDecodeError as error:
        said = f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        raise InputError(said, field="body") from error
    except RecursionError as error:
        raise InputError("the body is nested too deep", field="body") from error
    if _SURROGATE.search(body):
        try:
            json.dumps(told, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise InputError("a text holds half of a surrogate pair", field="body") from error
    return told


def _too_many(most: int) -> TooManyRows:
    return TooManyRows(f"a request has at most {most} rows; send several", field="rows")


def _refuse_constant(name: str) -> None:
    raise InputError(f"{name} is no JSON; leave the value out, or null", field="body")


def _parse_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise InputError("a number is beyond a double", field="body")
    return value


def _parse_int(text: str) -> int:
    if len(text) <= _DIGITS and -(1 << 63) <= (value := int(text)) < 1 << 63:
        return value
    raise InputError("a whole number is beyond 64 bits", field="body")
