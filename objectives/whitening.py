"""Whitening that keeps columns recognisable: uncorrelated, of unit variance, each as near to itself as can be."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted, validate_data

Array = np.ndarray[Any, Any]

# Directions that hold the last thousandth of the variance are noise, which whitening would raise to unit variance.
WHITENED_VARIANCE: Final = 0.999


class Pca(PCA):  # type: ignore[misc]
    """Turn rows to the training rows' main directions, each of unit variance; computed in float64, as a graph does.

    scikit-learn's own transforms float32 rows in float32: the last bits then hang on the order of a sum, and trees
    split between them.
    """

    def __init__(self) -> None:
        super().__init__(WHITENED_VARIANCE, whiten=True, svd_solver="full")

    def fit(self, features: Any, y: object = None) -> Pca:
        super().fit(features)
        deviation = np.sqrt(self.explained_variance_.astype(np.float64))
        least = np.finfo(self.explained_variance_.dtype).eps
        self.centre_ = self.mean_.astype(np.float64)
        self.matrix_ = self.components_.T.astype(np.float64) / np.maximum(deviation, least)
        return self

    def fit_transform(self, features: Any, y: object = None) -> Array:
        return self.fit(features).transform(features)

    def transform(self, features: Any) -> Array:
        """Return the whitened rows in the type they came in."""
        check_is_fitted(self)
        values = validate_data(self, features, reset=False, dtype=[np.float64, np.float32])
        return np.asarray(((values.astype(np.float64) - self.centre_) @ self.matrix_).astype(values.dtype))


class Zca(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Multiply by the inverse square root of the training rows' covariance (Bell and Sejnowski 1997).

    Args:
        shrinkage: Draw the covariance towards a ball as far as Ledoit and Wolf (2004) find best: for few rows. No
            direction is noise then; else those of the last thousandth of the variance become 0.
    """

    def __init__(self, shrinkage: bool = False) -> None:
        self.shrinkage = shrinkage

    def fit(self, features: Any, y: object = None) -> Zca:
        values = validate_data(self, features, dtype=[np.float64, np.float32], ensure_min_samples=2)
        exact = np.asarray(values, dtype=np.float64)
        self.mean_ = exact.mean(axis=0)
        centred = exact - self.mean_
        covariance = (
            ledoit_wolf(centred, assume_centered=True)[0] if self.shrinkage else centred.T @ centred / (len(exact) - 1)
        )
        self.matrix_ = inverse_root(covariance, share=1.0 if self.shrinkage else WHITENED_VARIANCE)
        return self

    def transform(self, features: Any) -> Array:
        """Return the whitened rows in the type they came in; computed in float64, as a served graph does."""
        check_is_fitted(self)
        values = validate_data(self, features, reset=False, dtype=[np.float64, np.float32])
        return np.asarray(((values.astype(np.float64) - self.mean_) @ self.matrix_).astype(values.dtype))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def inverse_root(covariance: Array, *, share: float) -> Array:
    """Return the symmetric inverse square root of a covariance, over the directions that hold `share` of its trace."""
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    total = float(values.clip(min=0).sum())
    if total <= 0:
        return np.zeros_like(covariance)
    before = np.concatenate([[0.0], np.cumsum(values.clip(min=0))[:-1]]) / total
    kept = (before < share) & (values > 1e-12 * values[0])
    return np.asarray((vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T)
