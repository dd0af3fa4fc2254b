"""Probabilities that mean what they say: one number that sharpens or softens them, the `Calibration`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]

FLOOR: Final = 1e-7
"""Least probability that is taken a logarithm of, as the graph's head does."""

_LEAST: Final = 0.05
_MOST: Final = 20.0
"""Temperatures that are looked at; rows that a model has by heart would have it at 0."""

_LEAST_ROWS: Final = 20
"""Validation rows from which on a half of them says anything about the other."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the probabilities of a model are changed.

    Attributes:
        temperature: What the logarithms are divided by; 1: they stay.
        before: Log loss of the validation rows as they were, in nats.
        after: The same, where each half of the rows has the temperature of the other half.
        rows: How many there are.
    """

    temperature: float
    before: float
    after: float
    rows: int

    @property
    def sentence(self) -> str:
        if self.rows < _LEAST_ROWS:
            return f"not calibrated: {self.rows} validation rows are too few to tell whether it helps"
        told = f"log loss {self.after:.4f} in place of {self.before:.4f} on halves of the validation rows held out"
        if self.temperature == 1.0:
            return f"not calibrated: it would not lower the log loss ({told})"
        how = "softened" if self.temperature > 1 else "sharpened"
        return f"probabilities are {how} by a temperature of {self.temperature:.3f}: {told}"


def calibrate(probabilities: Array, target: Array) -> Calibration:
    """Find the temperature of a model, or leave it alone.

    It is taken where it lowers the log loss of rows that it was not fitted on: each half of the validation rows gets
    the temperature of the other half. The same rows chose the trial and its best step, so the model is somewhat better
    on them than elsewhere, and the temperature somewhat too low; the test rows show what is left of it.

    Args:
        probabilities: (rows, classes) of the validation rows, from a model that was not trained on them.
        target: (rows,) class indices.
    """
    before = log_loss(probabilities, target)
    if len(target) < _LEAST_ROWS:
        return Calibration(1.0, before, before, len(target))
    half = halves(target)
    losses = np.empty(len(target))
    for fitted, held in ((half, ~half), (~half, half)):
        found = temperature(probabilities[fitted], target[fitted])
        losses[held] = _losses(softened(probabilities[held], found), target[held])
    after = float(losses.mean())
    return Calibration(temperature(probabilities, target) if after < before else 1.0, before, after, len(target))


def temperature(probabilities: Array, target: Array) -> float:
    """Return the temperature of the least log loss, between 0.05 and 20.

    Source: Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017; on logarithms of
    probabilities in place of logits, which differ by a constant for each row.

    Args:
        probabilities: (rows, classes).
        target: (rows,) class indices.
    """
    from scipy.optimize import minimize_scalar

    def loss(power: float) -> float:
        return log_loss(softened(probabilities, math.exp(power)), target)

    found = minimize_scalar(loss, bounds=(math.log(_LEAST), math.log(_MOST)), method="bounded")
    return float(math.exp(found.x))


def softened(probabilities: Array, temperature: float) -> Array:
    """Return probabilities as the graph's head gives them: (rows, classes)."""
    if temperature == 1.0:
        return probabilities
    logs = np.log(np.maximum(probabilities, FLOOR)) / temperature
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def log_loss(probabilities: Array, target: Array) -> float:
    """Return the mean log loss in nats."""
    return float(_losses(probabilities, target).mean())


def halves(target: Array) -> Array:
    """Return (rows,) which rows are in the first of two halves; each class is dealt out evenly, by its order."""
    order = np.argsort(target, kind="stable")
    first = np.zeros(len(target), dtype=bool)
    first[order[::2]] = True
    return first


def _losses(probabilities: Array, target: Array) -> Array:
    given = probabilities[np.arange(len(target)), target]
    return np.asarray(-np.log(np.maximum(given, FLOOR)))
