"""A Gaussian process over learning curves, a value for each point and step: the `Process`.

After Swersky, Snoek, Adams, "Freeze-Thaw Bayesian Optimization" (2014), with a kernel of our own: what all curves
share, what those of a branch of a conditional space share, what depends on the point, and what a trial has to itself
each have a part that stays and a part that changes with the logarithm of the step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeAlias

import numpy as np

from search.study.matern import matern, matern_with_slope

Array: TypeAlias = np.ndarray[Any, Any]

_SHARED: Final[Mapping[str, tuple[float, float]]] = {
    "time": (1.2, 0.5),
    "trend": (0.7, 0.5),
    "point": (0.7, 0.5),
    "point_trend": (0.4, 0.5),
    "branch": (0.4, 0.5),
    "branch_trend": (0.4, 0.5),
    "trial": (0.15, 0.5),
    "trial_trend": (0.15, 0.5),
    "noise": (0.1, 0.7),
}
"""Prior of each number that is no parameter's length: its median, and the deviation of its logarithm."""

_LENGTH: Final = (1.0, 0.7)
_EVALUATIONS: Final = 25
"""Of the likelihood while it is fitted."""
_MOST_GAPS: Final = 1_500_000
"""Squared differences that a fit may hold: parameters x rows x rows."""
_JITTER: Final = 1e-6
_BOUND: Final = 5.0
"""How far the logarithm of a number may be from its prior's median."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a process is fitted in.

    Attributes:
        lengths: By parameter, in shares of its range.
        shared: The other numbers, by the names of `_SHARED`: the length in log steps, and deviations.
    """

    lengths: Mapping[str, float] = field(default_factory=dict)
    shared: Mapping[str, float] = field(default_factory=dict)

    def logs(self, names: Sequence[str]) -> Array:
        """Return the logarithms, those of the prior where there is nothing else."""
        lengths = [self.lengths.get(name, _LENGTH[0]) for name in names]
        return np.log([*lengths, *(self.shared.get(name, median) for name, (median, _) in _SHARED.items())])

    @classmethod
    def of(cls, logs: Array, names: Sequence[str]) -> Self:
        found = [float(f"{one:.6g}") for one in np.exp(logs)]
        return cls(
            dict(zip(names, found, strict=False)),
            dict(zip(_SHARED, found[len(names) :], strict=True)),
        )

    def to_json(self) -> dict[str, Any]:
        return {"lengths": dict(self.lengths), "shared": dict(self.shared)}

    @classmethod
    def from_json(cls, stored: object) -> Self:
        """Read what `to_json` returned; of anything else the prior."""
        if not isinstance(stored, Mapping):
            return cls()
        parts = {key: stored.get(key) for key in ("lengths", "shared")}
        read = {
            key: {
                str(name): float(value)
                for name, value in part.items()
                if isinstance(value, int | float) and 0 < value < math.inf
            }
            for key, part in parts.items()
            if isinstance(part, Mapping)
        }
        return cls(**read)


@dataclass(frozen=True, slots=True)
class Rows:
    """What was seen, or is asked for.

    Attributes:
        points: Places of the parameters, (rows, columns).
        logs: Logarithm of each row's step, (rows,).
        trials: Each row's trial; a negative number is a trial of its own, (rows,).
        branches: Each row's branch of a conditional space, -1 of one that nobody was in, (rows,).
    """

    points: Array
    logs: Array
    trials: Array
    branches: Array

    def __len__(self) -> int:
        return len(self.logs)

    @property
    def are_of_branches(self) -> bool:
        """Whether they are of more than one branch."""
        return bool((self.branches != self.branches[0]).any()) if len(self) else False

    def only(self, chosen: Array) -> Rows:
        return Rows(self.points[chosen], self.logs[chosen], self.trials[chosen], self.branches[chosen])

    def beside(self, others: Rows) -> Rows:
        return Rows(*(np.concatenate([getattr(one, name) for one in (self, others)]) for name in self.__slots__))


