"""The real data sets that scikit-learn brings along; no network is needed."""

from __future__ import annotations

from typing import Any, Final, cast

import numpy as np
import pandas as pd

from search.contract import Dataset, Task
from search.errors import InputError

TABLES: Final = ("breast_cancer", "diabetes", "digits", "iris", "wine")
IMAGES: Final = ("digits",)
TARGET: Final = "target"
"""The column that a packaged table predicts by default."""


def load_table(name: str) -> pd.DataFrame:
    """Return a packaged table, `TARGET` its last column; classes are given by name.

    Raises:
        InputError: There is no packaged table of that name.
    """
    bunch = _load(name, TABLES, as_frame=True)
    frame = cast("pd.DataFrame", bunch.frame).copy()
    if isinstance(next(iter(bunch.get("target_names", ())), None), str):  # the names of digits are numbers
        frame[TARGET] = np.asarray(bunch.target_names, dtype=object)[frame[TARGET].to_numpy()]
    return frame


def load_images(name: str) -> Dataset:
    """Return packaged images: (rows, channels, height, width), float32 in [0, 1].

    Raises:
        InputError: There are no packaged images of that name.
    """
    bunch = _load(name, IMAGES)
    pixels = (bunch.images[:, None] / 16.0).astype(np.float32)  # 4 bits a pixel, 0 to 16
    classes = tuple(str(one) for one in bunch.target_names)
    return Dataset(f"sklearn:{name}", Task.MULTICLASS, pixels, bunch.target.astype(np.int64), classes)


def _load(name: str, known: tuple[str, ...], **options: bool) -> Any:
    if name not in known:
        raise InputError(
            f"scikit-learn has no packaged data set {name[:60]!r}; known: {', '.join(known)}", field="data"
        )
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")(**options)
