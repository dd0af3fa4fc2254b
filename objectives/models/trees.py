"""An ensemble of trees that grows unit by unit: the learner that forests and boosted trees share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.contract import REPLAY, Context, Params, Prepared, Replay, State, Task

from .. import onnx_models
from ..balance import row_weights
from ..scoring import Shown, class_count, score

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]

_SEEDS: Final = 2**32  # scikit-learn's seeds lie below


def seed_of(context: Context) -> int:
    """Return the trial's seed as scikit-learn takes it."""
    return context.seed % _SEEDS


def growing(first: float, last: float, units: int) -> list[float]:
    """Return `units` sizes that grow by a constant factor, so that stopping early is as fine early as late."""
    return [float(size) for size in np.geomspace(first, last, units)]


class Trees(Shown):
    """A scikit-learn ensemble with `warm_start`; its state is its training, which is repeated.

    Args:
        estimator: The ensemble, built with `warm_start=True`.
        size: Name of the estimator's parameter that counts its trees or iterations.
        sizes: What it counts after each unit; they grow.
    """

    def __init__(
        self,
        estimator: Any,
        size: str,
        sizes: Sequence[int],
        *,
        params: Params,
        prepared: Prepared,
        context: Context,
    ) -> None:
        self.budget = len(sizes)
        self._units = 0
        self._estimator = estimator
        self._size = size
        self._sizes = sizes
        self._prepared = prepared
        self._context = context
        self._weights = row_weights(params, prepared.train, context)

    def fit_epoch(self) -> Mapping[str, float]:
        """Add the trees of one unit."""
        train = self._prepared.train
        self._estimator.set_params(**{self._size: self._sizes[self._units]})
        self._estimator.fit(train.features, train.target, sample_weight=self._weights)
        self._units += 1
        return {}

    def evaluate(self) -> Mapping[str, float]:
        """Measure the validation rows."""
        self._predicted = self.predict(self._prepared.validation.features)
        return score(self._predicted, self._prepared.validation, self._prepared.train, self._context)

    def predict(self, features: Array) -> Array:
        """Return (rows, classes) probabilities, or (rows,) values, of prepared features."""
        if self._context.task is Task.REGRESSION:
            return np.asarray(self._estimator.predict(features))
        found = self._estimator.predict_proba(features)
        whole = np.zeros((len(found), class_count(self._prepared.train, self._context)))
        whole[:, self._estimator.classes_] = found
        return whole

    def onnx(self) -> onnx.ModelProto:
        """Return it as a graph from prepared features to what `predict` returns."""
        train, context = self._prepared.train, self._context
        classes = 0 if context.task is Task.REGRESSION else class_count(train, context)
        return onnx_models.estimator(self._estimator, train.features.shape[1], classes=classes)

    def weights(self) -> Mapping[str, Array]:
        """Return nothing: the trees stand in the graph."""
        return {}

    def state(self) -> Replay:
        """Return that training is to be repeated."""
        return REPLAY

    def load_state(self, state: State) -> None:
        """Refuse.

        Raises:
            TypeError: Always: trees are neither arrays nor JSON.
        """
        raise TypeError(f"trees are trained again, not loaded; got a state of {len(state.arrays)} arrays")
