"""The fingerprint of a data set: equal for equal content, in any process and from any file format."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.contract import Dataset

if TYPE_CHECKING:
    import pandas as pd

_VERSION: Final = 1  # goes into the hash; count it up when the rules below change


def fingerprint(dataset: Dataset) -> str:
    """Return the sha256 of a data set's task, classes, target, column names, types and values, as 64 hex digits.

    Its name does not count: a file that was moved is the same data. Every NaN is alike, and so are 0 and -0.
    """
    digest = hashlib.sha256()
    features = dataset.features
    columns = None if isinstance(features, np.ndarray) else [str(name) for name in features.columns]
    _add(digest, {"version": _VERSION, "task": dataset.task, "classes": dataset.classes, "columns": columns})
    _add_array(digest, dataset.target)
    if isinstance(features, np.ndarray):
        _add_array(digest, features)
        return digest.hexdigest()
    for _, column in features.items():
        _add_column(digest, column)
    return digest.hexdigest()


def _add(digest: Any, facts: object) -> None:
    text = json.dumps(facts).encode()
    digest.update(len(text).to_bytes(8, "little") + text)


def _add_column(digest: Any, column: pd.Series[Any]) -> None:
    if isinstance(column.dtype, np.dtype) and column.dtype != object:
        _add_array(digest, column.to_numpy())
        return
    import pandas as pd

    if isinstance(column.dtype, pd.StringDtype):
        _add_strings(digest, column)
        return
    missing = column.isna().to_numpy()
    texts = ["" if gone else str(value) for value, gone in zip(column.to_numpy(dtype=object), missing, strict=True)]
    # The lengths say where one text ends; without them "a", "bc" would equal "ab", "c".
    lengths = np.fromiter(map(len, texts), dtype="<i8", count=len(texts))
    lengths[missing] = -1
    _add(digest, {"text": len(texts)})
    digest.update(lengths)
    digest.update("".join(texts).encode("utf-8", "surrogatepass"))


def _add_strings(digest: Any, column: pd.Series[Any]) -> None:
    """Add a text column as the loop above does, but from Arrow's own buffers: a hundred times as fast."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pa.array(column.array)
    chunks = [chunk.cast(pa.large_string()) for chunk in getattr(found, "chunks", [found])]
    _add(digest, {"text": len(column)})
    for chunk in chunks:
        digest.update(pc.fill_null(pc.utf8_length(chunk), -1).to_numpy(zero_copy_only=False).astype("<i8"))
    for chunk in chunks:
        filled = pc.fill_null(chunk, "")  # what lies under a missing value is anything
        _, offsets, data = filled.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64)[filled.offset : filled.offset + len(filled) + 1]
        if data is not None and len(ends):
            digest.update(memoryview(data)[ends[0] : ends[-1]])


def _add_array(digest: Any, array: np.ndarray[Any, Any]) -> None:
    _add(digest, {"type": array.dtype.newbyteorder("<").str, "shape": array.shape})
    plain = array.astype(array.dtype.newbyteorder("<"), order="C")
    if plain.dtype.kind == "f":
        plain = plain + plain.dtype.type(0)  # -0 becomes 0
        plain[np.isnan(plain)] = np.nan
    digest.update(plain.data)
