"""What the training rows say of a model's inputs: from a table and a graph to a `Signature`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.bundle.signature import IMAGE, MOST_LEVELS, Input, Kind, Signature
from search.contract import Role
from search.data.roles import role_of
from search.problem import Problem

if TYPE_CHECKING:
    import onnx
    import pandas as pd

_OF_ONE_ROW: Final = (Role.TEXT, Role.DATE, Role.IDENTIFIER)
"""What each row has of its own: no text of it leaves with the model."""

_LONGEST: Final = 200
"""Characters of a text that it names; a longer one is somebody's sentence, not a category."""

Array = np.ndarray[Any, Any]


def signature_of(problem: Problem, graph: onnx.ModelProto, *, target: str, threshold: float | None) -> Signature:
    """Return the signature of a graph that was trained on the rows of a problem.

    Args:
        problem: Its training rows tell what a usual value is.
        graph: Its inputs are the raw columns that are read.
        target: Name of what is predicted.
        threshold: As in the graph's head.
    """
    from onnx import TensorProto

    kinds = {
        entry.name: Kind.TEXT if entry.type.tensor_type.elem_type == TensorProto.STRING else Kind.NUMBER
        for entry in graph.graph.input
    }
    features, values = problem.train.features, problem.train.target
    return Signature(
        task=problem.task.value,
        target=target,
        inputs=_inputs(features, kinds),
        classes=problem.classes,
        threshold=threshold,
        low=None if problem.classes else float(values.min()),
        high=None if problem.classes else float(values.max()),
    )


def _inputs(features: pd.DataFrame | Array, kinds: dict[str, Kind]) -> tuple[Input, ...]:
    if isinstance(features, np.ndarray):
        if set(kinds) == {IMAGE}:
            return (Input(IMAGE, Kind.IMAGE, shape=features.shape[1:]),)
        flat = features.reshape(len(features), -1)
        return tuple(_number(f"x{index}", flat[:, index], used=f"x{index}" in kinds) for index in range(flat.shape[1]))
    return tuple(_column(str(name), column, kinds.get(str(name))) for name, column in features.items())


def _column(name: str, column: pd.Series[Any], kind: Kind | None) -> Input:
    from pandas.api.types import is_numeric_dtype

    is_number = is_numeric_dtype(column.dtype) if kind is None else kind is Kind.NUMBER
    if is_number:
        return _number(name, column.to_numpy(np.float64, na_value=np.nan), used=kind is not None)
    there = column.dropna().astype(str)
    there = there[there != ""]
    missing = 1 - len(there) / len(column)
    levels = _levels(there)
    example = levels[0] if levels else ""
    return Input(name, Kind.TEXT, example=example, levels=levels, missing=_share(missing), used=kind is not None)


def _levels(there: pd.Series[Any]) -> tuple[str, ...]:
    """Return the most frequent texts of a category; none of a column whose texts are mostly of one row each."""
    counts = there.value_counts()
    if 2 * len(counts) > len(there) or role_of(there) in _OF_ONE_ROW:
        return ()
    # ties by the text itself, so that the same rows give the same signature
    ordered = sorted(counts.items(), key=lambda item: (-int(item[1]), str(item[0])))
    return tuple(str(text) for text, _ in ordered[:MOST_LEVELS] if len(str(text)) <= _LONGEST)


def _number(name: str, values: Array, *, used: bool) -> Input:
    there = values[np.isfinite(values)]
    missing = _share(1 - len(there) / len(values))
    if not len(there):
        return Input(name, Kind.NUMBER, missing=missing, used=used)
    middle = float(np.sort(there)[len(there) // 2])  # one that there is, so that a whole number stays one
    whole = bool((there == np.round(there)).all())
    low, high = float(there.min()), float(there.max())
    return Input(name, Kind.NUMBER, middle, low, high, missing=missing, used=used, whole=whole)


def _share(value: float) -> float:
    return round(float(value), 4)
