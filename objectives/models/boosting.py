"""Boosted trees on histograms; missing values are handled natively."""

from __future__ import annotations

import math
from typing import Final

from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from search.contract import Context, Params, Prepared, Task

from ..params import read_float, read_int
from .trees import Trees, growing, seed_of

# Iterations times learning rate: how far boosting has come, whatever its rate. By 24 any set has overfitted or is
# learned; at the first unit the fit is half done, so that comparing it with another family's first step is fair.
_FIRST_PROGRESS: Final = 2.0
_LAST_PROGRESS: Final = 24.0
_UNITS: Final = 10


def learner(params: Params, prepared: Prepared, context: Context) -> Trees:
    """Build the family's learner.

    Reads `model.shrinkage` (the learning rate), `model.leaves`, `model.min_rows` (of a leaf), `model.leaf_l2` and
    `model.split_features` (share of the columns that a split may choose from).
    """
    rate = read_float(params, "model.shrinkage", 0.1)
    if not 0 < rate <= 1:
        raise ValueError(f"model.shrinkage must be in (0, 1], got {rate}")
    kind = HistGradientBoostingRegressor if context.task is Task.REGRESSION else HistGradientBoostingClassifier
    estimator = kind(
        learning_rate=rate,
        max_leaf_nodes=read_int(params, "model.leaves", 31, minimum=2),
        min_samples_leaf=read_int(params, "model.min_rows", 20, minimum=1),
        l2_regularization=read_float(params, "model.leaf_l2", 0.0),
        max_features=read_float(params, "model.split_features", 1.0),
        early_stopping=False,  # the engine watches the validation loss
        random_state=seed_of(context),
        warm_start=True,
    )
    sizes = [math.ceil(size / rate) for size in growing(_FIRST_PROGRESS, _LAST_PROGRESS, _UNITS)]
    return Trees(estimator, "max_iter", sizes, params=params, prepared=prepared, context=context)
