"""Small models that can go on learning, each made once for all tests."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd

from objectives.tabular import Tabular
from search.contract import Part
from search.online.base import Base
from search.online.events import Array
from search.promote.feeding import columns_of

TOWNS: Final = ("aa", "bb", "cc")

FAMILIES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "linear": {"model.family": "linear", "preprocess.scale": "standard"},
        "mlp": {"model.family": "mlp", "model.width": 16, "model.dropout": 0.1, "train.lr": 1e-2},
        "forest": {"model.family": "forest", "model.min_rows": 2},
        "boosting": {"model.family": "boosting", "model.shrinkage": 0.2},
    }
)


def table(seed: int, rows: int, *, flipped: bool = False, regression: bool = False) -> tuple[pd.DataFrame, Array]:
    """Return rows of numbers, some missing, and of texts; they decide between two classes, or make a value."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, 3))
    towns = random.choice(TOWNS, rows)
    score = (values[:, 0] + 0.7 * values[:, 1] + (towns == "bb")) * (-1 if flipped else 1)
    values[random.random((rows, 3)) < 0.02] = np.nan
    frame = pd.DataFrame({"a": values[:, 0], "b": values[:, 1], "unused": values[:, 2], "town": towns})
    return frame, 50 + 20 * score if regression else (score > 0.2).astype(np.int64)


@cache
def base(family: str, *, regression: bool = False) -> Base:
    """Return a model of the plain concept; nobody changes it."""
    frame, target = table(0, 600, regression=regression)
    params = {**FAMILIES[family], "preprocess.impute": "median"}
    return Base.in_memory(Tabular(), Part(frame, target), params, classes=() if regression else ("no", "yes"))


def taken(one: Base, frame: pd.DataFrame) -> dict[str, Array]:
    """Return rows as columns that the model takes."""
    return columns_of(frame, one.signature)
