"""What a trial's value would vary by if it were measured again: over folds, or over rows of the same kind."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.evaluation import Evaluation, Measure

Floats = NDArray[np.float64]

Z: Final = 1.959964
"""Standard errors that the 95% interval of a normal distribution goes to either side."""

ROUNDING: Final = 1e-12
"""Of a value: an error below that is one of reckoning."""

_SAME: Final = 1e-6  # two ways of reckoning one number differ by no more, relatively


class Measured(NamedTuple):
    """A trial's value, found among what was measured on the validation rows.

    Attributes:
        name: Of the measure.
        measure: In natural sign, with its standard error.
        rows: It is a mean over.
    """

    name: str
    measure: Measure
    rows: int

    @property
    def error(self) -> float:
        """The standard error; where no row differs, by what the share could still be (Wilson's interval)."""
        if self.measure.error or self.name != "accuracy":
            return self.measure.error
        low, high = wilson(self.measure.value, self.rows)
        return (high - low) / (2 * Z)


def measured(evaluation: Evaluation, value: float) -> Measured | None:
    """Return the measure that is a trial's value, in either sign; None if none is."""
    for name, measure in evaluation.measures.items():
        if math.isclose(abs(measure.value), abs(value), rel_tol=_SAME, abs_tol=1e-12):
            return Measured(name, measure, evaluation.rows)
    return None


def scores_of_folds(reported: Floats, value: float, *, compared: bool) -> Floats | None:
    """Return a trial's own score on each of its folds; None where they are not known.

    What is reported is these for a pruner that compares trials fold by fold, and the means so far for any other. A
    study's pruner may have been changed, so that whichever comes to the trial's value is taken.

    Args:
        reported: (folds,), in order.
        value: Of the trial.
        compared: Whether its study's pruner compares trials fold by fold now.
    """
    undone = np.diff(np.arange(1, len(reported) + 1) * reported, prepend=0.0)
    order = (reported, undone) if compared else (undone, reported)
    return next((one for one in order if math.isclose(one.mean(), value, rel_tol=_SAME)), None)


def error_of_folds(scores: Floats) -> float:
    """Return the standard error of a mean over folds, or over the differences of two trials on the same folds.

    Folds share most of their training rows, so that the plain error is too small; the second term makes up for it.
    Source: Nadeau, Bengio, "Inference for the Generalization Error", Machine Learning 2003.
    """
    count = len(scores)
    return float(scores.std(ddof=1)) * math.sqrt(1 / count + 1 / (count - 1))


def wilson(share: float, rows: float) -> tuple[float, float]:
    """Return the 95% interval of a share. Source: Wilson, Journal of the American Statistical Association 1927."""
    z = Z**2 / rows
    middle = (share + z / 2) / (1 + z)
    half = Z / (1 + z) * math.sqrt(share * (1 - share) / rows + z / (4 * rows))
    return max(0.0, middle - half), min(1.0, middle + half)
