"""Problems over made rows, split and sealed as any sweep's are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from objectives.tabular import Tabular
from search.contract import Dataset, Source, Task
from search.data.scheme import Scheme
from search.data.source import FileSource
from search.problem import Problem, open_problem


class Made(Tabular):
    """Tables, of rows that are given."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def data(self, source: Source) -> Dataset:
        return self._dataset


def table_of(rows: int, *, seed: int = 0) -> Dataset:
    """Return rows of numbers and texts that decide between two classes; the first rows do not depend on how many."""
    each = [np.random.default_rng([seed, row]) for row in range(rows)]
    features = pd.DataFrame(
        {
            "age": [random.normal(40, 10) for random in each],
            "town": [("aa", "bb", "cc")[random.integers(3)] for random in each],
        }
    )
    target = ((features.age > 40) ^ (features.town == "bb")).to_numpy(np.int64)
    return Dataset("made", Task.BINARY, features, target, ("no", "yes"))


def problem_of(dataset: Dataset, *, seed: int = 0, scheme: str = "auto") -> Problem:
    """Return a data set as a sweep of this seed opens it."""
    source = FileSource(None, None, Path())
    return open_problem(Made(dataset), source, seed=seed, scheme=Scheme.parse(scheme, 0))
