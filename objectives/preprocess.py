"""Preparing a table: impute, clip, scale, whiten and encode its columns, all of it fitted on the training rows alone.

Only choices that an ONNX graph can repeat exactly are offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from search.contract import Context, Params, Part, Prepared

from .columns import Columns, as_table, frequent_levels, order_by_target, useful_columns
from .params import read_choice, read_float, read_int

IMPUTE: Final = ("none", "median", "mean", "most_frequent")
SCALE: Final = ("none", "standard", "symmetric", "unit", "robust", "quantile", "power")
WHITEN: Final = ("none", "pca")
ENCODE: Final = ("one-hot", "ordinal")

# A scaled value further out than this is an outlier that a new row may bring; it must not blow up a network.
_BOUND: Final = 20.0

_POWER_BOUND: Final = 1000.0  # interquartile ranges

# Directions that hold the last thousandth of the variance are noise, which whitening would raise to unit variance.
_WHITENED_VARIANCE: Final = 0.999

_QUANTILES: Final = 100

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The choices of the stage; one that a space does not make is not done.

    Attributes:
        impute: What a missing number becomes; `none` keeps it, for a family that handles it.
        clip: Share of the training rows at each end of a numeric column whose values are drawn in to the quantile.
        scale: `symmetric` is [-1, 1], `unit` is [0, 1], `robust` is by the interquartile range; `quantile` (ranks in
            [-1, 1]) and `power` (Yeo-Johnson) change the shape as well.
        whiten: `pca` turns the numeric columns into uncorrelated ones of unit variance.
        encode: What becomes of text: a column per category, or a number in the order of the mean target.
        rare: A category with fewer training rows than this is treated like one never seen.
    """

    impute: str = "none"
    clip: float = 0.0
    scale: str = "none"
    whiten: str = "none"
    encode: str = "ordinal"
    rare: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.clip < 0.5:
            raise ValueError(f"preprocess.clip must be a share in [0, 0.5), got {self.clip}")
        if self.impute == "none" and (self.whiten != "none" or self.scale == "power"):
            raise ValueError(
                "preprocess.whiten and the scale 'power' need preprocess.impute: they take no missing value"
            )

    @classmethod
    def of(cls, params: Params) -> Preprocessing:
        """Read the stage's parameters, given without their prefix.

        Raises:
            ValueError: One has a value that is not offered.
        """
        return cls(
            impute=read_choice(params, "impute", IMPUTE, "none"),
            clip=read_float(params, "clip", 0.0),
            scale=read_choice(params, "scale", SCALE, "none"),
            whiten=read_choice(params, "whiten", WHITEN, "none"),
            encode=read_choice(params, "encode", ENCODE, "ordinal"),
            rare=read_int(params, "rare", 1, minimum=1),
        )


