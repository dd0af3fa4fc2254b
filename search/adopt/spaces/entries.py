"""Values of a foreign file, checked as they are taken out: numbers, lists, names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from search.errors import InputError, did_you_mean
from search.trial import ParamValue


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """Return a value that has to have entries.

    Raises:
        InputError: It has none.
    """
    if not isinstance(value, Mapping):
        raise InputError(f"{name} needs entries of its own, got {value!r:.60}", field=name)
    return {str(key): one for key, one in value.items()}


def number(value: Any, name: str) -> float:
    """Return a number, also one that was written as text; an int stays one.

    Raises:
        InputError: It is none.
    """
    if not isinstance(value, bool):
        try:
            return int(value) if isinstance(value, int) else float(value)
        except (TypeError, ValueError):
            pass
    raise InputError(f"{name} must be a number, got {value!r:.60}", field=name)


def values(given: Any, name: str) -> tuple[ParamValue, ...]:
    """Return the choices of a parameter; what nests is told by its text.

    Raises:
        InputError: There are none.
    """
    if not isinstance(given, (list, tuple)) or not given:
        raise InputError(f"{name} needs a list of values, got {given!r:.60}", field=name)
    return tuple(one if isinstance(one, (bool, int, float, str, type(None))) else repr(one)[:80] for one in given)


def known(got: str, accepted: Iterable[str], what: str, field: str) -> str:
    """Return a name if it is one of those accepted.

    Raises:
        InputError: It is not.
    """
    accepted = list(accepted)
    if got not in accepted:
        raise InputError(f"unknown {what} {got!r:.60}", field=field, hint=did_you_mean(got, accepted)[:120])
    return got


def is_nested(value: Any) -> bool:
    """Tell whether a choice is more than a plain value."""
    return isinstance(value, (list, tuple, Mapping))