def fitted(start: Numbers, rows: Rows, values: Array, names: Sequence[str], groups: Array) -> Numbers:
    """Return the numbers of the highest posterior that a few steps of L-BFGS find from `start`.

    Args:
        start: Where to begin.
        rows: What was seen.
        values: (rows,), of mean 0 and deviation 1.
        names: Of the parameters.
        groups: Which parameter each column is of, (columns,).
    """
    from scipy.optimize import minimize  # here, as most commands that know this rule need no scipy

    most = int(math.sqrt(_MOST_GAPS / max(len(names), 1)))
    if len(rows) > most:
        chosen = np.unique(np.linspace(0, len(rows) - 1, most).round().astype(int))
        rows, values = rows.only(chosen), values[chosen]
    gaps = np.zeros((len(names), len(rows) ** 2))
    for column, group in zip(rows.points.T, groups, strict=True):  # a category has a column for each choice
        gaps[group] += ((column[:, None] - column) ** 2).ravel()
    times = (rows.logs[:, None] - rows.logs[None, :]) ** 2
    same = (rows.trials[:, None] == rows.trials[None, :]).astype(float)
    alike = (rows.branches[:, None] == rows.branches) * float(rows.are_of_branches)
    prior = Numbers().logs(names)
    spread = np.array([*[_LENGTH[1]] * len(names), *(deviation for _, deviation in _SHARED.values())])

    def cost(at: Array) -> tuple[float, Array]:
        likelihood, slope = _likelihood(at, gaps, times, same, alike, values)
        off = (at - prior) / spread
        return -likelihood + 0.5 * float(off @ off), -slope + off / spread

    bounds = [(one - _BOUND, one + _BOUND) for one in prior]
    begin = np.clip(start.logs(names), prior - _BOUND, prior + _BOUND)
    found = minimize(
        cost, begin, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxfun": _EVALUATIONS, "maxls": 8}
    )
    return Numbers.of(found.x, names) if math.isfinite(found.fun) and found.fun < _FAILED else start


_FAILED: Final = 1e10


