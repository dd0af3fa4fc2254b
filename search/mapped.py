"""Values of arrays and tables as files that are mapped into memory: written once, read by all without a copy.

Read-only: whoever writes into what `load` returns gets an error, not a file that differs from what was computed. Torch
tensors cannot be read-only; theirs are private copies of the pages that are written to.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_TREE: Final = "value.json"
_PLAIN: Final = (bool, int, float, str, type(None))
_SPARSE: Final = ("csr_matrix", "csr_array", "csc_matrix", "csc_array")


class Unmappable(TypeError):
    """A value has a part that is neither an array, a table nor plain data."""


def save(value: object, folder: Path) -> None:
    """Write a value into an empty folder: arrays, tables and plain data in dicts (of text keys), lists and tuples.

    Raises:
        Unmappable: It has a part that is none of these.
        OSError: The folder cannot be written.
    """
    count = 0

    def next_path(suffix: str) -> Path:
        nonlocal count
        count += 1
        return folder / f"{count}{suffix}"

    (folder / _TREE).write_text(json.dumps(_describe(value, next_path)))


def load(folder: Path) -> Any:
    """Return the value that `save` wrote, its arrays mapped into memory.

    Raises:
        OSError: A file is gone.
    """
    return _restore(json.loads((folder / _TREE).read_text()), folder)


def _describe(value: Any, next_path: Callable[[str], Path]) -> Any:
    """Write the arrays and tables in a value; return the rest of it as JSON-ready data, each part with its kind."""
    if type(value) in _PLAIN:
        return {"plain": value}
    if type(value) in (list, tuple):
        return {type(value).__name__: [_describe(one, next_path) for one in value]}
    if type(value) is dict and all(isinstance(name, str) for name in value):
        return {"dict": {name: _describe(one, next_path) for name, one in value.items()}}
    if type(value) is np.ndarray and not value.dtype.hasobject and value.dtype.names is None:
        return {"array": _write_array(value, next_path)}
    if isinstance(value, np.generic) and not value.dtype.hasobject:
        return {"scalar": _write_array(np.asarray(value), next_path)}
    if "torch" in sys.modules and type(value) is sys.modules["torch"].Tensor and not value.requires_grad:
        return {"tensor": _write_array(_numbers_of(value), next_path)}
    if "pandas" in sys.modules:
        pandas = sys.modules["pandas"]
        if type(value) is pandas.DataFrame:
            return {"table": _write_table(value, next_path)}
    if type(value).__module__.startswith("scipy.sparse") and type(value).__name__ in _SPARSE:
        return {"sparse": _write_sparse(value, next_path)}
    raise Unmappable(f"a {type(value).__module__}.{type(value).__qualname__} cannot be mapped into memory")


def _restore(described: Any, folder: Path) -> Any:
    ((kind, held),) = described.items()
    match kind:
        case "plain":
            return held
        case "list":
            return [_restore(one, folder) for one in held]
        case "tuple":
            return tuple(_restore(one, folder) for one in held)
        case "dict":
            return {name: _restore(one, folder) for name, one in held.items()}
        case "array":
            return _read_array(held, folder)
        case "scalar":
            return _read_array(held, folder)[()]
        case "tensor":
            import torch

            return torch.from_numpy(_read_array(held, folder, mode="c"))
        case "table":
            return _read_table(folder / held)
        case _:
            return _read_sparse(held, folder)


def _write_array(array: np.ndarray[Any, Any], next_path: Callable[[str], Path]) -> Any:
    """Write an array with its axes in the order that they have in memory: sums may depend on it in their last bit."""
    path = next_path(".npy")
    axes = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    with path.open("wb") as file:
        np.save(_Written(file), array.transpose(axes), allow_pickle=False)
    return {"file": path.name, "axes": axes, "empty": array.size == 0}


class _Written:
    """A file that says why it cannot be written: numpy's own way says only how many bytes are missing."""

    def __init__(self, file: IO[bytes]) -> None:
        self.write = file.write