class Clip(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Draw values in to two quantiles of the training rows; missing values stay."""

    def __init__(self, tail: float = 0.01) -> None:
        self.tail = tail

    def fit(self, features: Any, target: object = None) -> Clip:
        """Learn the quantiles `tail` and `1 - tail` of each column; an all-missing one cannot come here."""
        values = np.asarray(features)
        self.n_features_in_ = values.shape[1]
        self.low_, self.high_ = np.nanquantile(values, [self.tail, 1 - self.tail], axis=0).astype(values.dtype)
        return self

    def transform(self, features: Any) -> Array:
        return np.asarray(np.clip(np.asarray(features), self.low_, self.high_))


class Bound(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Draw values in to [-limit, limit]; missing values stay."""

    def __init__(self, limit: float = _BOUND) -> None:
        self.limit = limit

    def fit(self, features: Any, target: object = None) -> Bound:
        self.n_features_in_ = np.asarray(features).shape[1]
        return self

    def transform(self, features: Any) -> Array:
        return np.asarray(np.clip(np.asarray(features), -self.limit, self.limit))


@dataclass(frozen=True, slots=True, eq=False)
class FittedTable:
    """What was fitted on the training rows.

    Attributes:
        columns: The raw columns that `pipeline` reads.
        pipeline: A fitted ColumnTransformer over a table from `as_table`.
    """

    columns: Columns
    pipeline: Any

    def apply(self, features: pd.DataFrame | Array) -> Array:
        """Prepare rows of the raw table.

        Returns:
            (rows, columns) float32, C-contiguous; NaN only where `preprocess.impute` is `none`.
        """
        return self._dense(self.pipeline.transform(as_table(features)))

    @staticmethod
    def _dense(values: Array) -> Array:
        return np.ascontiguousarray(values, dtype=np.float32)


def prepare(choices: Preprocessing, train: Part, validation: Part, context: Context) -> Prepared:
    """Fit on `train`, then prepare both parts.

    Raises:
        ValueError: No column holds two different values.
    """
    fitted = fit_table(choices, train, context)
    return Prepared(
        train=Part(fitted.apply(train.features), train.target),
        validation=Part(fitted.apply(validation.features), validation.target),
        transform=fitted,
    )


def fit_table(choices: Preprocessing, train: Part, context: Context) -> FittedTable:
    """Fit every step on the training rows.

    Raises:
        ValueError: No column holds two different values.
    """
    table = as_table(train.features)
    useful = useful_columns(table, keep_missing=choices.impute == "none")
    levels = {name: frequent_levels(table[name], at_least=choices.rare) for name in useful.text}
    text = tuple(name for name in useful.text if levels[name])
    columns = Columns(useful.numeric, text)
    blocks = []
    if columns.numeric:
        blocks.append(("numeric", _numeric(choices, len(table), context.seed), list(columns.numeric)))
    if columns.text:
        if choices.encode == "ordinal":
            ordered = [order_by_target(table[name], levels[name], train.target, context.task) for name in text]
        else:
            ordered = [levels[name] for name in text]
        blocks.append(("text", _text(choices, ordered), list(columns.text)))
    if not blocks:
        raise ValueError("no column holds two different values in the training rows; nothing can be learned")
    return FittedTable(columns, ColumnTransformer(blocks, sparse_threshold=0.0).fit(table))


def _numeric(choices: Preprocessing, rows: int, seed: int) -> Any:
    steps: list[tuple[str, Any]] = []
    if choices.clip > 0:
        steps.append(("clip", Clip(choices.clip)))
    if choices.impute != "none":
        steps.append(("impute", SimpleImputer(strategy=choices.impute)))
    if choices.scale != "none":
        steps += [("scale", _scaler(choices.scale, rows, seed)), ("bound", Bound())]
    if choices.whiten == "pca":
        steps.append(("whiten", PCA(_WHITENED_VARIANCE, whiten=True, svd_solver="full")))
    return Pipeline(steps) if steps else "passthrough"


def _scaler(scale: str, rows: int, seed: int) -> Any:
    match scale:
        case "standard":
            return StandardScaler()
        case "symmetric":
            return MinMaxScaler((-1, 1))
        case "unit":
            return MinMaxScaler((0, 1))
        case "robust":
            return RobustScaler()
        case "quantile":
            # To a uniform shape: the normal one has no counterpart in ONNX.
            ranks = QuantileTransformer(n_quantiles=min(_QUANTILES, rows), random_state=seed % 2**32)
            return Pipeline([("ranks", ranks), ("symmetric", MinMaxScaler((-1, 1)))])
        case _:
            # Powers of raw values overflow, and Yeo-Johnson bends the scale only beyond 1.
            size = [("size", RobustScaler()), ("bound", Bound(_POWER_BOUND))]
            return Pipeline([*size, ("power", PowerTransformer())])


def _text(choices: Preprocessing, levels: list[list[str]]) -> Any:
    categories = [np.array(one, dtype=object) for one in levels]
    if choices.encode == "one-hot":
        return OneHotEncoder(categories=categories, handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    encoder = OrdinalEncoder(
        categories=categories, handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.float32
    )
    # Trees only read the order; all else needs codes of the same size as the numeric columns.
    return encoder if choices.scale == "none" else Pipeline([("code", encoder), ("scale", MinMaxScaler((-1, 1)))])
