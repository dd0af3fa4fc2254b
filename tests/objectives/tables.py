"""Small data sets that the tests of the objectives share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from search.contract import Context, Part, Task

ROWS = 160


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A problem that can be learned, split."""

    train: Part
    validation: Part
    context: Context


def mixed(task: Task, *, seed: int = 0, rows: int = ROWS) -> Example:
    """Return numbers and text that decide the target, with missing values in both."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": random.normal(40, 10, rows),
            "income": random.lognormal(3, 1, rows),
            "town": random.choice(["aa", "bb", "cc", "dd"], rows, p=[0.4, 0.3, 0.25, 0.05]),
            "flag": random.integers(0, 2, rows).astype(np.float64),
        }
    )
    signal = (table.age - 40) / 10 + 2 * (table.town == "bb") - table.flag + 0.2 * random.normal(size=rows)
    table.loc[random.random(rows) < 0.1, "age"] = np.nan
    table.loc[random.random(rows) < 0.1, "town"] = None
    return split(table, _target(signal.to_numpy(), task), task, seed=seed)


def split(features: Any, target: np.ndarray[Any, Any], task: Task, *, seed: int = 0) -> Example:
    """Return the first two thirds of the rows for training, the rest for validation."""
    cut = 2 * len(target) // 3
    classes = () if task is Task.REGRESSION else tuple(str(index) for index in range(int(target.max()) + 1))
    context = Context(seed=seed, max_epochs=6, task=task, classes=classes)
    take = (lambda rows: features[rows]) if isinstance(features, np.ndarray) else (lambda rows: features.iloc[rows])
    return Example(Part(take(slice(None, cut)), target[:cut]), Part(take(slice(cut, None)), target[cut:]), context)


def digits(*, seed: int = 0) -> Example:
    """Return all packaged digits as images in [0, 1]: 1,077 for training, 360 for validation, the rest unused."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = load_digits()
    images = (found.images[:, None] / 16).astype(np.float32)
    used, _ = train_test_split(np.arange(len(images)), test_size=0.2, random_state=seed, stratify=found.target)
    train, validation = train_test_split(used, test_size=0.25, random_state=seed, stratify=found.target[used])
    classes = tuple(str(digit) for digit in range(10))
    return Example(
        Part(images[train], found.target[train]),
        Part(images[validation], found.target[validation]),
        Context(seed=seed, max_epochs=14, task=Task.MULTICLASS, classes=classes),
    )


def _target(signal: np.ndarray[Any, Any], task: Task) -> np.ndarray[Any, Any]:
    if task is Task.REGRESSION:
        return 5 + 100 * signal
    cuts = [0.5] if task is Task.BINARY else [-0.3, 1.3]
    return np.asarray(np.digitize(signal, cuts), dtype=np.int64)
