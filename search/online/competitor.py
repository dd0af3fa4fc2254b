"""A bundle as one of those that answer beside the champion, or as the champion itself: the `Fixed`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from search.bundle.model import Model
from search.online.events import Array
from search.serve.backend import Served


class Fixed:
    """Answers as its bundle does, and learns nothing.

    Args:
        served: The bundle.

    Attributes:
        served: As given.
    """

    def __init__(self, served: Served) -> None:
        self.served = served
        self._model = Model(served.bundle, threads=1)

    @property
    def label(self) -> str:
        return self.served.label

    @property
    def threshold(self) -> float | None:
        """Of two classes: probability from which on the second one is given."""
        return self.served.bundle.signature.threshold

    def answer(self, columns: Mapping[str, Array]) -> Array:
        """Return (rows, classes) probabilities, or (rows,) values, float32."""
        told = self._model.run(columns)
        found = told.value if told.probabilities is None else told.probabilities
        assert found is not None
        return np.asarray(found)
