"""A classifier that was fitted on rows without some class, as one that knows them all: `AllClasses`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if


def with_all_classes(estimator: Any, count: int) -> Any:
    """Return a fitted estimator that has a probability of every class.

    Args:
        estimator: Fitted; returned as it is, if it knows every class or is no classifier.
        count: Of the classes, which are 0 to `count` - 1.
    """
    known = getattr(estimator, "classes_", None)
    return estimator if known is None or len(known) >= count else AllClasses(estimator, count)


class AllClasses(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Gives the classes that its estimator has never seen a probability of 0.

    A class that is too rare for each fold, or that stands only in a later or another group, is missing from some
    training rows; scikit-learn's metrics take probabilities of all classes or none.

    Args:
        estimator: Fitted.
        count: Of the classes.
    """

    def __init__(self, estimator: Any, count: int) -> None:
        self.estimator = estimator
        self.count = count
        self.classes_ = np.arange(count)

    def predict(self, features: Any) -> Any:
        return self.estimator.predict(features)

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, features: Any) -> np.ndarray[Any, Any]:
        found = self.estimator.predict_proba(features)
        wide = np.zeros((len(found), self.count))
        wide[:, np.asarray(self.estimator.classes_, dtype=int)] = found
        return wide
