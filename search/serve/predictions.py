"""What a model says of rows, as columns of a file, and what came of a file: the `Done`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.bundle.model import Model, Predicted
from search.bundle.signature import Signature

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, Any]

PREDICTION: Final = "prediction"
PROBABILITY: Final = "probability_{}"

_RUN_ROWS: Final = 8_192


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a file.

    Attributes:
        rows: That were predicted.
        seconds: That it took.
    """

    rows: int
    seconds: float

    @property
    def rows_per_s(self) -> float:
        return self.rows / max(self.seconds, 1e-9)


def prediction_names(signature: Signature) -> list[str]:
    """Return the columns of predictions."""
    return [PREDICTION, *(PROBABILITY.format(name) for name in signature.classes)]


def prediction_columns(predicted: Predicted) -> list[pa.Array]:
    """Return predictions as columns; a number that is none is null."""
    import pyarrow as pa

    if predicted.value is not None:
        return [number_column(predicted.value)]
    assert predicted.label is not None
    assert predicted.probabilities is not None
    return [pa.array(predicted.label.tolist(), pa.string()), *(number_column(one) for one in predicted.probabilities.T)]


def prediction_types(signature: Signature) -> list[pa.DataType]:
    """Return the types of these columns."""
    import pyarrow as pa

    return [pa.string() if signature.is_classification else pa.float32(), *(pa.float32() for _ in signature.classes)]


def number_column(values: Array) -> pa.Array:
    """Return numbers as a column; NaN is null."""
    import pyarrow as pa

    return pa.array(np.ascontiguousarray(values), mask=np.isnan(values))


def run_in_parts(model: Model, columns: dict[str, Array], rows: int) -> Predicted:
    """Return what `Model.run` says of all rows, some thousands at once, which bounds what it holds in memory."""
    parts = [
        model.run({name: values[start : start + _RUN_ROWS] for name, values in columns.items()})
        for start in range(0, rows, _RUN_ROWS)
    ]

    def joined(found: Iterator[Array | None]) -> Array | None:
        there = [one for one in found if one is not None]
        return np.concatenate(there) if there else None

    return Predicted(
        joined(one.label for one in parts),
        joined(one.probabilities for one in parts),
        joined(one.value for one in parts),
    )