def _read_array(held: Any, folder: Path, mode: Any = "r") -> np.ndarray[Any, Any]:
    # nothing cannot be mapped
    array = np.load(folder / held["file"], mmap_mode=None if held["empty"] else mode, allow_pickle=False)
    array.flags.writeable = mode != "r"
    return np.asarray(array).transpose(np.argsort(held["axes"]))


def _numbers_of(tensor: Any) -> np.ndarray[Any, Any]:
    try:
        return tensor.numpy()  # type: ignore[no-any-return]
    except (TypeError, RuntimeError) as error:  # on a GPU, sparse, of a type that numpy does not have
        what = f"a tensor of {tensor.dtype} on {tensor.device}"
        raise Unmappable(f"{what} cannot be mapped into memory") from error


def _write_sparse(value: Any, next_path: Callable[[str], Path]) -> Any:
    parts = [_write_array(part, next_path) for part in (value.data, value.indices, value.indptr)]
    return {"class": type(value).__name__, "shape": list(value.shape), "parts": parts}


def _read_sparse(held: Any, folder: Path) -> Any:
    from scipy import sparse

    parts = tuple(_read_array(part, folder) for part in held["parts"])
    return getattr(sparse, held["class"])(parts, shape=tuple(held["shape"]), copy=False)


# --- tables: numbers without a copy, text as Arrow has it, all else as pandas makes it of Arrow ---


def _write_table(table: pd.DataFrame, next_path: Callable[[str], Path]) -> str:
    import pandas as pd
    import pyarrow as pa

    if not isinstance(table.index, pd.RangeIndex) or table.index.start != 0 or table.index.step != 1:
        raise Unmappable("a table whose rows have labels cannot be mapped into memory")
    if not all(isinstance(name, str) for name in table.columns) or not table.columns.is_unique:
        raise Unmappable("a table whose columns do not have names of their own cannot be mapped into memory")
    if table.columns.name is not None or table.attrs:
        raise Unmappable("a table with notes of its own cannot be mapped into memory")
    try:
        arrow = pa.table([_arrow(table[name]) for name in table.columns], names=[*table.columns])
        path = next_path(".arrow")
        kinds = [_kind(table[name]) for name in table.columns]
        arrow = arrow.replace_schema_metadata({b"kinds": json.dumps(kinds).encode()})
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, arrow.schema) as writer:
            writer.write_table(arrow)  # as one batch: what is cut in pieces is copied when it is read
    except (pa.ArrowException, UnicodeError, OverflowError) as error:
        raise Unmappable(f"a table cannot be mapped into memory: {error}") from error
    back = _read_table(path)
    if not (back.dtypes.equals(table.dtypes) and back.equals(table)):
        raise Unmappable("a table has columns that do not come back as they were")
    return path.name


def _kind(column: pd.Series[Any]) -> str:
    import pandas as pd

    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb":
        return "numbers" if column.dtype.kind != "b" else "other"
    return "text" if column.dtype == pd.StringDtype(na_value=np.nan) else "other"


def _arrow(column: pd.Series[Any]) -> Any:
    import pyarrow as pa

    if _kind(column) == "numbers":
        return pa.array(column.to_numpy(), from_pandas=False)  # a NaN is a number, not a gap in a mask
    made = pa.array(column, from_pandas=True)
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made


def _from_arrow(column: Any) -> Any:
    import pandas as pd

    text: Any = pd.StringDtype(na_value=np.nan)
    return text.__from_arrow__(column)


def _read_table(path: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        arrow = pa.ipc.open_file(file).read_all()
    columns: dict[str, Any] = {}
    for name, kind in zip(arrow.column_names, json.loads(arrow.schema.metadata[b"kinds"]), strict=True):
        column = arrow.column(name)
        if kind == "numbers" and column.num_chunks == 1:
            columns[name] = column.chunk(0).to_numpy(zero_copy_only=True)
        elif kind == "text":
            columns[name] = pd.Series(_from_arrow(column))
        else:
            columns[name] = column.to_pandas()
    return pd.DataFrame(columns, index=pd.RangeIndex(arrow.num_rows), copy=False)