def _likelihood(at: Array, gaps: Array, times: Array, same: Array, alike: Array, values: Array) -> tuple[float, Array]:
    """Return the log likelihood of logarithms of the numbers, and its gradient."""
    from scipy.linalg import cho_factor, cho_solve

    count, size = len(gaps), len(values)
    weights, time = np.exp(-2 * at[:count]), math.exp(-2 * at[count])
    trend, point, point_trend, branch, branch_trend, trial, trial_trend, noise = np.exp(2 * at[count + 1 :])
    decay = np.exp(-0.5 * time * times)
    kernel, slope = matern_with_slope((weights @ gaps).reshape(size, size))
    near = point + point_trend * decay
    covariance = 1.0 + trend * decay + near * kernel + same * (trial + trial_trend * decay)
    covariance += alike * (branch + branch_trend * decay)
    covariance[np.diag_indices(size)] += noise + _JITTER
    try:
        factor = cho_factor(covariance, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return -_FAILED, np.zeros_like(at)
    solved = cho_solve(factor, values)
    pull = np.outer(solved, solved) - cho_solve(factor, np.eye(size))
    likelihood = -0.5 * float(values @ solved) - float(np.log(np.diag(factor[0])).sum())
    pulled, apart, kin = pull * decay, pull * same, pull * alike
    changing = trend + point_trend * kernel + branch_trend * alike + trial_trend * same
    gradient = [
        *(-weights * (gaps @ (pull * near * slope).ravel())),
        0.5 * time * float((pulled * times * changing).sum()),
        trend * float(pulled.sum()),
        point * float((pull * kernel).sum()),
        point_trend * float((pulled * kernel).sum()),
        branch * float(kin.sum()),
        branch_trend * float((kin * decay).sum()),
        trial * float(apart.sum()),
        trial_trend * float((apart * decay).sum()),
        noise * float(np.trace(pull)),
    ]
    return likelihood, np.array(gradient)


class Process:
    """What the rows that were seen say of any other.

    Args:
        numbers: Fitted before.
        rows: What was seen.
        values: (rows,), of mean 0 and deviation 1.
        names: Of the parameters.
        groups: Which parameter each column is of, (columns,).

    Raises:
        numpy.linalg.LinAlgError: The rows do not go with the numbers.
    """

    def __init__(self, numbers: Numbers, rows: Rows, values: Array, names: Sequence[str], groups: Array) -> None:
        from scipy.linalg import cho_factor, cho_solve

        logs = numbers.logs(names)
        count = len(names)
        self._roots = np.exp(-logs[:count])[groups] if count else np.zeros(0)
        self._time = math.exp(-2 * logs[count])
        shared = (float(one) for one in np.exp(2 * logs[count + 1 :]))
        self._trend, self._point, self._point_trend, self._branch, self._branch_trend, *alone = shared
        self._trial, self._trial_trend, self.noise = alone
        self._rows, self._has_branches = rows, rows.are_of_branches
        self._scaled = rows.points * self._roots
        covariance = self._between(rows, self._scaled, rows, self._scaled)
        covariance[np.diag_indices(len(rows))] += self.noise + _JITTER
        factor = cho_factor(covariance, lower=True, check_finite=False)
        self._factor, self._solved = factor[0], cho_solve(factor, values)

    def predict(self, there: Rows) -> tuple[Array, Array]:
        """Return mean and standard deviation of what is seen, without its noise, (rows,) each."""
        mean, reduced = self._after_all(there)
        alone = 1.0 + self._trend + self._point + self._point_trend + self._trial + self._trial_trend
        if self._has_branches:
            alone += self._branch + self._branch_trend
        return mean, np.sqrt(np.maximum(alone - np.einsum("ij,ij->j", reduced, reduced), 1e-9))

    def draw(self, there: Rows, count: int, random: np.random.Generator) -> Array:
        """Draw what is seen there, without noise and what a trial that nobody began would have to itself.

        Returns:
            (count, rows).
        """
        mean, reduced = self._after_all(there)
        scaled = there.points * self._roots
        prior = self._between(there, scaled, there, scaled)
        new = np.flatnonzero(there.trials < 0)
        prior[new, new] -= self._trial + self._trial_trend
        covariance = prior - reduced.T @ reduced
        sizes, axes = np.linalg.eigh((covariance + covariance.T) / 2)
        spread = axes * np.sqrt(np.maximum(sizes, 0.0))
        return np.asarray(mean + random.normal(size=(count, len(there))) @ spread.T)

    def _after_all(self, there: Rows) -> tuple[Array, Array]:
        """Return the mean there, (rows,), and what lessens the covariances: a root of it, (rows seen, rows)."""
        from scipy.linalg import solve_triangular

        across = self._between(there, there.points * self._roots, self._rows, self._scaled)
        return across @ self._solved, solve_triangular(self._factor, across.T, lower=True, check_finite=False)

    @property
    def apart(self) -> float:
        """Standard deviation of a result around what is expected of its parameters."""
        return math.sqrt(self.noise + self._trial + self._trial_trend)

    def _between(self, some: Rows, scaled: Array, others: Rows, others_scaled: Array) -> Array:
        """Return covariances, (some, others)."""
        steps, here = np.unique(some.logs, return_inverse=True)
        seen, mine = np.unique(others.logs, return_inverse=True)
        few = np.exp(-0.5 * self._time * (steps[:, None] - seen[None, :]) ** 2)
        decay = few[:, mine][here]
        squared = (scaled**2).sum(axis=1)[:, None] + (others_scaled**2).sum(axis=1)
        squared -= 2 * scaled @ others_scaled.T
        kernel = matern(np.maximum(squared, 0.0, out=squared))
        kernel *= self._point + self._point_trend * decay
        same = np.nonzero(some.trials[:, None] == others.trials[None, :])
        kernel[same] += self._trial + self._trial_trend * decay[same]
        kernel += 1.0 + self._trend * decay
        if self._has_branches:
            alike = np.nonzero(some.branches[:, None] == others.branches[None, :])
            kernel[alike] += self._branch + self._branch_trend * decay[alike]
        return kernel
