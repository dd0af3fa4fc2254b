"""Opening a problem: which stages see which rows, and what is an objective at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.contract import Dataset, Metric, Source
from search.data.source import FileSource
from search.errors import InputError
from search.problem import open_problem
from tests.learners import Curve, Curves

NO_SOURCE = FileSource(None, None, Path())


class Watching(Curves):
    """Keeps what `metrics` was handed."""

    seen: Dataset

    def metrics(self, dataset: Dataset) -> Sequence[Metric]:
        self.seen = dataset
        return super().metrics(dataset)


def test_metrics_are_declared_from_the_training_rows_alone() -> None:
    objective = Watching(lambda params, context: Curve([1.0]))
    problem = open_problem(objective, NO_SOURCE, seed=0)
    seen, whole = objective.seen, problem.dataset
    assert whole is not None
    np.testing.assert_array_equal(seen.features, problem.train.features)
    np.testing.assert_array_equal(seen.target, problem.train.target)
    assert (seen.name, seen.task, seen.classes) == (whole.name, whole.task, whole.classes)
    assert len(seen.target) == 60
    assert len(whole.target) == 100


class Bare:
    """All that an objective needs."""

    def data(self, source: Source) -> Dataset:
        return Curves(lambda params, context: Curve([1.0])).data(source)

    def metrics(self, dataset: Dataset) -> Sequence[Metric]:
        return (Metric("val_loss", "minimize"),)

    def preprocess(self, params: Any, train: Any, validation: Any, context: Any) -> None: ...

    def learner(self, params: Any, prepared: Any, context: Any) -> None: ...


def test_four_stages_make_an_objective() -> None:
    assert open_problem(Bare(), NO_SOURCE, seed=0).metrics == (Metric("val_loss", "minimize"),)


@pytest.mark.parametrize("value", [None, 3, object(), lambda run: iter(())])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"is no objective: it takes a class with data, metrics, preprocess and"):
        open_problem(value, NO_SOURCE, seed=0)
