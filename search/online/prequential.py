"""How a model has answered rows before it knew their labels (Gama, Sebastiao and Rodrigues 2013): the `Prequential`."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np

from search.online.events import Array
from search.online.losses import label

_LEAST_PROBABILITY: Final = 1e-7
"""That a log loss reckons with, as in `search.promote.measures`."""

_PRESENT: Final = 0.5
"""Rows, as they have faded, from which on a class counts in a fading balanced accuracy."""

_MOST: Final = 1e150
"""Errors and targets are cut here, so that their squares and sums stay finite."""


class Prequential:
    """Metrics over the newest rows, and over all with those long ago fading.

    Args:
        classes: Their names, () of a regression.
        window: Newest rows.
        fading: Weight of a row beside the one after it.
        threshold: Of two classes: probability from which on the second one is given; None: the likelier one.

    Attributes:
        rows: It was measured on.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        window: int = 1000,
        fading: float = 0.999,
        threshold: float | None = None,
    ) -> None:
        self.classes = classes
        self.window = window
        self.fading = fading
        self.threshold = threshold
        self.rows = 0
        self._newest: deque[tuple[float, ...]] = deque(maxlen=window)
        self._faded: _Classes | _Values = _Classes(len(classes)) if classes else _Values()

    def update(self, answer: Any, target: float) -> None:
        """Take a row.

        Args:
            answer: (classes,) probabilities, or a value.
            target: Index of the class, or the value.
        """
        self.rows += 1
        if isinstance(self._faded, _Values):
            value, truth = float(answer), float(target)
            self._newest.append((value, truth))
            self._faded.update(value, truth, self.fading)
            return
        given = np.asarray(answer)
        found, right = label(given, self.threshold), int(target)
        loss = -math.log(max(float(given[right]), _LEAST_PROBABILITY)) if found >= 0 else -math.log(_LEAST_PROBABILITY)
        self._newest.append((right, found, loss))
        self._faded.update(right, found, loss, self.fading)

    def summary(self) -> dict[str, Any]:
        """Return `rows`, and the metrics `rolling` and `fading`, None where undefined.

        Classification: `accuracy`, `log_loss`, `balanced_accuracy` (over the classes that occur), and of rolling ones
        `classes`: by name `rows`, `recall` and `precision`. Regression: `mae`, `rmse`, `r2`. Answers that are not
        finite are wrong classes; of values they leave the rolling metrics undefined, and are left out of the fading
        ones.
        """
        newest = [*self._newest]
        rolling = self._of_classes(newest) if self.classes else _of_values(newest)
        return {"rows": self.rows, "rolling": rolling, "fading": self._faded.metrics()}

    def to_json(self) -> dict[str, Any]:
        """Return all that it knows, exactly."""
        return {
            "classes": list(self.classes),
            "window": self.window,
            "fading": self.fading,
            "threshold": self.threshold,
            "rows": self.rows,
            "newest": [[one if math.isfinite(one) else None for one in row] for row in self._newest],
            "faded": self._faded.to_json(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_json` described."""
        found = cls(
            tuple(values["classes"]),
            window=values["window"],
            fading=values["fading"],
            threshold=values["threshold"],
        )
        found.rows = values["rows"]
        found._newest.extend(tuple(math.nan if one is None else one for one in row) for row in values["newest"])
        found._faded.load(values["faded"])
        return found

    def _of_classes(self, newest: list[tuple[float, ...]]) -> dict[str, Any]:
        count = len(self.classes)
        right = np.array([row[0] for row in newest], dtype=np.int64)
        found = np.array([row[1] for row in newest], dtype=np.int64)
        rows = np.bincount(right, minlength=count)
        hits = np.bincount(right[right == found], minlength=count)
        given = np.bincount(found[found >= 0], minlength=count)
        recalls = [_ratio(hit, row) for hit, row in zip(hits, rows, strict=True)]
        present = [one for one in recalls if one is not None]
        return {
            "accuracy": _ratio(hits.sum(), len(newest)),
            "log_loss": _ratio(math.fsum(row[2] for row in newest), len(newest)),
            "balanced_accuracy": _ratio(math.fsum(present), len(present)),
            "classes": {
                name: {"rows": int(rows[at]), "recall": recalls[at], "precision": _ratio(hits[at], given[at])}
                for at, name in enumerate(self.classes)
            },
        }


class _Classes:
    """Faded sums of a classification: rows and hits by class, and log losses."""

    def __init__(self, count: int) -> None:
        self._rows = np.zeros(count)
        self._hits = np.zeros(count)
        self._loss = 0.0

    def update(self, right: int, found: int, loss: float, fading: float) -> None:
        self._rows *= fading
        self._hits *= fading
        self._rows[right] += 1
        self._hits[right] += found == right
        self._loss = fading * self._loss + loss

    def metrics(self) -> dict[str, float | None]:
        total = float(self._rows.sum())
        present = self._rows >= _PRESENT
        recalls: Array = self._hits[present] / self._rows[present]
        return {
            "accuracy": _ratio(float(self._hits.sum()), total),
            "log_loss": _ratio(self._loss, total),
            "balanced_accuracy": _ratio(float(recalls.sum()), len(recalls)),
        }

    def to_json(self) -> dict[str, Any]:
        return {"rows": self._rows.tolist(), "hits": self._hits.tolist(), "loss": self._loss}

    def load(self, values: Mapping[str, Any]) -> None:
        self._rows, self._hits = np.array(values["rows"], np.float64), np.array(values["hits"], np.float64)
        self._loss = values["loss"]


class _Values:
    """Faded sums of a regression; those of the targets about their mean as in West (1979)."""

    def __init__(self) -> None:
        self._rows = self._absolute = self._squared = self._mean = self._spread = 0.0

    def update(self, value: float, target: float, fading: float) -> None:
        error = abs(value - target)
        if not math.isfinite(error):
            return
        error, target = min(error, _MOST), min(max(target, -_MOST), _MOST)
        before = fading * self._rows
        self._rows = before + 1
        self._absolute = fading * self._absolute + error
        self._squared = fading * self._squared + error * error
        away = target - self._mean
        self._mean += away / self._rows
        self._spread = fading * self._spread + before / self._rows * away * away

    def metrics(self) -> dict[str, float | None]:
        squared = _ratio(self._squared, self._rows)
        unexplained = _ratio(self._squared, self._spread)
        return {
            "mae": _ratio(self._absolute, self._rows),
            "rmse": None if squared is None else math.sqrt(squared),
            "r2": None if unexplained is None else 1 - unexplained,
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self._rows,
            "absolute": self._absolute,
            "squared": self._squared,
            "mean": self._mean,
            "spread": self._spread,
        }

    def load(self, values: Mapping[str, Any]) -> None:
        self._rows, self._absolute, self._squared = values["rows"], values["absolute"], values["squared"]
        self._mean, self._spread = values["mean"], values["spread"]


def _of_values(newest: list[tuple[float, ...]]) -> dict[str, float | None]:
    pairs = np.clip(np.array(newest, dtype=np.float64).reshape(-1, 2), -_MOST, _MOST)
    if not np.isfinite([list(row) for row in newest]).all() or not len(pairs):
        return {"mae": None, "rmse": None, "r2": None}
    errors = pairs[:, 0] - pairs[:, 1]
    squared = float(errors @ errors)
    away = pairs[:, 1] - pairs[:, 1].mean()
    unexplained = _ratio(squared, float(away @ away))
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": math.sqrt(squared / len(errors)),
        "r2": None if unexplained is None else 1 - unexplained,
    }


def _ratio(part: float, whole: float) -> float | None:
    """Return a quotient, None where it is none, or no finite number."""
    if not whole > 0:
        return None
    found = float(part) / float(whole)
    return found if math.isfinite(found) else None
