"""An estimator of scikit-learn's in training: whole at once, or grown step by step where it can: `EstimatorLearner`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from search.adopt import scorers
from search.adopt.scorers import Scorer
from search.contract import REPLAY, Context, Prepared, Replay, State

_AUTO_STOPS_ABOVE = 10_000  # rows; HistGradientBoosting with early_stopping="auto" then ends by itself


@dataclass(frozen=True, slots=True)
class Growth:
    """How an estimator is trained in steps.

    Attributes:
        sizes: What `parameter` is after each unit.
        parameter: Counts trees or iterations; "" for an epoch of `partial_fit` a unit.
    """

    sizes: Sequence[int]
    parameter: str = ""


def growth_of(estimator: Any, rows: int, max_epochs: int) -> Growth | None:
    """Return how an estimator grows; None for one that is trained at once.

    An ensemble with `warm_start` adds trees by equal shares, and grown to its end is what `fit` makes of it; one that
    ends by a rule of its own, or that `warm_start` would take another way (a solver begun anew), is trained at once.
    With `partial_fit` an epoch is a pass over the rows, `max_iter` of them at most. That is no `fit`: the rows come in
    another order, and `tol` ends nothing.

    Args:
        estimator: With its parameters set.
        rows: Of training.
        max_epochs: Of the sweep; no more units than these.
    """
    own = estimator.get_params(deep=False)
    stops = own.get("early_stopping", False)
    if stops == "auto":
        stops = rows > _AUTO_STOPS_ABOVE
    weighted = isinstance(own.get("class_weight"), str)
    if stops or weighted or (own.get("n_iter_no_change") is not None and "n_estimators" in own) or own.get("oob_score"):
        return None
    if "warm_start" in own:
        parameter = "max_iter" if type(estimator).__name__.startswith("HistGradientBoosting") else "n_estimators"
        size = own.get(parameter)
        if isinstance(size, (int, np.integer)) and size > 1:
            units = min(int(size), max_epochs)
            return Growth([round(size * (unit + 1) / units) for unit in range(units)], parameter)
    if isinstance(own.get("max_iter"), (int, np.integer)) and hasattr(estimator, "partial_fit"):
        return Growth(range(1, min(int(own["max_iter"]), max_epochs) + 1))
    return None


class EstimatorLearner:
    """An estimator, or a pipeline whose last step grows on rows that the steps before have made once.

    Args:
        estimator: With its parameters set, not fitted.
        measured: What `evaluate` measures.
        prepared: Rows to train and to validate on.
        context: Of the trial.
        whole: Whether it is trained at once, whatever it could do.
    """

    def __init__(
        self, estimator: Any, measured: Sequence[Scorer], prepared: Prepared, context: Context, *, whole: bool
    ) -> None:
        self._measured, self._prepared, self._context = measured, prepared, context
        self._features, self._validation = prepared.train.features, prepared.validation.features
        self._units = 0
        self._predicted: np.ndarray[Any, Any] | None = None
        rows = len(prepared.train.target)
        is_plain = type(estimator) is Pipeline and len(estimator) > 1
        growing = estimator[-1] if is_plain else estimator
        self._growth = None if whole or growing == "passthrough" else growth_of(growing, rows, context.max_epochs)
        self._head = estimator[:-1] if is_plain and self._growth is not None else None
        self._estimator = estimator if self._growth is None else growing
        if self._growth is not None and not self._growth.parameter:
            _shuffle_in_one_stream(growing)
        self.budget = 1 if self._growth is None else len(self._growth.sizes)

    def fit_epoch(self) -> Mapping[str, float]:
        """Fit it, or have it grow by a unit."""
        target = self._prepared.train.target
        if self._head is not None and self._units == 0:
            self._features = self._head.fit_transform(self._features, target)
            self._validation = self._head.transform(self._validation)
        self._fit()(self._features, target)
        self._units += 1
        return {}

    def _fit(self) -> Callable[..., Any]:
        if self._growth is None:
            return self._estimator.fit  # type: ignore[no-any-return]
        if self._growth.parameter:
            size = self._growth.sizes[self._units]
            return self._estimator.set_params(warm_start=True, **{self._growth.parameter: size}).fit  # type: ignore[no-any-return]
        if not self._context.task.is_classification:
            return self._estimator.partial_fit  # type: ignore[no-any-return]
        classes = np.arange(len(self._context.classes))
        return lambda features, target: self._estimator.partial_fit(features, target, classes=classes)

    def evaluate(self) -> Mapping[str, float]:
        """Score the validation rows."""
        classes, target = len(self._context.classes), self._prepared.validation.target
        measured, estimator = self._measured, self._estimator
        return scorers.measure(measured, estimator, self._validation, target, classes, shown=self._show)

    def predicted(self) -> np.ndarray[Any, Any]:
        """Return what the last `evaluate` predicted."""
        assert self._predicted is not None
        return self._predicted

    def _show(self, predicted: np.ndarray[Any, Any]) -> None:
        self._predicted = predicted

    def trained(self) -> tuple[Any | None, Any]:
        """Return the fitted steps before the last one, None where there are none, and the last one."""
        if self._head is not None:
            return self._head, self._estimator
        if type(self._estimator) is Pipeline and len(self._estimator) > 1:
            return self._estimator[:-1], self._estimator[-1]
        return None, self._estimator

    def state(self) -> Replay:
        """Return that training is to be repeated."""
        return REPLAY

    def load_state(self, state: State) -> None:
        """Refuse.

        Raises:
            TypeError: Always: an estimator is neither arrays nor JSON.
        """
        raise TypeError(f"an estimator is trained again, not loaded; got a state of {len(state.arrays)} arrays")


def _shuffle_in_one_stream(estimator: Any) -> None:
    """Have each `partial_fit` draw on from where the last one ended: of a number each would draw the same order."""
    seed = estimator.get_params(deep=False).get("random_state")
    if isinstance(seed, (int, np.integer)):
        estimator.set_params(random_state=np.random.RandomState(seed))
