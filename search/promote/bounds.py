"""What is asked of a model before it serves anybody: the `Bounds`, and how they are written."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from search.contract import Task
from search.errors import InputError, did_you_mean
from search.promote.measures import BOUNDS, DIRECTIONS, smooth

_MS: Final = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_BYTES: Final = {"k": 2**10, "m": 2**20, "g": 2**30}
_OF_ALL: Final = tuple(DIRECTIONS)
_OF_GROUPS: Final = tuple(name for name in DIRECTIONS if name != "calibration_error")
_OF_CLASS: Final = ("recall", "precision")


@dataclass(frozen=True, slots=True)
class Floor:
    """How bad a metric may be: at least this where more is better, at most where less is.

    Attributes:
        metric: By its name on test rows.
        value: Its worst.

    Raises:
        InputError: There is no such metric, or it never is so good.
    """

    metric: str
    value: float

    def __post_init__(self) -> None:
        self.check("--floor", (*_OF_ALL, *_OF_CLASS))

    @classmethod
    def parse(cls, text: str, *, flag: str = "--floor", known: tuple[str, ...] = _OF_ALL) -> Floor:
        """Read `accuracy=0.9`.

        Raises:
            InputError: It is not that, there is no such metric, or it never is so good.
        """
        metric, _, given = text.partition("=")
        metric = metric.strip()
        try:
            value = float(given)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"{flag} takes metric=value, got {text[:60]!r}", field=flag, hint=f"try {known[0]}=0.9")
        _check(flag, metric, value, known)
        return cls(metric, value)

    @classmethod
    def of_class(cls, text: str) -> Floor:
        """Read `recall=0.9`, as `parse` does."""
        return cls.parse(text, flag="--worst-class", known=_OF_CLASS)

    def check(self, flag: str, known: tuple[str, ...]) -> None:
        """Check that the metric is one of these, and that it can be so good.

        Raises:
            InputError: It is not.
        """
        _check(flag, self.metric, self.value, known)

    def holds(self, value: float) -> bool:
        return value >= self.value if _more_is_better(self.metric) else value <= self.value

    @property
    def beyond(self) -> str:
        """The sign between a value and the bound that it breaks."""
        return "<" if _more_is_better(self.metric) else ">"


@dataclass(frozen=True, slots=True)
class GroupFloor:
    """How bad a metric may be for the worst value of a column.

    Attributes:
        column: By whose values rows are told apart.
        floor: For each of them.

    Raises:
        InputError: The metric is not measured for groups.
    """

    column: str
    floor: Floor

    def __post_init__(self) -> None:
        self.floor.check("--worst-group", _OF_GROUPS)

    @classmethod
    def parse(cls, text: str) -> GroupFloor:
        """Read `town:accuracy=0.8`; a column's name may have colons.

        Raises:
            InputError: It is not that, or there is no such metric.
        """
        flag = "--worst-group"
        column, colon, floor = text.rpartition(":")
        if not colon or not column:
            said = f"{flag} takes COLUMN:metric=value, got {text[:60]!r}"
            raise InputError(said, field=flag, hint="try town:accuracy=0.8")
        return cls(column, Floor.parse(floor, flag=flag, known=_OF_GROUPS))


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the gate asks of a model, besides that it beats the naive baseline.

    Attributes:
        min_gain: Over production, in units of the metric. Above 0: the gain itself is at least this. Below 0: the model
            may be so much worse. In any case the gain's interval lies above 0, or above a `min_gain` below 0.
        max_latency_ms: Of one row in a clean process: 95 of 100 take less.
        max_size_bytes: Of the bundle's files.
        floors: Of metrics on the test rows.
        worst_group: Of the worst value of a column.
        worst_class: Of the worst class: `recall` or `precision`.
        compare: With production.

    Raises:
        InputError: One of them is no bound, or does nothing.
    """

    min_gain: float = 0.0
    max_latency_ms: float | None = None
    max_size_bytes: int | None = None
    floors: tuple[Floor, ...] = ()
    worst_group: GroupFloor | None = None
    worst_class: Floor | None = None
    compare: bool = True

    def __post_init__(self) -> None:
        if not math.isfinite(self.min_gain):
            raise InputError(f"--min-gain must be finite, got {self.min_gain}", field="--min-gain")
        if self.min_gain and not self.compare:
            raise InputError("--min-gain does nothing with --no-comparison", field="--min-gain")
        for flag, most in (("--max-latency", self.max_latency_ms), ("--max-size", self.max_size_bytes)):
            if most is not None and not 0 < most < math.inf:
                raise InputError(f"{flag} must be above 0 and finite, got {most}", field=flag)
        for floor in self.floors:
            floor.check("--floor", _OF_ALL)
        if self.worst_class is not None:
            self.worst_class.check("--worst-class", _OF_CLASS)

    def check(self, task: Task) -> None:
        """Check that all of it is measured for a task.

        Raises:
            InputError: Something is not.
        """
        of_groups = smooth(task)
        of_all = (*of_groups, "calibration_error") if task.is_classification else of_groups
        for floor in self.floors:
            floor.check("--floor", of_all)
        if self.worst_group is not None:
            self.worst_group.floor.check("--worst-group", of_groups)
        if self.worst_class is not None and not task.is_classification:
            raise InputError("--worst-class is of classes, and this is a regression", field="--worst-class")

    @property
    def group(self) -> str | None:
        """The column whose values have to be scored."""
        return self.worst_group.column if self.worst_group is not None else None


def latency_ms(flag: str, text: str) -> float:
    """Read `30ms`.

    Raises:
        InputError: It is no time with its unit.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(us|ms|s)", text.strip())
    if match is None or not float(match[1]):
        raise InputError(f"{flag} must be a time with its unit, got {text[:40]!r}", field=flag, hint="try 30ms")
    return float(match[1]) * _MS[match[2]]


def size_bytes(flag: str, text: str) -> int:
    """Read `10m`.

    Raises:
        InputError: It is no size with its unit.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([kmg])(?:i?b)?", text.strip().lower())
    size = int(float(match[1]) * _BYTES[match[2]]) if match else 0
    if not size:
        raise InputError(f"{flag} must be a size with its unit, got {text[:40]!r}", field=flag, hint="try 500k or 10m")
    return size


def _check(flag: str, metric: str, value: float, known: tuple[str, ...]) -> None:
    if metric not in known:
        raise InputError(f"{flag}: no metric {metric[:40]!r} here", field=flag, hint=did_you_mean(metric, known))
    least, most = BOUNDS.get(metric, (0.0, 1.0))
    more = _more_is_better(metric)
    if not (-math.inf < value <= most if more else least <= value < math.inf):
        said = f"{flag}: no {metric} is {'at least' if more else 'at most'} {value:g}"
        raise InputError(said, field=flag, hint=f"the best one is {most if more else least:g}")


def _more_is_better(metric: str) -> bool:
    return DIRECTIONS.get(metric, "maximize") == "maximize"
