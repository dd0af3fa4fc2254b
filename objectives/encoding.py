"""Categories as numbers: a column for each, their order, their mean target, or hashed columns."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.utils.validation import check_is_fitted

from search.contract import Context

from .choices import Preprocessing
from .columns import order_by_target
from .outliers import Bound

Array = np.ndarray[Any, Any]


class TargetMeans(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Replace each category by the mean target of its training rows, drawn towards the mean of all rows.

    `fit_transform` gives a training row the mean over the rows of other folds, so that its own target is not in its
    features; `transform` gives any other row the mean over all training rows. Of several classes, each has its share.

    Args:
        categories: The known ones of each column; any other counts as the mean of all rows.
        classes: Whether the target is a class.
        folds: At most.
        seed: Deals the rows out to the folds.
    """

    def __init__(self, categories: list[Array], *, classes: bool = True, folds: int = 5, seed: int = 0) -> None:
        self.categories = categories
        self.classes = classes
        self.folds = folds
        self.seed = seed

    def fit(self, features: Any, target: Array) -> TargetMeans:
        codes = self._codes(features)
        self.n_features_in_ = codes.shape[1]
        self.encoders_ = self._fitted(codes, self._values(target))
        return self

    def fit_transform(self, features: Any, target: Array) -> Array:
        self.fit(features, target)
        codes, values = self._codes(features), self._values(target)
        folds = min(self.folds, len(codes))
        fold = np.random.default_rng(self.seed).permutation(len(codes)) % folds
        made = np.empty((len(codes), values.shape[1] * self.n_features_in_), dtype=np.float32)
        for index in range(folds):
            here = fold == index
            others = ~here if folds > 1 else here  # a single row has no others
            made[here] = _means(self._fitted(codes[others], values[others]), codes[here])
        return made

    def transform(self, features: Any) -> Array:
        """Return (rows, outputs * columns) float32, the columns of the first output first."""
        check_is_fitted(self)
        return _means(self.encoders_, self._codes(features))

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        given = [f"x{index}" for index in range(self.n_features_in_)] if input_features is None else input_features
        columns = [str(name) for name in given]
        return np.array(
            [f"{name}_mean{index}" for index in range(len(self.encoders_)) for name in columns], dtype=object
        )

    def _values(self, target: Array) -> Array:
        """Return the numbers whose means are taken: (rows, outputs)."""
        if not self.classes:
            return np.asarray(target, dtype=np.float64)[:, None]
        found = np.unique(target)
        shares = target[:, None] == (found[1:] if len(found) == 2 else found)
        return np.asarray(shares, dtype=np.float64)

    def _codes(self, features: Any) -> Array:
        """Return the place of each text among the known categories, -1 for none: looked up once, not in each fold."""
        texts = np.asarray(features, dtype=object)
        known = [pd.Index(one, dtype=object) for one in self.categories]
        return np.column_stack([one.get_indexer(pd.Index(texts[:, index])) for index, one in enumerate(known)])

    def _fitted(self, codes: Array, values: Array) -> list[TargetEncoder]:
        known = [np.arange(len(one)) for one in self.categories]
        return [TargetEncoder(categories=known, target_type="continuous").fit(codes, one) for one in values.T]


def _means(encoders: list[TargetEncoder], codes: Array) -> Array:
    return np.hstack([one.transform(codes) for one in encoders]).astype(np.float32)


class Hashed(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Add up, for each row, one signed unit per category in one of `columns` columns (Weinberger et al. 2009).

    It learns nothing, so any number of categories fits, new ones included; some of them share a column. The hash is
    of the column's place and the text, the same in every process.
    """

    def __init__(self, columns: int = 32) -> None:
        self.columns = columns

    def fit(self, features: Any, y: object = None) -> Hashed:
        self.n_features_in_ = np.asarray(features, dtype=object).shape[1]
        return self

    def transform(self, features: Any) -> Array:
        """Return (rows, columns) float32."""
        check_is_fitted(self)
        texts = np.asarray(features, dtype=object)
        made = np.zeros((len(texts), self.columns), dtype=np.float32)
        rows = np.arange(len(texts))
        for place in range(texts.shape[1]):
            codes, found = pd.factorize(texts[:, place])
            places = [_place(place, str(text), self.columns) for text in found]
            where, sign = (np.array(one)[codes] for one in zip(*places, strict=True))
            made[rows, where] += sign.astype(np.float32)
        return made

    def get_feature_names_out(self, input_features: object = None) -> Array:
        return np.array([f"hash{index}" for index in range(self.columns)], dtype=object)


def encoder(
    choices: Preprocessing, table: pd.DataFrame, levels: dict[str, list[str]], target: Array, context: Context
) -> Any:
    """Return the unfitted transformer of the columns of categories.

    Args:
        table: The cleaned training rows.
        levels: The categories that are frequent enough, by column.
    """
    scaled = choices.scale != "none"
    match choices.encode:
        case "one-hot":
            known = _arrays(levels.values())
            return OneHotEncoder(categories=known, handle_unknown="ignore", sparse_output=False, dtype=np.float32)
        case "hash":
            return Hashed(choices.hash_columns)
        case "target":
            means = TargetMeans(
                _arrays(levels.values()), classes=context.task.is_classification, seed=context.seed % 2**32
            )
            return Pipeline([("mean", means), ("scale", StandardScaler()), ("bound", Bound())]) if scaled else means
        case _:
            ordered = [order_by_target(table[name], one, target, context.task) for name, one in levels.items()]
            codes = OrdinalEncoder(
                categories=_arrays(ordered), handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.float32
            )
            # Trees only read the order; all else needs codes of the same size as the numeric columns.
            return Pipeline([("code", codes), ("scale", MinMaxScaler((-1, 1)))]) if scaled else codes


def _arrays(levels: Any) -> list[Array]:
    return [np.array(one, dtype=object) for one in levels]


@lru_cache(maxsize=65_536)
def _place(column: int, text: str, columns: int) -> tuple[int, int]:
    digest = hashlib.blake2b(f"{column}\x1f{text}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    number = int.from_bytes(digest, "big")
    return number // 2 % columns, 1 - 2 * (number % 2)
