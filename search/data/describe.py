"""A data set in a few facts, for people: `Description`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.contract import Dataset, Task
from search.data.fingerprint import fingerprint

if TYPE_CHECKING:
    import pandas as pd

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Description:
    """What a data set holds.

    Attributes:
        name: For people.
        rows: Rows in all parts together.
        task: `binary`, `multiclass` or `regression`; "" where nobody has said what is predicted.
        numeric, text: Columns of each kind; both 0 for images.
        shape: Of one image, (channels, height, width); empty for a table.
        missing: Share of the cells without a value, 0 to 1.
        classes: Rows of each class, by its name; empty for a regression.
        target: Of a regression, its least, mean and greatest value; else empty.
        fingerprint: 64 hex digits.
    """

    name: str
    rows: int
    task: str
    numeric: int
    text: int
    shape: tuple[int, ...]
    missing: float
    classes: Mapping[str, int]
    target: tuple[float, ...]
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        """Return the description as JSON-ready values."""
        return asdict(self) | {"shape": list(self.shape), "target": list(self.target), "classes": dict(self.classes)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Description:
        """Return the description that `to_json` described."""
        return cls(**{**values, "shape": tuple(values["shape"]), "target": tuple(values["target"])})

    def lines(self) -> list[str]:
        """Return the description as a few lines of text."""
        what = f"{self.rows} rows, "
        if self.shape:
            what += f"images of {'x'.join(str(length) for length in self.shape)} (channels, height, width)"
        else:
            what += f"{self.numeric} numeric and {self.text} text columns, {self.missing:.1%} of the cells missing"
        goal = [f"{self.task}: {self._goal()}"] if self.task else []
        return [f"{self.name}: {what}", *goal, f"fingerprint {self.fingerprint[:12]}"]

    def _goal(self) -> str:
        if not self.classes:
            least, mean, greatest = self.target
            return f"{least:g} to {greatest:g}, mean {mean:g}"
        most = sorted(self.classes.items(), key=lambda item: -item[1])
        shown = ", ".join(f"{name} {count}" for name, count in most[:_SHOWN])
        return shown + (f", and {len(most) - _SHOWN} more classes" if len(most) > _SHOWN else "")


def describe(dataset: Dataset) -> Description:
    """Return the facts of a data set."""
    target = dataset.target
    counts = np.bincount(target, minlength=len(dataset.classes)) if dataset.task.is_classification else ()
    spread = () if dataset.task.is_classification else (target.min(), target.mean(), target.max())
    return _described(
        dataset,
        task=str(dataset.task),
        classes={name: int(count) for name, count in zip(dataset.classes, counts, strict=True)},
        target=tuple(float(value) for value in spread),
    )


def describe_table(table: pd.DataFrame, name: str) -> Description:
    """Return the facts of a cleaned table of which nobody has said what is predicted."""
    return _described(Dataset(name, Task.REGRESSION, table, np.zeros(0)), task="", classes={}, target=())


def _described(dataset: Dataset, *, task: str, classes: Mapping[str, int], target: tuple[float, ...]) -> Description:
    features = dataset.features
    numeric = text = 0
    shape: tuple[int, ...] = ()
    if isinstance(features, np.ndarray):
        shape = features.shape[1:]
        missing = float(np.isnan(features).mean()) if features.dtype.kind == "f" else 0.0
    else:
        numeric = sum(isinstance(dtype, np.dtype) and dtype.kind != "O" for dtype in features.dtypes)
        text = features.shape[1] - numeric
        missing = sum(float(column.isna().mean()) for _, column in features.items()) / features.shape[1]
    return Description(
        name=dataset.name,
        rows=len(features),
        task=task,
        numeric=numeric,
        text=text,
        shape=tuple(int(length) for length in shape),
        missing=missing,
        classes=classes,
        target=target,
        fingerprint=fingerprint(dataset),
    )
