"""Read one parameter of a stage: its value in the right type, or one sentence that says what was expected."""

from __future__ import annotations

from collections.abc import Sequence

from search.contract import Params


def read_float(params: Params, name: str, default: float) -> float:
    """Return a number.

    Raises:
        ValueError: It is something else.
    """
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} must be a number, got {value!r}")
    return float(value)


def read_int(params: Params, name: str, default: int, *, minimum: int = 0) -> int:
    """Return a whole number of at least `minimum`.

    Raises:
        ValueError: It is something else.
    """
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(f"{name} must be a whole number >= {minimum}, got {value!r}")
    return value


def read_bool(params: Params, name: str, default: bool) -> bool:
    """Return a truth value.

    Raises:
        ValueError: It is something else.
    """
    value = params.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r}")
    return value


def read_choice(params: Params, name: str, known: Sequence[str], default: str) -> str:
    """Return one of the known words.

    Raises:
        ValueError: It is none of them.
    """
    value = params.get(name, default)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    return value
