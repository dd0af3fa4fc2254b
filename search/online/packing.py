"""Columns of rows as plain arrays for a file, and back: texts become JSON in bytes, so that nothing is ever pickled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from search.online.events import Array

_NAMES: Final = "names"


def pack(columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return columns, whatever their names, as arrays that `np.savez` takes; texts are object arrays of str."""
    packed = {_NAMES: _as_bytes(list(columns))}
    for index, values in enumerate(columns.values()):
        if values.dtype == object:
            packed[f"texts{index}"] = _as_bytes(values.tolist())
        else:
            packed[f"numbers{index}"] = values
    return packed


def unpack(packed: Mapping[str, Array]) -> dict[str, Array]:
    """Return the columns that `pack` packed."""
    columns: dict[str, Array] = {}
    for index, name in enumerate(json.loads(packed[_NAMES].tobytes())):
        numbers = packed.get(f"numbers{index}")
        columns[name] = texts(json.loads(packed[f"texts{index}"].tobytes())) if numbers is None else numbers
    return columns


def _as_bytes(values: Sequence[str]) -> Array:
    return np.frombuffer(json.dumps(values).encode(), np.uint8)


def texts(values: Sequence[str]) -> Array:
    """Return texts as an object array, which numpy would not make of an empty list."""
    found = np.empty(len(values), object)
    found[:] = values
    return found


def joined(parts: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
    """Return the rows of several tables with the same columns, one after the other; {} of none."""
    tables = list(parts)
    if not tables:
        return {}
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def taken(columns: Mapping[str, Array], rows: Array | Sequence[int] | slice) -> dict[str, Array]:
    """Return some rows of all columns."""
    return {name: values[rows] for name, values in columns.items()}


def prefixed(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return arrays under names that begin with `prefix/`."""
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays that `prefixed` named, by their own names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
