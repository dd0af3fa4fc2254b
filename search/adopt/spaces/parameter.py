"""One parameter of a space that was written for another tool, as Optuna would suggest it: the `Parameter`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from search.errors import InputError
from search.trial import ParamValue

if TYPE_CHECKING:
    import optuna

Condition = tuple[str, ParamValue]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter, its range, and when it is there.

    Attributes:
        name: Dotted where it was nested.
        kind: What is suggested.
        low, high: Of a number, both included.
        step: Between two numbers from `low` on; None for every float, or for every int.
        log: Whether a number is drawn in log scale.
        choices: Of a categorical.
        when: The choices of other parameters that it is suggested under; () for always.

    Raises:
        InputError: The range is none that can be searched.
    """

    name: str
    kind: Literal["float", "int", "categorical"]
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    choices: tuple[ParamValue, ...] = ()
    when: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "categorical":
            if not self.choices:
                raise InputError(f"{self.name} has no values to choose from", field=self.name, hint="give at least one")
            if any(isinstance(one, float) and not math.isfinite(one) for one in self.choices):
                raise InputError(f"{self.name} has a value that is no finite number", field=self.name)
            return
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise InputError(
                f"{self.name} needs finite bounds, the lower one first, got {self.low:g} and {self.high:g}",
                field=self.name,
            )
        if self.log and (self.low < 1 if self.kind == "int" else self.low <= 0):
            least = ">= 1" if self.kind == "int" else "> 0"
            raise InputError(f"{self.name} in log scale needs a low {least}, got {self.low:g}", field=self.name)

    def suggest(self, trial: optuna.trial.Trial) -> ParamValue:
        """Suggest it on a trial of Optuna."""
        if self.kind == "categorical":
            return trial.suggest_categorical(self.name, self.choices)
        if self.kind == "int":
            return trial.suggest_int(self.name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)

    def applies(self, chosen: Mapping[str, ParamValue]) -> bool:
        """Tell whether it is suggested, given what was chosen before."""
        return all(name in chosen and chosen[name] == value for name, value in self.when)

    def line(self) -> str:
        """Return the line of Python that suggests it."""
        if self.kind == "categorical":
            return f"trial.suggest_categorical({source_of(self.name)}, [{', '.join(map(source_of, self.choices))}])"
        number = int if self.kind == "int" else float
        given = [source_of(self.name), repr(number(self.low)), repr(number(self.high))]
        if self.step is not None and (self.kind == "float" or self.step != 1):
            given.append(f"step={number(self.step)!r}")
        if self.log:
            given.append("log=True")
        return f"trial.suggest_{self.kind}({', '.join(given)})"


def source_of(value: ParamValue) -> str:
    """Return a value as Python source, strings in double quotes."""
    if not isinstance(value, str):
        return repr(value)
    text = repr(value)
    return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text


def whole(number: float) -> bool:
    """Tell whether a number is an int, or a float without a fraction."""
    return float(number).is_integer()


def multiple(value: float, step: float, to_int: Callable[[float], int]) -> float:
    """Return a multiple of a step near a value, without the error of binary fractions: Optuna counts in decimal ones.

    Args:
        value: Near which.
        step: Above 0.
        to_int: `round`, `math.floor` or `math.ceil`.
    """
    count = value / step
    nearest = round(count)
    exact = nearest if math.isclose(count, nearest, abs_tol=1e-9) else to_int(count)
    return float(Decimal(str(step)) * exact)


def stepped(name: str, low: float, high: float, step: float) -> Parameter:
    """Return a number by steps: an int where its ends and its step are.

    Args:
        name: Of the parameter.
        low: Its lowest value.
        high: What it does not exceed; lowered to the last step.
        step: Above 0.

    Raises:
        InputError: There is no such step.
    """
    if not step > 0:
        raise InputError(f"{name} needs a step above 0, got {step:g}", field=name)
    last = float(Decimal(str(low)) + Decimal(str(multiple(high - low, step, math.floor))))
    if whole(low) and whole(step):
        return Parameter(name, "int", low, round(last), step=step)
    return Parameter(name, "float", low, last, step=step)


def log_steps(name: str, low: float, high: float, step: float, notes: list[str]) -> Parameter:
    """Return a number in log scale; Optuna has no steps there but those between ints, so others are left out.

    Args:
        name: Of the parameter.
        low: Its lowest value.
        high: Its highest.
        step: What its own tool rounds to.
        notes: Hears of steps that are left out.

    Raises:
        InputError: The range is none in log scale.
    """
    is_int = whole(step) and step >= 1 and round(high) >= 1 and low > 0
    if not is_int or step != 1:
        notes.append(f"{name}: log scale goes without steps here, so those of {step:g} are left out")
    if is_int:
        return Parameter(name, "int", max(1, round(low)), round(high), log=True)
    return Parameter(name, "float", low, high, log=True)
