"""A Gaussian process with noise over trials, small and bounded in its cost: the `Process`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from search.study.matern import matern, matern_with_slope

_EVALUATIONS: Final = 40
"""Of the likelihood while it is fitted."""

_JITTER: Final = 1e-6
_LEAST_DEVIATION: Final = 1e-12

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Process:
    """A Matern-5/2 kernel with a length for each parameter, and white noise (Rasmussen and Williams 2006, ch. 2, 5).

    Lengths have the prior of Hvarfner et al., "Vanilla Bayesian Optimization Performs Great in High Dimensions" (2024);
    it keeps a process with few trials from taking all but one parameter for noise.

    Attributes:
        rows: What it was fitted to, (trials, columns).
        weights: Of each column in a squared distance.
        scale: Variance of the function.
        noise: Variance of a result around it.
        factor: Cholesky factor of the covariance of the trials, lower.
        solved: That covariance's inverse times the results.
    """

    rows: Array
    weights: Array
    scale: float
    noise: float
    factor: Array
    solved: Array

    @classmethod
    def fit(cls, rows: Array, values: Array, groups: Sequence[Sequence[int]]) -> Self:
        """Fit it.

        Args:
            rows: (trials, columns), from 0 to 1.
            values: (trials,), of mean 0 and variance 1.
            groups: The columns of each parameter, which share a length.
        """
        gaps = np.array([sum(_gaps(rows[:, column], rows[:, column]) for column in columns) for columns in groups])
        count, prior = len(groups), math.sqrt(2) + 0.5 * math.log(len(groups))
        start = np.array([*[math.log(4.0)] * count, 0.0, math.log(1e-2)])
        bounds = [*[(-8.0, 8.0)] * count, (-4.0, 4.0), (math.log(1e-6), math.log(2.0))]

        def cost(at: Array) -> tuple[float, Array]:
            return _cost(at, gaps, values, prior)

        found = minimize(
            cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxfun": _EVALUATIONS, "maxls": 8}
        ).x
        shared = np.exp(found[:count])
        weights = np.zeros(rows.shape[1])
        for columns, weight in zip(groups, shared, strict=True):
            weights[[*columns]] = weight
        scale, noise = math.exp(found[-2]), math.exp(found[-1])
        covariance = scale * matern(np.tensordot(shared, gaps, 1))
        covariance[np.diag_indices_from(covariance)] += noise + _JITTER
        factor = cho_factor(covariance, lower=True)
        return cls(rows, weights, scale, noise, np.tril(factor[0]), cho_solve(factor, values))

    def predict(self, there: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation of the function, without noise, at rows of points."""
        across = self._between(there, self.rows)
        reduced = solve_triangular(self.factor, across.T, lower=True)
        variance = self.scale - (reduced**2).sum(axis=0)
        return across @ self.solved, np.sqrt(np.maximum(variance, _LEAST_DEVIATION))

    def draw(self, there: Array, count: int, random: np.random.Generator) -> Array:
        """Draw functions that the results allow.

        Args:
            there: (points, columns).
            count: How many.
            random: To draw with.

        Returns:
            Their values, without noise, (count, points).
        """
        across = self._between(there, self.rows)
        reduced = solve_triangular(self.factor, across.T, lower=True)
        left = self._between(there, there) - reduced.T @ reduced
        spread, axes = np.linalg.eigh(left)  # which, unlike a Cholesky factor, points that are alike do not upset
        root = axes * np.sqrt(np.maximum(spread, 0.0))
        return np.asarray(across @ self.solved + random.normal(size=(count, len(there))) @ root.T)

    def _between(self, one: Array, other: Array) -> Array:
        """Return the function's covariance between rows of points, (rows of one, rows of other)."""
        root = np.sqrt(self.weights)
        one, other = one * root, other * root
        squared = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
        return np.asarray(self.scale * matern(np.maximum(squared, 0.0)))


def _cost(at: Array, gaps: Array, values: Array, prior: float) -> tuple[float, Array]:
    """Return the negative log posterior of the logarithms of weights, scale and noise, and its gradient."""
    count = len(gaps)
    weights, scale, noise = np.exp(at[:count]), math.exp(at[-2]), math.exp(at[-1])
    kernel, slope = matern_with_slope(np.tensordot(weights, gaps, 1))
    covariance = scale * kernel
    covariance[np.diag_indices_from(covariance)] += noise + _JITTER
    try:
        factor = cho_factor(covariance, lower=True)
    except np.linalg.LinAlgError:
        return 1e10, np.zeros_like(at)
    solved = cho_solve(factor, values)
    inverse = cho_solve(factor, np.eye(len(values)))
    pull = np.outer(solved, solved) - inverse
    likelihood = -0.5 * values @ solved - np.log(np.diag(factor[0])).sum()
    by_weight = 0.5 * scale * weights * np.tensordot(gaps, pull * slope, 2)
    gradient = np.array([*by_weight, 0.5 * scale * (pull * kernel).sum(), 0.5 * noise * np.trace(pull)])
    lengths = -0.5 * at[:count]  # log of each length
    off = np.array([*(lengths - prior) / 3.0, at[-2] / 1.0, (at[-1] - math.log(1e-2)) / 4.0])
    spread = np.array([*[3.0] * count, 1.0, 4.0])
    chain = np.array([*[-0.5] * count, 1.0, 1.0])
    return float(-likelihood + 0.5 * (off**2 * spread).sum()), -gradient + off * chain


def _gaps(one: Array, other: Array) -> Array:
    return (one[:, None] - other[None, :]) ** 2
