"""The target of a table: which task its values make, and the array that is learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from search.contract import Task
from search.errors import InputError

MAX_WHOLE_CLASSES: Final = 20
"""A target with more different whole numbers than this is a quantity, not a class."""

_ROWS_PER_CLASS: Final = 5  # whole numbers that repeat less often than this are a quantity


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What is learned: (rows,) class indices as int64, or float64; `classes` names the indices."""

    task: Task
    values: np.ndarray[Any, Any]
    classes: tuple[str, ...] = ()


def read_target(name: str, column: pd.Series[Any], task: str | None = None) -> Target:
    """Return the target in a cleaned column without missing values.

    Text is a class, and so are numbers if all are whole, at most `MAX_WHOLE_CLASSES` differ and each stands for five
    rows on average; two different whole numbers always are. All else is a quantity. Classes are sorted, numbers by
    value.

    Args:
        name: For messages.
        column: float64, or text.
        task: `classification` or `regression`, to overrule this.

    Raises:
        InputError: There is one value only, or the values do not make the task.
    """
    is_number = pd.api.types.is_numeric_dtype(column.dtype)
    distinct = column.unique()
    if task == "regression" and not is_number:
        raise InputError(f"target {name!r} is text ({distinct[0]!r:.40}); a regression needs numbers", field=name)
    is_class = task == "classification" or (task is None and (not is_number or _are_classes(distinct, len(column))))
    if len(distinct) == 1:
        one = repr(distinct[0]) if not is_number else _label(distinct[0])
        needs = "a classifier needs two" if is_class else "there is nothing to learn"
        raise InputError(f"target {name!r} has one value ({one:.60}, {len(column)} rows); {needs}", field=name)
    if not is_class:
        return Target(Task.REGRESSION, column.to_numpy(dtype=np.float64))
    if len(distinct) > len(column) / 2:
        raise _hardly_repeats(name, column, len(distinct))
    codes, levels = pd.factorize(column, sort=True)
    classes = tuple(_label(level) for level in levels)
    return Target(Task.BINARY if len(classes) == 2 else Task.MULTICLASS, codes.astype(np.int64), classes)


def _are_classes(distinct: Any, rows: int) -> bool:
    if not all(float(value).is_integer() for value in distinct[: MAX_WHOLE_CLASSES + 1]):
        return False
    return len(distinct) <= 2 or (len(distinct) <= MAX_WHOLE_CLASSES and len(distinct) * _ROWS_PER_CLASS <= rows)


def _label(level: Any) -> str:
    if isinstance(level, str):
        return level
    return str(int(level)) if float(level).is_integer() else repr(float(level))


def _hardly_repeats(name: str, column: pd.Series[Any], distinct: int) -> InputError:
    message = (
        f"target {name!r} has {distinct} different values in {len(column)} rows; a classifier needs values that repeat"
    )
    if pd.api.types.is_numeric_dtype(column.dtype):
        return InputError(message, field=name, hint="try task=regression")
    stray = column[pd.to_numeric(column, errors="coerce").isna()]
    if 0 < len(stray) < len(column) / 2:
        first = str(stray.iloc[0])
        return InputError(message, field=name, hint=f"is it a number? the first value that is none is {first[:40]!r}")
    return InputError(message, field=name)
