"""What scikit-learn's scalers need around them: columns of tiny numbers made ordinary, and powers that stay finite."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from sklearn.preprocessing import PowerTransformer
from sklearn.utils.validation import check_is_fitted

from .outliers import Drawn, numbers_of

Array = np.ndarray[Any, Any]

# Scalers take the spread of float32 numbers for zero when it is below 1.2e-6, and leave such a column as it is.
_LEAST_SPREAD: Final = 2.0**-10

# The factor is a power of two, which loses nothing; a larger one overflows.
_LARGEST_EXPONENT: Final = 126

# What a new row may bring to a column that was made larger; what scales it stays finite.
_LARGEST: Final = 1e30

# Of values within 1,000, powers up to 12 are finite in float32. More than that is asked for only by a column that is
# nearly all one value.
_MOST_LAMBDA: Final = 10.0

NEARLY_LOG: Final = 1e-9
"""Exponents below this are taken for 0; a quotient of smaller ones has no digits left."""


class Magnitude(Drawn):
    """Multiply a column whose training values are tiny, or lie close together, so that they spread over about 1.

    Any other column stays as it is, to the last bit.
    """

    def fit(self, features: Any, y: object = None) -> Magnitude:
        """Learn the factor of each column; an all-missing one cannot come here."""
        values = numbers_of(self, features, reset=True)
        spread = (np.nanmax(values, axis=0) - np.nanmin(values, axis=0)).astype(np.float64)
        tiny = (spread > 0) & (spread < _LEAST_SPREAD)
        exponent = np.where(tiny, -np.floor(np.log2(np.where(tiny, spread, 1.0))), 0.0)
        self.factor_ = (2.0 ** exponent.clip(max=_LARGEST_EXPONENT)).astype(values.dtype)
        self.high_ = np.where(tiny, _LARGEST, np.inf).astype(values.dtype)
        self.low_ = -self.high_
        return self

    def transform(self, features: Any) -> Array:
        check_is_fitted(self)
        with np.errstate(over="ignore"):
            return self._held(numbers_of(self, features, reset=False) * self.factor_)


class Power(PowerTransformer):  # type: ignore[misc]
    """Yeo and Johnson's powers (2000), held to what no value within 1,000 overflows at; not standardised."""

    lambdas_: Array

    def __init__(self) -> None:
        super().__init__(standardize=False)

    def fit(self, features: Any, y: object = None) -> Power:
        super().fit(features)
        self.lambdas_ = self.lambdas_.clip(-_MOST_LAMBDA, _MOST_LAMBDA)
        return self

    def fit_transform(self, features: Any, y: object = None) -> Array:
        return self.fit(features).transform(features)

    def transform(self, features: Any) -> Array:
        """Return the powers in the type the values came in; computed in float64, as a served graph does."""
        check_is_fitted(self)
        given = numbers_of(self, features, reset=False)
        values, lambdas = given.astype(np.float64), self.lambdas_.astype(np.float64)
        up = _powers(np.where(values > 0, values, 0.0), lambdas)
        down = _powers(np.where(values < 0, -values, 0.0), 2 - lambdas)
        return np.asarray((up - down).astype(given.dtype))


def _powers(values: Array, lambdas: Array) -> Array:
    """Return ((1 + value) ** lambda - 1) / lambda, and its limit log(1 + value) at 0, of values from 0 on."""
    is_log = np.abs(lambdas) < NEARLY_LOG
    bent = np.where(is_log, 1.0, lambdas)
    return np.asarray(np.where(is_log, np.log(values + 1), (np.power(values + 1, bent) - 1) / bent))
