"""The error of an answer, in [0, 1]: the `Loss` by which champion and competitors are compared, and drift is noticed.

Of classes it is whether the one that clients get is wrong, whatever probability it was given with: what a model is
sure of tells more of it, but noise in the labels makes an unsure model the better one by such measures, and the answers
are no better for it. Of values it is the absolute error, on a scale.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np

from search.online.events import Array

_STEPS: Final = 8
"""Bins of absolute errors to a doubling: the scale is known within 9 %."""

_NONE: Final = -(2**20)
"""The bin of an error of 0."""

_SHARE: Final = 0.9
_TIMES: Final = 4.0
"""An error of four times the 90 % quantile counts as 1, and so does any above."""

_FEWEST: Final = 20
"""Errors that a scale needs, and after which it is taken anew; before the first one, all errors are 0."""

_HALVED: Final = 5_000
"""Errors after which those before count half, so that the scale follows what a model is used to."""


class Loss:
    """Errors of answers; of values in units of what the champion's have been before the row, which favours nobody.

    Args:
        classes: Their names, () of a regression.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self._errors: Counter[int] = Counter()  # by bin; halved now and then
        self._learnt = 0
        self._scale: float | None = None

    @property
    def scale(self) -> float | None:
        """Of a regression: the error that counts as 1, in units of the target; None as long as it is not known."""
        return self._scale

    def error(self, answer: Any, target: float, threshold: float | None = None) -> float:
        """Return 1 for a wrong class and 0 for the right one, or the error of a value.

        Args:
            answer: (classes,) probabilities, or a value. One that is not finite is wrong, or as wrong as can be.
            target: Index of the class, or the value.
            threshold: Of the model, and of two classes: the second one is given from this probability on; None: the
                likelier one.

        Raises:
            ValueError: There is no such class.
        """
        if not self.classes:
            return self._in_units(abs(float(answer) - float(target)))
        return float(label(np.asarray(answer), threshold) != self._class(target))

    def learn(self, champion_answer: Any, target: float) -> None:
        """Learn the scale from the champion's answer, once all of the row's errors were taken; arguments as `error`."""
        if self.classes:
            return
        error = abs(float(champion_answer) - float(target))
        if not math.isfinite(error):
            return
        self._errors[_bin(error)] += 1
        self._learnt += 1
        if self._learnt % _HALVED == 0:
            # In whole numbers, so that single errors are forgotten in the end, and the state stays small.
            self._errors = Counter({one: count // 2 for one, count in self._errors.items() if count > 1})
        if self._learnt % _FEWEST == 0 and self._errors:
            self._scale = _TIMES * _upper(_quantile(self._errors, _SHARE))

    def to_json(self) -> dict[str, Any]:
        """Return all that it knows, exactly."""
        return {
            "classes": list(self.classes),
            "learnt": self._learnt,
            "errors": sorted(self._errors.items()),
            "scale": self._scale,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the loss that `to_json` described."""
        found = cls(tuple(values["classes"]))
        found._learnt = values["learnt"]
        found._errors = Counter(dict(values["errors"]))
        found._scale = values["scale"]
        return found

    def _class(self, target: float) -> int:
        index = int(target)
        if not 0 <= index < len(self.classes):
            raise ValueError(f"a class is an index below {len(self.classes)}, got {target!r}")
        return index

    def _in_units(self, error: float) -> float:
        if self._scale is None:
            return 0.0
        if not math.isfinite(error):
            return 1.0
        return min(error / self._scale, 1.0)


def label(probabilities: Array, threshold: float | None) -> int:
    """Return the class that is given, -1 where a probability is not finite: that is never right."""
    if not np.isfinite(probabilities).all():
        return -1
    if threshold is not None:
        return int(probabilities[1] >= threshold)
    return int(np.argmax(probabilities))


def _bin(error: float) -> int:
    return _NONE if error == 0 else math.floor(_STEPS * math.log2(error))


def _upper(number: int) -> float:
    """Return the largest error of a bin; of none, the smallest number there is, so that any error counts as 1."""
    return math.ulp(0.0) if number == _NONE else 2.0 ** min((number + 1) / _STEPS, 1000.0)


def _quantile(errors: Counter[int], share: float) -> int:
    wanted = share * errors.total()
    seen = 0
    for one in sorted(errors):
        seen += errors[one]
        if seen >= wanted:
            return one
    return max(errors)
