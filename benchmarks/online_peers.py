"""River's learners of streams, run test-then-train over a `Stream`: what ours is held against."""

from __future__ import annotations

import numbers as numeric
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from river import compose, forest, linear_model, preprocessing, tree

from benchmarks.online_streams import Stream

Array = np.ndarray[Any, Any]

ARF: Final = "river ARF"
HAT: Final = "river HAT"
LINEAR: Final = "river linear"


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """How one arm fared on one stream.

    Attributes:
        hits: (rows,) bool of the rows after the first part: whether the answer before the label was right.
        seconds: Of this process's processor time, for those rows alone.
        told: What else is worth a line.
    """

    hits: Array
    seconds: float
    told: str = ""

    @property
    def accuracy(self) -> float:
        """In percent."""
        return 100 * float(self.hits.mean())

    @property
    def rate(self) -> float:
        """Rows a second."""
        return len(self.hits) / max(self.seconds, 1e-9)


def _numbers_and_texts() -> Any:
    """Prepare columns for a linear model, as river's documentation does."""
    numbers = compose.SelectType(numeric.Number) | preprocessing.StandardScaler()
    return numbers + (compose.SelectType(str) | preprocessing.OneHotEncoder())


PEERS: Final[dict[str, Callable[[int], Any]]] = {
    ARF: lambda seed: forest.ARFClassifier(seed=seed),
    HAT: lambda seed: tree.HoeffdingAdaptiveTreeClassifier(seed=seed),
    LINEAR: lambda seed: _numbers_and_texts() | linear_model.SoftmaxRegression(),
}
"""By name: made from a seed, with river's own defaults throughout."""


def prequential(name: str, stream: Stream, seed: int) -> Run:
    """Have one of the `PEERS` learn the first part, then answer each row before it learns it."""
    model = PEERS[name](seed)
    hits, begun_s = [], 0.0
    for number, (values, label) in enumerate(stream.rows()):
        if number == stream.first:
            begun_s = time.process_time()
        if number >= stream.first:
            hits.append(model.predict_one(values) == label)
        model.learn_one(values, label)
    return Run(np.array(hits), time.process_time() - begun_s)
