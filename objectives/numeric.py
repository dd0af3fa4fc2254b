"""The steps that numeric columns go through: clip, impute, scale, whiten."""

from __future__ import annotations

from typing import Any, Final

from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

from search.contract import Context

from .choices import Preprocessing, Transformers, own_step
from .missing import Neighbours
from .outliers import Bound, Clip, RobustClip
from .scaling import Magnitude, Power
from .whitening import Pca, Zca

# A scaled value further out than this is an outlier that a new row may bring; it must not blow up a network.
_BOUND: Final = 20.0

_POWER_BOUND: Final = 1000.0  # interquartile ranges

_QUANTILES: Final = 100


def numeric_steps(choices: Preprocessing, rows: int, context: Context, own: Transformers) -> list[tuple[str, Any]]:
    """Return the unfitted steps, in order; a user's own one is taken as it is.

    Args:
        rows: Of the training rows that are left.
    """
    steps: list[tuple[str, Any]] = []
    if choices.clip > 0:
        steps.append(("clip", Clip(choices.clip)))
    ours = {
        "outliers": RobustClip(choices.outlier_z) if choices.outliers == "robust_z" else None,
        "impute": _imputer(choices.impute, context.seed % 2**32),
        "scale": _scaler(choices.scale, rows, context.seed % 2**32),
        "whiten": _whitener(choices.whiten),
    }
    for name, step in ours.items():
        mine = own_step(own, name, getattr(choices, name), context)
        if mine is not None:
            steps.append((name, mine))
        elif step is not None:
            steps.append((name, step))
            steps += [("bound", Bound(_BOUND))] if name == "scale" else []
    return steps


def _imputer(impute: str, seed: int) -> Any:
    match impute:
        case "median" | "mean" | "most_frequent":
            return SimpleImputer(strategy=impute)
        case "knn":
            return Neighbours(seed=seed)
        case _:
            return None  # none, or a user's own


def _scaler(scale: str, rows: int, seed: int) -> Any:
    match scale:
        case "standard":
            return StandardScaler()
        case "symmetric":
            return Pipeline([("magnitude", Magnitude()), ("range", MinMaxScaler((-1, 1)))])
        case "unit":
            return Pipeline([("magnitude", Magnitude()), ("range", MinMaxScaler((0, 1)))])
        case "robust":
            return Pipeline([("magnitude", Magnitude()), ("size", RobustScaler())])
        case "quantile":
            # To a uniform shape: the normal one has no counterpart in ONNX.
            ranks = QuantileTransformer(n_quantiles=min(_QUANTILES, rows), random_state=seed)
            return Pipeline([("ranks", ranks), ("symmetric", MinMaxScaler((-1, 1)))])
        case "power":
            # Powers of raw values overflow, and Yeo-Johnson bends the scale only beyond 1.
            size = [("magnitude", Magnitude()), ("size", RobustScaler()), ("bound", Bound(_POWER_BOUND))]
            return Pipeline([*size, ("power", Power()), ("standard", StandardScaler())])
        case _:
            return None


def _whitener(whiten: str) -> Any:
    match whiten:
        case "pca":
            return Pca()
        case "zca" | "shrinkage":
            return Zca(shrinkage=whiten == "shrinkage")
        case _:
            return None
