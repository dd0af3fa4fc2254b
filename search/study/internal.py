"""Optuna's internal values of parameters as the user's, read from a distribution's JSON without Optuna."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from search.trial import ParamValue

_NUMBERS: Final = ("FloatDistribution", "IntDistribution")


class UnsupportedError(Exception):
    """Something is not as the Optuna that we know writes it: Optuna itself must read it."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """What is needed of a distribution: how its values read, and which others may have the same name.

    Attributes:
        name: Optuna's class.
        log: Whether it is logarithmic.
        choices: Of a categorical one.
    """

    name: str
    log: bool
    choices: tuple[ParamValue, ...]

    def external(self, value: float) -> ParamValue:
        """Return the user's value."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UnsupportedError(f"{value!r} is no internal value")
        if self.name == "FloatDistribution":
            return value
        return int(value) if self.name == "IntDistribution" else self.choices[int(value)]

    def is_compatible(self, other: Distribution) -> bool:
        """Tell whether Optuna lets both stand under one name in a study."""
        if (self.name, self.log, len(self.choices)) != (other.name, other.log, len(other.choices)):
            return False
        return all(
            one == two or (_is_nan(one) and _is_nan(two)) for one, two in zip(self.choices, other.choices, strict=True)
        )


@lru_cache(maxsize=4096)
def parse(text: str) -> Distribution:
    """Return the distribution that Optuna's JSON describes.

    Raises:
        UnsupportedError: It is of a kind that Optuna no longer writes, or not valid.
    """
    try:
        found = json.loads(text)
        name, given = found["name"], found["attributes"]
        if name == "CategoricalDistribution" and set(given) == {"choices"}:
            return Distribution(name, False, _choices(given["choices"]))
        if name in _NUMBERS and set(given) == {"low", "high", "log", "step"} and _is_valid(name, **given):
            return Distribution(name, bool(given["log"]), ())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnsupportedError(f"distribution {text[:200]}") from error
    raise UnsupportedError(f"distribution {text[:200]}")


def _choices(given: list[Any]) -> tuple[ParamValue, ...]:
    if not given or not all(one is None or isinstance(one, bool | int | float | str) for one in given):
        raise ValueError("choices")
    return tuple(given)


def _is_valid(name: str, *, low: float, high: float, log: bool, step: float | None) -> bool:
    if log:
        return 0 < low <= high and step == (1 if name == "IntDistribution" else None)
    return low <= high and (step > 0 if step is not None else name == "FloatDistribution")


def _is_nan(value: ParamValue) -> bool:
    return isinstance(value, float) and math.isnan(value)
