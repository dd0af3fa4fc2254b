"""Look into what was fitted: every array, number and text in it, however deep."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def leaves(found: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of everything that is an array, a number, a text or nothing, in a fixed order."""
    if isinstance(found, np.ndarray) and found.dtype == object:
        found = found.tolist()
    if found is None or isinstance(found, (np.ndarray, np.generic, bool, int, float, str, bytes)):
        yield path, found
    elif isinstance(found, Mapping):
        for key in sorted(found, key=str):
            yield f"{path}[key]", key
            yield from leaves(found[key], f"{path}[{key!r}]")
    elif isinstance(found, (list, tuple)):
        for index, one in enumerate(found):
            yield from leaves(one, f"{path}[{index}]")
    elif dataclasses.is_dataclass(found) and not isinstance(found, type):
        for field in dataclasses.fields(found):
            yield from leaves(getattr(found, field.name), f"{path}.{field.name}")
    elif hasattr(found, "__dict__") and not isinstance(found, type) and not callable(found):
        yield f"{path}(type)", type(found).__qualname__
        for name, value in sorted(vars(found).items()):
            if name != "_stop_words_id":  # an address in memory, kept by TfidfVectorizer
                yield from leaves(value, f"{path}.{name}")
    else:
        yield path, str(found) if not callable(found) else getattr(found, "__qualname__", "")


def digest(*found: Any) -> str:
    """Return a hash of all leaves, bytes of arrays included."""
    whole = hashlib.sha256()
    for path, value in leaves(found):
        array = isinstance(value, np.ndarray)
        whole.update(f"{path} {value.dtype} {value.shape}".encode() if array else f"{path} {value!r}".encode())
        whole.update(np.ascontiguousarray(value).tobytes() if array else b"")
    return whole.hexdigest()


def shows(found: Any, *, number: float, text: str) -> list[str]:
    """Return the paths where a marker shows: the number among numbers, the text within texts."""
    paths = []
    for path, value in leaves(found):
        if isinstance(value, str):
            hit = text in value
        elif isinstance(value, (np.ndarray, np.generic, int, float)) and not isinstance(value, bool):
            array = np.asarray(value)
            numeric = np.issubdtype(array.dtype, np.number)
            hit = bool(np.isclose(array.astype(np.float64), number, rtol=1e-6).any()) if numeric else text in str(array)
        else:
            hit = text in str(value)
        if hit:
            paths.append(path)
    return paths
