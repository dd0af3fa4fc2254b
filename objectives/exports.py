"""Which choices can be exported to ONNX: one list, which the spaces, the tests and the promotion of a winner go by.

A choice that needs no step in a graph (it leaves out training rows, or is the absence of a step) exports as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from search.contract import Params, Role

Value: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Export:
    """Whether one value of one parameter exports.

    Attributes:
        parameter: Its whole name.
        value: One of its choices; of a number, one that the tests use: how large it is makes no difference.
        why_not: Why it does not; "" where it does.
        needs: Without these other values it does nothing, or is refused.
    """

    parameter: str
    value: Value
    why_not: str = ""
    needs: Mapping[str, Value] = field(default_factory=dict)


_NEIGHBOURS: Final = "no converter repeats the search for the nearest rows"
_HASH: Final = "ONNX has no hash of a text"
_DATE: Final = "ONNX cannot parse a date"
_WORDS: Final = "ONNX Runtime splits and lowers words by a locale of the machine, unlike scikit-learn"
_PIECES: Final = "no converter cuts words into pieces as scikit-learn does"

_FILLED: Final = {"preprocess.impute": "median"}


def _all(parameter: str, *values: Value, needs: Mapping[str, Value] | None = None) -> tuple[Export, ...]:
    return tuple(Export(parameter, value, needs=needs or {}) for value in values)


TABULAR: Final = (
    *_all("model.family", "linear", "forest", "boosting", "mlp", "residual"),
    *_all("preprocess.impute", "none", "median", "mean", "most_frequent"),
    Export("preprocess.impute", "knn", _NEIGHBOURS),
    *_all("preprocess.indicator", False, True),
    *_all("preprocess.clip", 0.0, 0.02),
    *_all("preprocess.outliers", "none", "robust_z", "drop"),
    *_all("preprocess.outlier_z", 1.5, needs={"preprocess.outliers": "robust_z"}),
    *_all("preprocess.outlier_share", 0.2, needs={"preprocess.outliers": "drop"}),
    *_all("preprocess.duplicates", "keep", "drop"),
    *_all("preprocess.scale", "none", "standard", "symmetric", "unit", "robust", "quantile"),
    *_all("preprocess.scale", "power", needs=_FILLED),
    *_all("preprocess.whiten", "none", "pca", "zca", "shrinkage", needs=_FILLED),
    *_all("preprocess.encode", "one-hot", "ordinal", "target"),
    Export("preprocess.encode", "hash", _HASH),
    *_all("preprocess.hash_columns", 8, needs={"preprocess.encode": "hash"}),
    *_all("preprocess.rare", 1, 5),
    *_all("preprocess.dates", "category"),
    Export("preprocess.dates", "parts", _DATE),
    Export("preprocess.dates", "cyclic", _DATE),
    *_all("preprocess.text", "category"),
    Export("preprocess.text", "words", _WORDS),
    Export("preprocess.text", "characters", _PIECES),
    *_all("preprocess.terms", 20, needs={"preprocess.text": "words"}),
)
"""The choices of `Tabular`."""

IMAGES: Final = (
    *_all("preprocess.scale", "standard", "symmetric", "unit"),
    *_all("preprocess.resize", 1.0, 0.5),
    *_all("preprocess.whiten", "none", "zca"),
)
"""The choices of `Images`."""


def why_not(params: Params, listed: tuple[Export, ...] = TABULAR) -> Iterator[str]:
    """Yield a sentence for each parameter of a trial that keeps its winner from being exported.

    Args:
        params: By their whole names; one that is not listed concerns no export.
        listed: The choices of the objective.
    """
    known = {(one.parameter, one.value): one for one in listed}
    words = {one.parameter for one in listed if isinstance(one.value, str)}
    for name, value in params.items():
        found = known.get((name, value))
        if found is not None and found.why_not:
            yield f"{name}={value} has no export: {found.why_not}"
        elif found is None and name in words:
            yield f"{name}={value} is not one of ours, so its export is not proven"


def concerning(params: Params, features: Any, roles: Collection[Role]) -> Params:
    """Return the listed choices of a trial that do something to a table: there is a column of their kind.

    Args:
        params: By their whole names.
        features: Of the table.
        roles: Of its columns.
    """
    from pandas.api.types import is_numeric_dtype

    known = {(one.parameter, one.value) for one in TABULAR}
    numeric = [True] if isinstance(features, np.ndarray) else [is_numeric_dtype(one) for one in features.dtypes]
    there = {
        "preprocess.impute": any(numeric),
        "preprocess.encode": not all(numeric),
        "preprocess.dates": Role.DATE in roles,
        "preprocess.text": Role.TEXT in roles,
    }
    return {name: value for name, value in params.items() if (name, value) in known and there.get(name, True)}
