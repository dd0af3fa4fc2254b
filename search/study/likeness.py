"""How alike two problems are: whether what one study found orders the trials of another; the `Likeness`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from optuna.distributions import BaseDistribution

from search.study.encoding import Encoding
from search.trial import ParamValue

PRIOR: Final = 0.4
"""Agreement that is assumed before there are trials to compare."""

PRIOR_TRIALS: Final = 3
"""So many trials weigh as much as that assumption."""

MOST_COMPARED: Final = 200
"""Latest trials that are compared."""

_TREES: Final = 50


class Likeness:
    """A model of an earlier study's ranks, held against this study's trials.

    The measure is the share of pairs that the model puts in their true order, as in the ranking-weighted ensembles of
    Feurer et al., "Practical Transfer Learning for Bayesian Optimization" (2018, RGPE), on the scale of Kendall's tau:
    1 where all pairs agree, 0 where half of them do, as by chance. A study that is no better than chance has no weight.

    Args:
        distributions: Of the parameters that both have.
        points: Of the earlier study.
        ranks: Of those points, 0 the best to 1 the worst.
        seed: Of the model, a random forest.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        points: Sequence[Mapping[str, ParamValue]],
        ranks: Sequence[float],
        *,
        seed: int,
    ) -> None:
        from sklearn.ensemble import RandomForestRegressor  # which takes a second

        self._encoding = Encoding(distributions)
        self._model = RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=seed % 2**32)
        self._model.fit(self._encoding.rows(points), np.asarray(ranks))
        self._foretold: dict[int, float] = {}  # by trial number

    def agreement(
        self, numbers: Sequence[int], points: Sequence[Mapping[str, ParamValue]], costs: Sequence[float]
    ) -> float:
        """Return how well the model orders trials: from 0, no better than chance, to 1.

        Args:
            numbers: Of the trials.
            points: Their parameters.
            costs: Their results, lower is better; equal where their order is not known.
        """
        numbers, points, costs = numbers[-MOST_COMPARED:], points[-MOST_COMPARED:], costs[-MOST_COMPARED:]
        new = [index for index, number in enumerate(numbers) if number not in self._foretold]
        if new:
            foretold = self._model.predict(self._encoding.rows([points[index] for index in new]))
            self._foretold |= {numbers[index]: float(one) for index, one in zip(new, foretold, strict=True)}
        told = tau(np.array([self._foretold[number] for number in numbers]), np.asarray(costs, dtype=float))
        count = len(numbers)
        if count > 2 and told < _spread(count):  # it may be chance
            return 0.0
        return max(0.0, (count * told + PRIOR_TRIALS * PRIOR) / (count + PRIOR_TRIALS))


def tau(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """Return Kendall's tau of two orders, over the pairs that are not equal in `other`; 0 where there are none."""
    upper = np.triu_indices(len(one), 1)
    first, second = (np.sign(values[:, None] - values[None, :])[upper] for values in (one, other))
    compared = second != 0
    return float((first * second)[compared].mean()) if compared.any() else 0.0


def _spread(count: int) -> float:
    """Return the standard deviation of tau between two orders that have nothing to do with each other."""
    return math.sqrt(2 * (2 * count + 5) / (9 * count * (count - 1)))
