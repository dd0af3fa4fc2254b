"""A table as a `Dataset`: cleaned, target and features taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from search.contract import Dataset
from search.data.cleaning import clean
from search.data.csvfile import unnamed
from search.data.splits import MIN_ROWS
from search.data.target import read_target
from search.errors import InputError, did_you_mean

_SHOWN: Final = 8
# How pandas names a row number that it wrote along with a table; "" in CSV has become "column 1".
_INDEX: Final = ("__index_level_0__", unnamed(1), "Unnamed: 0")


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A data set, and a sentence for each thing that was done to the table to make it."""

    dataset: Dataset
    notes: tuple[str, ...] = ()


def make_dataset(
    frame: pd.DataFrame, target: str | None, *, name: str, task: str | None = None, drop: Sequence[str] = ()
) -> Made:
    """Clean a table and take its target out.

    Rows without a target are dropped, and so is a first column without a name that numbers the rows: where a file was
    sorted once, it gives the answer away.

    Args:
        frame: As it was read; columns have different names.
        target: The column to predict.
        name: For people.
        task: `classification` or `regression`; None to see it from the values.
        drop: Columns that are left out.

    Raises:
        InputError: The target is not there, or nothing can be learned from the table.
    """
    if len(frame) == 0:
        raise InputError(f"{name} has a header and 0 rows; training needs at least {MIN_ROWS}", field="data")
    column = _target_column(frame, target, name)
    frame = without(frame, drop, column, name)
    if len(frame) < MIN_ROWS:
        raise InputError(f"{name} has {len(frame)} rows; training needs at least {MIN_ROWS}", field="data")
    notes = []
    values = _target_values(column, frame[column], name)
    missing = values.isna().to_numpy()
    if missing.any():
        frame, values = frame[~missing], values[~missing]
        notes.append(f"{int(missing.sum())} rows without a target {column!r} are left out")
    if len(frame) < MIN_ROWS:
        raise InputError(
            f"{name} has {len(frame)} rows with a target {column!r}; training needs at least {MIN_ROWS}", field="data"
        )
    goal = read_target(column, values, task)

    table, more = clean_columns(frame.drop(columns=column))
    if not table.shape[1]:
        raise InputError(f"{name} has no column besides the target {column!r}", field="data")
    return Made(Dataset(name, goal.task, table, goal.values, goal.classes), (*notes, *more))


def clean_columns(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return a table with every column cleaned, without one that numbers the rows, and what was done to it.

    Args:
        frame: As it was read; columns have different names.

    Raises:
        InputError: A column holds what is neither numbers nor text.
    """
    notes: list[str] = []
    cleaned: dict[str, pd.Series[Any]] = {}
    for label in frame.columns:
        if label in _INDEX and _numbers_rows(frame[label]):
            notes.append(f"column {label!r} has no name and numbers the rows: it is left out")
            continue
        found = clean(str(label), frame[label])
        cleaned[str(label)] = found.values
        notes.extend(filter(None, [found.note]))
    return pd.DataFrame(cleaned), tuple(notes)


def without(frame: pd.DataFrame, drop: Sequence[str], target: str | None, name: str) -> pd.DataFrame:
    """Return a table without some of its columns.

    Raises:
        InputError: One is not there, or it is the target.
    """
    known = [str(label) for label in frame.columns]
    for column in drop:
        if column not in known:
            cut = next((one for one in known if one.startswith(f"{column},")), None)
            written = cut and f"a comma within a name is written %2C: drop={cut[:60].replace(',', '%2C')}"
            hint = written or did_you_mean(column, known)
            raise InputError(f"{name} has no column {column[:60]!r} to drop", field="data", hint=hint)
        if column == target:
            raise InputError(f"column {column[:60]!r} is the target; it cannot be dropped", field="data")
    return frame.drop(columns=list(drop)) if drop else frame


def _target_column(frame: pd.DataFrame, target: str | None, name: str) -> str:
    known = [str(label) for label in frame.columns]
    plain = [label[:30] if label.isprintable() else repr(label[:30]) for label in known[:_SHOWN]]
    shown = ", ".join(plain) + (", ..." if len(known) > _SHOWN else "")
    has = f"it has {shown} ({len(known)} columns)"
    if target is None:
        raise InputError(f"{name} needs --target, the column to predict; {has}", field="target")
    if target not in known:
        guess = did_you_mean(target, known)
        hint = guess if guess.startswith("did you mean") else ""
        raise InputError(f"{name} has no column {target[:60]!r}; {has}", field="target", hint=hint)
    return target


def _target_values(target: str, column: pd.Series[Any], name: str) -> pd.Series[Any]:
    """Return the cleaned target, classes without blanks around them; some values may be missing, but not all."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        infinite = np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan))
        if infinite.any():
            row = int(infinite.argmax()) + 1
            raise InputError(f"{name} row {row}: target {target!r} is infinite; correct or drop the row", field=target)
    values = clean(target, column).values
    if not pd.api.types.is_numeric_dtype(values.dtype):
        values = clean(target, values.str.strip()).values
    if values.isna().all():
        raise InputError(f"target {target!r} is missing in all {len(column)} rows", field=target)
    return values


def _numbers_rows(column: pd.Series[Any]) -> bool:
    """Tell whether each row has a whole number of its own."""
    return bool(pd.api.types.is_integer_dtype(column.dtype)) and bool(column.is_unique)
