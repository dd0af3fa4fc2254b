"""The values of one column, from JSON to an array: the `Column`, of numbers, texts or images."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Protocol, TypeAlias

import numpy as np

from search.bundle.signature import MOST_LEVELS, Input, Kind

Array = np.ndarray[Any, Any]

MOST_WHOLE: Final = float(1 << 63)
"""Numbers stay below this, unless those of the training did not."""

MOST_FLOAT: Final = float(np.finfo(np.float32).max)
"""Beyond this a model, which computes with 32 bits, sees infinity."""

_FEW: Final = 16
"""Up to so many values are taken one by one, which is faster than to have numpy look at them."""

MOST_ERRORS: Final = 20
"""That an answer names; the first of them are enough to see what is wrong."""

_SHOWN: Final = 40

_PACKED: Final = (b"\x89PNG", b"\xff\xd8\xff")


@dataclass(frozen=True, slots=True)
class Bad:
    """A value that is not taken.

    Attributes:
        position: In its column.
        message: What was expected, and what came.
    """

    position: int
    message: str


Taken: TypeAlias = "tuple[Array, int] | list[Bad]"
"""The array, and how many values are strange; or what is wrong."""


class Column(Protocol):
    """One input that a model reads."""

    name: str

    def take(self, values: list[Any], escaped: bool) -> Taken:
        """Return an array of values, as `Model.run` takes it.

        Args:
            values: Of JSON.
            escaped: Whether a text may hold half of a surrogate pair.
        """


def column_of(given: Input) -> Column:
    """Return the column of an input."""
    if given.kind is Kind.IMAGE:
        return _Images(given)
    return _Numbers(given) if given.kind is Kind.NUMBER else _Texts(given)


def bound_of(given: Input) -> float:
    """Return what numbers of an input stay below, and their negatives above."""
    beyond = any(abs(bound) >= MOST_WHOLE for bound in (given.low, given.high) if bound is not None)
    return MOST_FLOAT if beyond else MOST_WHOLE


def takes_truth(given: Input) -> bool:
    """Tell whether `true` and `false` stand for 1 and 0: where training had nothing else."""
    return given.whole and given.low is not None and given.low >= 0 and (given.high or 0) <= 1


def shown(value: object) -> str:
    """Return a JSON value in at most 40 characters."""
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN else value[: _SHOWN - 3] + "...")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= MOST_WHOLE:
        return "a larger one"
    return json.dumps(value)


class _Numbers:
    def __init__(self, given: Input) -> None:
        self.name = given.name
        self._most = bound_of(given)
        self._truth = takes_truth(given)
        self._low = -np.inf if given.low is None else given.low
        self._high = np.inf if given.high is None else given.high
        self._types = {int, float, type(None), bool} if self._truth else {int, float, type(None)}

    def take(self, values: list[Any], escaped: bool) -> Taken:  # noqa: ARG002
        if len(values) > _FEW and (taken := self._many(values)) is not None:
            return taken
        found: list[float] = []
        bad: list[Bad] = []
        strange = 0
        for position, value in enumerate(values):
            kind = type(value)
            if kind is float or kind is int:
                if -self._most <= value < self._most:
                    strange += not self._low <= value <= self._high
                    found.append(value)
                    continue
            elif value is None:
                found.append(np.nan)
                continue
            elif kind is bool and self._truth:
                found.append(float(value))
                continue
            bad.append(Bad(position, self._said(value)))
            if len(bad) > MOST_ERRORS:
                break
        return bad or (np.array(found, np.float32), strange)

    def _many(self, values: list[Any]) -> tuple[Array, int] | None:
        """Return them at once; None where one of them has to be looked at."""
        if not set(map(type, values)) <= self._types:
            return None
        try:
            found = np.array(values, np.float64)
        except OverflowError:
            return None
        if not ((found >= -self._most) & (found < self._most) | np.isnan(found)).all():
            return None
        return found.astype(np.float32), int(np.count_nonzero((found < self._low) | (found > self._high)))

    def _said(self, value: Any) -> str:
        if type(value) in (int, float):
            return f"expected a number between -{self._most:.3g} and {self._most:.3g}, got a larger one"
        return f"expected a number{' or true or false' if self._truth else ''}, got {shown(value)}"


class _Texts:
    def __init__(self, given: Input) -> None:
        self.name = given.name
        self._levels = frozenset((*given.levels, ""))
        self._lists_all = 0 < len(given.levels) < MOST_LEVELS

    def take(self, values: list[Any], escaped: bool) -> Taken:
        kinds = set(map(type, values))
        if not kinds <= {str, type(None)}:
            wrong = [at for at, value in enumerate(values) if value is not None and not isinstance(value, str)]
            return [Bad(at, f"expected a text, got {shown(values[at])}") for at in wrong[: MOST_ERRORS + 1]]
        texts = [value or "" for value in values] if type(None) in kinds else values
        if escaped and (halves := [at for at, text in enumerate(texts) if not _is_whole(text)]):
            said = "expected a text of whole characters, got half of a surrogate pair"
            return [Bad(at, said) for at in halves[: MOST_ERRORS + 1]]
        levels = self._levels
        return np.array(texts, object), sum(text not in levels for text in texts) if self._lists_all else 0


class _Images:
    def __init__(self, given: Input) -> None:
        self.name = given.name
        self._shape: tuple[int, int, int] = given.shape  # type: ignore[assignment]  # of an image

    def take(self, values: list[Any], escaped: bool) -> Taken:  # noqa: ARG002
        found: list[Array] = []  # and no array at once: many wrong values need no room
        bad: list[Bad] = []
        for position, value in enumerate(values):
            taken = self._of_bytes(value) if isinstance(value, str) else self._of_lists(value)
            if isinstance(taken, str):
                bad.append(Bad(position, taken))
                if len(bad) > MOST_ERRORS:
                    break
            else:
                found.append(taken)
        return bad or (np.stack(found), 0)

    def _of_bytes(self, text: str) -> Array | str:
        channels, height, width = self._shape
        size = channels * height * width
        try:
            given = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return f"expected base64 of {size} bytes, got {shown(text)}"
        if len(given) != size:
            came = "a PNG or JPEG file" if given.startswith(_PACKED) else f"{len(given)} bytes"
            return f"expected base64 of {size} bytes, the raw pixels ({channels} x {height} x {width}), got {came}"
        return np.frombuffer(given, np.uint8).reshape(self._shape).astype(np.float32) / np.float32(255)

    def _of_lists(self, value: Any) -> Array | str:
        channels, height, width = self._shape
        expected = f"expected lists of {channels} x {height} x {width} numbers from 0 to 1"
        planes = [value] if channels == 1 and _sizes(value, height, width) else value
        if not _sizes(planes, channels, height) or not all(_sizes(plane, height, width) for plane in planes):
            return f"{expected}, got {shown(value) if not isinstance(value, list) else 'others'}"
        numbers = list(chain.from_iterable(chain.from_iterable(planes)))
        if not set(map(type, numbers)) <= {int, float}:
            return f"{expected}, got {shown(next(one for one in numbers if type(one) not in (int, float)))}"
        if min(numbers) < 0 or max(numbers) > 1:
            return f"{expected}, got {shown(next(one for one in numbers if not 0 <= one <= 1))}"
        return np.array(numbers, np.float32).reshape(self._shape)


def _sizes(value: Any, outer: int, inner: int) -> bool:
    """Tell whether it is `outer` lists of `inner` values each."""
    return (
        isinstance(value, list)
        and len(value) == outer
        and all(isinstance(one, list) and len(one) == inner for one in value)
    )


def _is_whole(text: Sequence[str] | str) -> bool:
    try:
        str(text).encode()
    except UnicodeEncodeError:
        return False
    return True
