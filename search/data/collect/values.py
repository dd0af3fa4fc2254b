"""The types of values that JSON brings: what fits which, and how a date becomes a number."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Final

TYPES: Final = ("number", "integer", "text", "boolean", "datetime")

_EXACT: Final = 1 << 53
"""Up to here a double holds every whole number."""

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def fits(value: object, kind: str) -> bool:
    """Tell whether a JSON value is of a type as it stands: no text is taken for a number, no 1 for true."""
    if kind == "text":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "datetime":
        return isinstance(value, str) and parse_datetime(value) is not None
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return -_EXACT <= value <= _EXACT if kind == "number" else _LEAST <= value <= _MOST
    return kind == "number" and isinstance(value, float) and math.isfinite(value)


def parse_datetime(text: str) -> int | None:
    """Return the microseconds since 1970 (UTC) of an ISO 8601 date or time, None if it is none."""
    if not 8 <= len(text) <= 40 or not text.isascii():
        return None
    try:
        moment = datetime.fromisoformat(text)
        return as_microseconds(moment.astimezone(UTC) if moment.tzinfo else moment)  # within the years 1 to 9999 in UTC
    except (ValueError, OverflowError):
        return None


def as_microseconds(moment: datetime) -> int:
    """Return the microseconds since 1970 (UTC); without a zone it is UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // _MICROSECOND


def kind_of(value: object) -> str:
    """Return what people call a JSON value, without showing it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "object"
