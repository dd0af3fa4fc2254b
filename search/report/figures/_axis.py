"""A parameter along an axis of a figure: the `Axis`, where its values stand and what its ticks say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.records.history import Floats, Ints
from search.records.parameters import Parameter, scaled
from search.report import theme

_MOST_TICKS: Final = 12
"""Choices that are named on an axis, at most."""

_FEW: Final = 6
"""Whole numbers that each have a tick, at most."""

_MARGIN: Final = 0.04
GOLDEN: Final = 0.6180339887498949


NOT_SET: Final = "not set"
"""What is said of a parameter that a trial does not have."""


class Axis(NamedTuple):
    """An axis of a parameter.

    Attributes:
        name: The parameter's, in full.
        log: Whether it is logarithmic.
        low: Of its range; of a choice 0.
        high: The same; of a choice the last index.
        choices: Of a choice, what stands at 0, 1, ...; else [].
        whole: Whether it has whole numbers only.
    """

    name: str
    log: bool
    low: float
    high: float
    choices: list[str]
    whole: bool

    def unit(self, values: NDArray[np.float64]) -> Floats:
        """Return values on a scale from 0 to 1."""
        return scaled(values, self.low, self.high, log=self.log)

    def natural(self, units: NDArray[np.float64]) -> Floats:
        """Return values from a scale from 0 to 1."""
        if self.log:
            return np.exp(math.log(self.low) + units * (math.log(self.high) - math.log(self.low)))
        return self.low * (1 - units) + self.high * units

    def layout(self, *, most_letters: int = 14, most_ticks: int = _MOST_TICKS) -> dict[str, Any]:
        """Return it as settings of a plotly axis, with its title."""
        title = theme.short(self.name, 36)
        if self.choices:
            labels = [theme.short(choice, most_letters) for choice in self.choices]
            places = range(0, len(labels), math.ceil(len(labels) / most_ticks))
            return {
                "title": {"text": title},
                "tickmode": "array",
                "tickvals": [*places],
                "ticktext": [labels[place] for place in places],
                "range": [-0.5, len(labels) - 0.5],
            }
        if not self.log:
            margin = (self.high - self.low) * _MARGIN
            ticks = {"dtick": 1} if self.whole and self.high - self.low <= _FEW else {"nticks": 6}
            return {"title": {"text": title}, "range": [self.low - margin, self.high + margin], **ticks}
        low, high = math.log10(self.low), math.log10(self.high)
        margin = (high - low) * _MARGIN
        found: dict[str, Any] = {"title": {"text": f"{title} (log scale)"}, "type": "log"}
        found["range"] = [low - margin, high + margin]
        found["tickfont"] = {"size": 10}  # plotly makes powers larger
        if high - low > 2:
            found |= {"dtick": math.ceil((high - low) / 6), "exponentformat": "power", "showexponent": "all"}
        return found

    def cell(self, value: float | None) -> str | float | int | None:
        """Return a value as a table has it; None where a trial does not have the parameter."""
        if value is None or self.choices:
            return None if value is None else self.choices[int(value)]
        return int(value) if self.whole else value

    def said(self, value: float | None) -> str:
        """Return a value for people; plain text."""
        if value is None:
            return NOT_SET
        if self.choices:
            return self.choices[int(value)]
        return f"{value:.0f}" if self.whole and abs(value) < 1e6 else f"{value:.3g}"


def axis_of(parameter: Parameter) -> Axis:
    choices = [theme.value(choice) for choice in parameter.choices]
    whole = parameter.kind == "int"
    return Axis(parameter.name, parameter.log, parameter.low, parameter.high, choices, whole)


def at_of(values: Floats) -> list[float | None]:
    """Return values as an `Info` has them: None where a trial does not have the parameter."""
    return [None if value != value else value for value in values.tolist()]


def spread(numbers: Sequence[int] | Ints, width: float, *, step: float = GOLDEN) -> Floats:
    """Return a small shift for each trial, the same each time, so that points of one choice do not hide each other.

    Multiples of the golden ratio fill an interval evenly, whichever stretch of them is taken.
    """
    shifts: Floats = ((np.asarray(numbers) * step) % 1 - 0.5) * width
    return shifts
