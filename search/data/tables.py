"""A table as a `Dataset`: read from a CSV or Parquet file, cleaned, target and features taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from search.contract import Dataset
from search.data.cleaning import clean
from search.data.csvfile import check_names, read_csv, unnamed
from search.data.splits import MIN_ROWS
from search.data.target import read_target
from search.errors import InputError, did_you_mean

_PARQUET: Final = b"PAR1"
_SHOWN: Final = 8
# How pandas names a row number that it wrote along with a table; "" in CSV has become "column 1".
_INDEX: Final = ("__index_level_0__", unnamed(1), "Unnamed: 0")


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A data set, and a sentence for each thing that was done to the table to make it."""

    dataset: Dataset
    notes: tuple[str, ...] = ()


def read_table(path: Path, *, encoding: str | None = None) -> pd.DataFrame:
    """Read a file as raw columns; its content says whether it is Parquet, whatever its name.

    Raises:
        InputError: It cannot be read; the sentence names the file and, where there is one, the line or column.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", field="data") from error
    if not content.startswith(_PARQUET):
        if path.suffix.lower() in (".parquet", ".pq"):
            raise InputError(f"{path.name} is no Parquet file: it does not start with PAR1", field="data")
        return read_csv(path, content, encoding=encoding)
    if encoding:
        raise InputError(f"{path.name} is Parquet, which takes no encoding=", field="data")
    return _read_parquet(path, content)


def make_dataset(frame: pd.DataFrame, target: str | None, *, name: str, task: str | None = None) -> Made:
    """Clean a table and take its target out.

    Rows without a target are dropped, and so is a first column without a name that numbers the rows: where a file was
    sorted once, it gives the answer away.

    Args:
        frame: As it was read; columns have different names.
        target: The column to predict.
        name: For people.
        task: `classification` or `regression`; None to see it from the values.

    Raises:
        InputError: The target is not there, or nothing can be learned from the table.
    """
    if len(frame) == 0:
        raise InputError(f"{name} has a header and 0 rows; training needs at least {MIN_ROWS}", field="data")
    column = _target_column(frame, target, name)
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

    features: dict[str, pd.Series[Any]] = {}
    for label in frame.columns:
        if label == column:
            continue
        if label in _INDEX and _numbers_rows(frame[label]):
            notes.append(f"column {label!r} has no name and numbers the rows: it is left out")
            continue
        cleaned = clean(str(label), frame[label])
        features[str(label)] = cleaned.values
        notes.extend(filter(None, [cleaned.note]))
    if not features:
        raise InputError(f"{name} has no column besides the target {column!r}", field="data")
    table = pd.DataFrame(features)
    return Made(Dataset(name, goal.task, table, goal.values, goal.classes), tuple(notes))


def _read_parquet(path: Path, content: bytes) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content))
        table.validate(full=True)  # text that is not UTF-8 would only show when it is used
        names = [str(name).strip() or unnamed(position) for position, name in enumerate(table.column_names, start=1)]
        check_names(path, names)
        # What pandas noted in the file about its index would hide columns.
        return table.rename_columns(names).to_pandas(ignore_metadata=True)  # type: ignore[no-any-return]
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        said = " ".join(str(error).split())[:120]
        raise InputError(f"{path.name} is a damaged Parquet file: {said}", field="data") from error


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
