"""What a parameter may be, as text for people, and values checked against it."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.errors import InputError
from search.trial import ParamValue


def brief(number: float) -> str:
    """Return a number as people write it: `1e-5`, `0.1`, `256`."""
    text = str(number) if isinstance(number, int) else f"{number:.12g}"
    return re.sub(r"e([+-])0*", lambda sign: "e-" if sign[1] == "-" else "e", text)


def span(distribution: BaseDistribution) -> str:
    """Return a range as `[1e-5, 0.1]`, or the choices as `linear, forest`."""
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        return f"[{brief(distribution.low)}, {brief(distribution.high)}]"
    assert isinstance(distribution, CategoricalDistribution)
    return ", ".join(str(choice) for choice in distribution.choices)


def kind(distribution: BaseDistribution) -> str:
    """Return what is allowed, to stand behind "is"."""
    if isinstance(distribution, CategoricalDistribution):
        return f"one of {span(distribution)}"
    return f"{'an int' if isinstance(distribution, IntDistribution) else 'a float'} in {span(distribution)}"


def in_full(distribution: BaseDistribution) -> str:
    """Return `kind` with scale and steps, which tells apart what has the same ends."""
    if isinstance(distribution, CategoricalDistribution):
        return kind(distribution)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    plain_step = 1 if isinstance(distribution, IntDistribution) else None
    step = "" if distribution.step == plain_step else f" by {brief(distribution.step or 0)}"
    return f"{kind(distribution)}{step}{' in log scale' if distribution.log else ''}"


def widened(one: BaseDistribution, other: BaseDistribution) -> BaseDistribution | None:
    """Return a range that holds both, or all choices of both; None for two of different kinds or scales."""
    if isinstance(one, CategoricalDistribution) and isinstance(other, CategoricalDistribution):
        more = [choice for choice in other.choices if choice_in(choice, one) is None]
        return CategoricalDistribution([*one.choices, *more])
    for numeric in (FloatDistribution, IntDistribution):
        if isinstance(one, numeric) and isinstance(other, numeric) and one.log == other.log:
            plain = 1 if numeric is IntDistribution else None
            step = one.step if one.step == other.step and one.low == other.low else plain
            return numeric(min(one.low, other.low), max(one.high, other.high), log=one.log, step=step)  # type: ignore[arg-type]
    return None


def fault_of(name: str, value: ParamValue, distribution: BaseDistribution) -> InputError | None:
    """Return why a parameter cannot have a value, None if it can."""
    if isinstance(distribution, CategoricalDistribution):
        return None if choice_in(value, distribution) is not None else _wrong(name, value, distribution)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    if isinstance(value, (bool, str)) or value is None or not math.isfinite(value):
        return _wrong(name, value, distribution)
    if isinstance(distribution, IntDistribution) and value != int(value):
        return _wrong(name, value, distribution)
    if not distribution.low <= value <= distribution.high:
        return InputError(
            f"{name}={brief(value)} is outside {span(distribution)} of the space",
            field=name,
            hint="widen the space to allow it",
        )
    if not distribution._contains(float(value)):
        assert distribution.step is not None
        return InputError(
            f"{name}={brief(value)} is between the steps of {brief(distribution.step)} from "
            f"{brief(distribution.low)} in the space",
            field=name,
            hint="take a step, or give the space a finer one",
        )
    return None


def parsed(name: str, value: object, distribution: BaseDistribution) -> ParamValue:
    """Return a value, given as text or as JSON, in the parameter's own type.

    Raises:
        InputError: It has another type, or lies outside the range.
    """
    if isinstance(distribution, CategoricalDistribution):
        index = choice_in(value, distribution)
        if index is None and isinstance(value, str):
            index = choice_in(_from_text(value), distribution)
        if index is None:
            raise _wrong(name, value, distribution)
        return distribution.choices[index]
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _wrong(name, value, distribution)
    try:
        number: float = (
            int(value) if isinstance(distribution, IntDistribution) and not _has_fraction(value) else float(value)
        )
    except (ValueError, OverflowError):
        raise _wrong(name, value, distribution) from None
    if (fault := fault_of(name, number, distribution)) is not None:
        raise _wrong(name, value, distribution) if fault.hint == "" else fault
    return int(number) if isinstance(distribution, IntDistribution) else float(number)


def _wrong(name: str, value: object, distribution: BaseDistribution) -> InputError:
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    return InputError(f"{name} is {kind(distribution)}, got {shown!r}", field=name)


def choice_in(value: object, distribution: CategoricalDistribution) -> int | None:
    """Return the index of a choice; True is not 1 here, which it is for Python."""
    for index, choice in enumerate(distribution.choices):
        if type(choice) is type(value) and choice == value:
            return index
    for index, choice in enumerate(distribution.choices):
        if _is_number(choice) and _is_number(value) and choice == value:
            return index
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _has_fraction(value: float | str) -> bool:
    return not re.fullmatch(r"\s*[+-]?\d{1,18}\s*", str(value))


def _from_text(text: str) -> Any:
    """Read `true`, `null`, `3` or `0.5`; Python's `True` and `None`, too. Other text stays text."""
    stripped = text.strip()
    words = {"True": True, "False": False, "None": None, "none": None}
    if stripped in words:
        return words[stripped]
    try:
        return json.loads(stripped)
    except ValueError:
        return text
