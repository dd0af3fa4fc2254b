"""Data that lies in memory, a table or arrays, kept as a file by its content, so that workers and a resume find it."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search.errors import InputError
from search.paths import DataFolder, write_atomic

if TYPE_CHECKING:
    import pandas as pd

_NAME: Final = "frame"
"""Of the folder under `results/data/`."""


def keep(data: object, target: str | None, results: Path) -> tuple[str, str | None]:
    """Keep a table, or a pair of features and target, and return a reference to its file and the column to predict.

    Args:
        data: A data frame, or `(X, y)`: rows of numbers or of images, and as many targets.
        target: The column to predict, if that is said.
        results: The results folder.

    Raises:
        InputError: It is neither, or the two do not fit.
        SurroundingsError: The results folder cannot be written.
    """
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return _kept(_parquet(data), ".parquet", results), target
    if not isinstance(data, tuple) or len(data) != 2:
        said = f"data must be a reference, a data frame or (X, y), got {type(data).__name__}"
        raise InputError(said, field="data", hint="a file is named by its path, as text")
    if target is not None:
        raise InputError(f"target={target!r} names a column, and (X, y) has its target already", field="target")
    features, values = data
    rows, targets = _rows(features), _rows(values)
    if rows != targets:
        raise InputError(f"X has {rows} rows and y has {targets}", field="data", hint="give as many of both")
    if getattr(features, "ndim", 2) > 2:
        return _kept(_arrays(features, values), ".npz", results), None
    frame = features.copy() if isinstance(features, pd.DataFrame) else pd.DataFrame(_named(features))
    name = _free(getattr(values, "name", None), frame)
    frame[name] = list(values)
    return _kept(_parquet(frame), ".parquet", results), name


def _rows(part: Any) -> int:
    try:
        return len(part)
    except TypeError:
        raise InputError(f"X and y must be arrays or tables, got {type(part).__name__}", field="data") from None


def _named(features: Any) -> dict[str, Any]:
    import numpy as np

    array = np.asarray(features)
    if array.ndim != 2:
        raise InputError(
            f"X must have rows and columns, got {array.ndim} axes", field="data", hint="try X.reshape(-1, 1)"
        )
    return {f"x{index}": array[:, index] for index in range(array.shape[1])}


def _free(name: object, frame: pd.DataFrame) -> str:
    """Return the name of a series of targets, or `target`, that no column has."""
    wanted = name if isinstance(name, str) and name else "target"
    while wanted in frame.columns:
        wanted = f"{wanted}_"
    return wanted


def _parquet(frame: pd.DataFrame) -> bytes:
    """Return a table as a file; an index that has a name is a column of it, another one numbers the rows."""
    table = frame.reset_index() if any(frame.index.names) else frame
    table = table.set_axis([str(name) for name in table.columns], axis=1)
    twice = sorted({name for name in table.columns if list(table.columns).count(name) > 1})
    if twice:
        raise InputError(f"the data frame has two columns named {twice[0]!r}", field="data", hint="rename one of them")
    out = io.BytesIO()
    try:
        table.to_parquet(out, index=False)
    except (ValueError, TypeError, OverflowError) as error:  # of pyarrow: objects of a kind that no file holds
        said = str(error.args[0] if error.args else error).splitlines()[0][:100]
        raise InputError(f"the data frame cannot be kept as Parquet: {said}", field="data") from error
    return out.getvalue()


def _arrays(features: Any, values: Any) -> bytes:
    import numpy as np

    out = io.BytesIO()
    np.savez_compressed(out, x=np.asarray(features), y=np.asarray(values))
    return out.getvalue()


def _kept(content: bytes, suffix: str, results: Path) -> str:
    place = DataFolder.of(results.absolute(), _NAME)
    path = place.snapshot(hashlib.sha256(content).hexdigest(), suffix)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    return str(path)
