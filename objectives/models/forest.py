"""Forests: bagged trees, and extremely randomized ones."""

from __future__ import annotations

from typing import Final

from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from search.contract import Context, Params, Prepared, Task

from ..params import read_choice, read_float, read_int
from .trees import Trees, growing, seed_of

_FIRST_TREES: Final = 20
_LAST_TREES: Final = 240
_UNITS: Final = 6

_KINDS: Final = {
    ("bagged", True): RandomForestClassifier,
    ("bagged", False): RandomForestRegressor,
    ("extra", True): ExtraTreesClassifier,
    ("extra", False): ExtraTreesRegressor,
}


def learner(params: Params, prepared: Prepared, context: Context) -> Trees:
    """Build the family's learner.

    Reads `model.kind`, `model.min_rows` (of a leaf) and `model.split_features` (share of the columns that a split may
    choose from).
    """
    kind = read_choice(params, "model.kind", ("bagged", "extra"), "bagged")
    estimator = _KINDS[kind, context.task is not Task.REGRESSION](
        max_features=read_float(params, "model.split_features", 0.5),
        min_samples_leaf=read_int(params, "model.min_rows", 1, minimum=1),
        n_jobs=context.threads,
        random_state=seed_of(context),
        warm_start=True,
    )
    sizes = [round(size) for size in growing(_FIRST_TREES, _LAST_TREES, _UNITS)]
    return Trees(estimator, "n_estimators", sizes, params=params, prepared=prepared, context=context)
