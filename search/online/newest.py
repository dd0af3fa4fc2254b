"""The newest labelled rows as a table that a sweep reads, and whether what won it can stand in for the champion."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.bundle.signature import Input, Kind, Signature
from search.data.splits import MIN_ROWS
from search.errors import RefusedError
from search.online.buffer import Rows
from search.online.events import Array

if TYPE_CHECKING:
    import pandas as pd

_FEW: Final = 5
"""Rows of a class, of which each part of a split gets one."""


def table_of(rows: Rows, signature: Signature) -> pd.DataFrame:
    """Return rows as a table that reads as the one did that a model was trained on.

    A column that the model takes and does not read is there as well, so that a model of this table takes it too; with
    one value throughout unless every row has one of its own, since clients may leave it out.

    Args:
        rows: As the model took them, perhaps with columns that it does not read.
        signature: Of the model.

    Raises:
        RefusedError: They are images, too few, or a class has hardly any.
    """
    import pandas as pd

    if signature.takes_images:
        raise RefusedError("its rows are images, which are no table", field="model")
    if len(rows) < MIN_ROWS:
        raise RefusedError(f"there are {len(rows)} new rows, and a sweep needs at least {MIN_ROWS}", field="model")
    counts: list[int] = (
        np.bincount(rows.targets, minlength=len(signature.classes)).tolist() if signature.classes else []
    )
    for name, count in zip(signature.classes, counts, strict=True):
        if count < _FEW:
            said = f"of the class {name[:40]!r} there are {count} among {len(rows)} new rows, and it takes {_FEW}"
            raise RefusedError(said, field="model")
    columns: dict[str, Any] = {one.name: _column(rows, one) for one in signature.inputs}
    target: Any = rows.targets
    if signature.classes:
        target = np.array(_written(signature.classes), dtype=object)[rows.targets]
    return pd.DataFrame({**columns, signature.target: pd.Series(target).infer_objects()})


def as_parquet(table: pd.DataFrame) -> bytes:
    """Return the content of a Parquet file of a table."""
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    return content.getvalue()


def reference(path: str, signature: Signature) -> str:
    """Return what `--data` takes for the table of a model in a file."""
    return f"{path}?task={'classification' if signature.classes else 'regression'}"


def why_not(theirs: Signature, ours: Signature) -> str:
    """Return why a model cannot answer in the champion's place; "" where it can.

    It has to give the same classes, and to know the same columns, if only to ignore some: rows that wait for their
    labels, and those that are learnt from again, are answered by both.

    Args:
        theirs: Of the model.
        ours: Of the champion.
    """
    if theirs.task != ours.task:
        return f"it is for {theirs.task}, and the champion for {ours.task}"
    if theirs.classes != ours.classes:
        return f"it gives the classes {_shown(theirs.classes)}, and the champion {_shown(ours.classes)}"
    known, found = ({one.name: one for one in signature.inputs} for signature in (ours, theirs))
    for name, one in found.items():
        if name not in known:
            return f"it {'reads' if one.used else 'takes'} the column {name[:40]!r}, which the champion does not know"
    for name, one in known.items():
        if name not in found:
            return f"it does not know the column {name[:40]!r}, which clients may send"
        if found[name].kind is not one.kind:
            return f"it takes the column {name[:40]!r} as a {found[name].kind}, and the champion as a {one.kind}"
        if found[name].shape != one.shape:
            return f"it takes images of {_size(found[name])}, and the champion of {_size(one)}"
    return ""


def _column(rows: Rows, one: Input) -> Array:
    """Return a column as a file has it: what is missing is None, or NaN."""
    values = rows.columns.get(one.name)
    is_number = one.kind is Kind.NUMBER
    if not one.used and (values is None or (np.isnan(values) if is_number else values == "").any()):
        return np.full(len(rows), 0.0 if is_number else "-", np.float64 if is_number else object)
    assert values is not None
    return values.astype(np.float64) if is_number else np.array([text or None for text in values.tolist()], object)


def _written(classes: Sequence[str]) -> list[str] | list[float]:
    """Return names of classes as numbers, where they were numbers in the table that they come from: in their order."""
    try:
        values = [float(name) for name in classes]
    except ValueError:
        return [*classes]
    if not all(map(math.isfinite, values)) or values != sorted(values):
        return [*classes]
    labels = [str(int(one)) if one.is_integer() else repr(one) for one in values]
    return values if labels == [*classes] else [*classes]


def _size(image: Input) -> str:
    return " x ".join(map(str, image.shape))


def _shown(names: Sequence[str]) -> str:
    return ", ".join(name[:20] for name in names[:5]) + (", ..." if len(names) > 5 else "")
