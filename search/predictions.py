"""What a trial's learner predicted at its best step, held until it is wanted in sum: the `Predictions`."""

from __future__ import annotations

from typing import Any

import numpy as np

from search.blame import blame
from search.building import Building
from search.contract import Learner, Predicting
from search.evaluating import evaluated
from search.evaluation import Evaluation
from search.folds import FoldLearner
from search.problem import Problem


class Predictions:
    """Holds the predictions of one trial; what is wrong with them is never held against the trial.

    Args:
        problem: Says what is predicted.
        building: Of the learner; knows the rows that it is measured on.

    Attributes:
        notes: Why there are none, where they should be there: a sentence, or none.
    """

    def __init__(self, problem: Problem, building: Building) -> None:
        self._problem, self._building = problem, building
        self._found: np.ndarray[Any, Any] | Evaluation | None = None
        self.notes: tuple[str, ...] = ()

    def take(self, learner: Learner) -> None:
        """Hold what the learner has just predicted; it is the trial's best so far."""
        self._found = None
        try:
            if isinstance(learner, FoldLearner):
                self._found = learner.evaluation
            elif isinstance(learner, Predicting):
                self._found = learner.predicted()
        except MemoryError:
            raise
        except Exception as error:
            self._say(error)

    def evaluation(self) -> Evaluation | None:
        """Return them in sum; None where there are none."""
        found, problem = self._found, self._problem
        if found is None or isinstance(found, Evaluation) or self._building.target is None:
            return found if isinstance(found, Evaluation) else None
        given = {"classes": problem.classes, "variance": problem.target_variance}
        try:
            self._found = evaluated(found, self._building.target, problem.task, **given)  # type: ignore[arg-type]
        except Exception as error:
            self._found = None
            self._say(error)
            return None
        return self._found

    def _say(self, error: Exception) -> None:
        self.notes = (f"its predictions are not kept ({blame(error)[1]})",)
