"""Linear models: logistic regression and ridge regression, solved to the end in one unit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from search.contract import Context, Params, Part, Prepared, State, Task

from .. import onnx_models
from ..balance import class_weights, row_weights
from ..params import read_float
from ..scoring import Shown, class_count, score
from .recursive import Recursive, shares

if TYPE_CHECKING:
    import onnx

_ITERATIONS: Final = 300

_NEVER: Final = -1e9
"""Intercept of a class without a training row, whose probability is 0."""

_SELDOM: Final = -5.0
"""Of such a class, once rows of it may come."""

Array = np.ndarray[Any, Any]


def learner(params: Params, prepared: Prepared, context: Context) -> Linear:
    """Build the family's learner from `model.l2`: the penalty beside the mean loss of a row."""
    return Linear(read_float(params, "model.l2", 1e-3), params, prepared, context)


class Linear(Shown):
    """A linear model; its state is its coefficients."""

    def __init__(self, l2: float, params: Params, prepared: Prepared, context: Context) -> None:
        if l2 <= 0:
            raise ValueError(f"model.l2 must be above 0, got {l2}")
        self.budget = 1
        self._prepared = prepared
        self._context = context
        self._weights = row_weights(params, prepared.train, context)
        self._class_weights = class_weights(params, prepared.train, context)
        # scikit-learn weighs the penalty against the sum over the rows.
        strength = l2 * len(prepared.train.target)
        self._model = (
            Ridge(alpha=strength)
            if context.task is Task.REGRESSION
            else LogisticRegression(C=1 / strength, max_iter=_ITERATIONS)
        )
        self._coefficients: Array | None = None
        self._recursive: Recursive | None = None  # once it learns from rows as they come

    def fit_epoch(self) -> Mapping[str, float]:
        """Solve for the coefficients."""
        train = self._prepared.train
        with warnings.catch_warnings():
            # A penalty near 0 on separable classes has no finite optimum; what it reached is still measured.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model.fit(np.asarray(train.features, dtype=np.float64), train.target, self._weights)
        self._coefficients = self._as_table()
        return {}

    def evaluate(self) -> Mapping[str, float]:
        """Measure the validation rows."""
        self._predicted = self.predict(self._prepared.validation.features)
        return score(self._predicted, self._prepared.validation, self._prepared.train, self._context)

    def predict(self, features: Array) -> Array:
        """Return (rows, classes) probabilities, or (rows,) values, of prepared features."""
        if self._coefficients is None:
            raise RuntimeError("a linear model predicts only once it was fitted or loaded")
        outputs = features.astype(np.float64) @ self._coefficients[:, :-1].T + self._coefficients[:, -1]
        if self._context.task is Task.REGRESSION:
            return np.asarray(outputs[:, 0])
        return shares(outputs)

    def onnx(self) -> onnx.ModelProto:
        """Return it as a graph from prepared features to what `predict` returns."""
        assert self._coefficients is not None
        is_one = self._context.task is Task.REGRESSION
        return onnx_models.linear(self._coefficients, classes=0 if is_one else len(self._coefficients))

    def weights(self) -> Mapping[str, Array]:
        """Return the coefficients by name."""
        return {} if self._coefficients is None else {"coefficients": self._coefficients.copy()}

    def state(self) -> State:
        """Return the coefficients, none before the first unit."""
        return State({**self.weights(), **({} if self._recursive is None else self._recursive.arrays())})

    def load_state(self, state: State) -> None:
        """Go on from `state`."""
        self._coefficients = np.array(state.arrays["coefficients"]) if state.arrays else None
        self._recursive = None
        if "moments" in state.arrays:
            self._recursive = Recursive(self._prepared.train.features)
            self._recursive.load(state.arrays)

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Go on from the coefficients of a trained model."""
        self.load_state(State(weights))

    def partial_fit(self, part: Part) -> None:
        """Improve the coefficients by some rows."""
        if self._coefficients is None:
            raise RuntimeError("a linear model goes on learning only once it was fitted or loaded")
        if self._recursive is None:
            self._recursive = Recursive(self._prepared.train.features)
            # a class that training had no row of may come now
            self._coefficients[self._coefficients[:, -1] == _NEVER, -1] = _SELDOM
        weights = None if self._class_weights is None else self._class_weights[part.target]
        self._coefficients = self._recursive.step(self._coefficients, part.features, part.target, weights)

    def _as_table(self) -> Array:
        """Return one row of coefficients per output, the intercept last.

        Two classes become two outputs like any other number; a class without a training row gets an intercept so low
        that its probability is 0.
        """
        table = np.column_stack([np.atleast_2d(self._model.coef_), np.atleast_1d(self._model.intercept_)])
        if self._context.task is Task.REGRESSION:
            return table
        if len(self._model.classes_) == 2:
            table = np.vstack([np.zeros_like(table), table])
        whole = np.zeros((class_count(self._prepared.train, self._context), table.shape[1]))
        whole[:, -1] = _NEVER
        whole[self._model.classes_] = table
        return whole
