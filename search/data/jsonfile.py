"""JSON as a table: one object a line, or one array of objects."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from search.data.csvfile import check_names, unnamed
from search.data.splits import MIN_ROWS
from search.data.text import as_utf8
from search.errors import InputError

_ARRAY: Final = re.compile(rb"\s*\[\s*[{\]]")
_CHUNK_ROWS: Final = 20_000  # Python objects held at a time; then a column becomes an array
_MAX_COLUMNS: Final = 20_000  # more are values that were written as keys
_NAMES: Final = {"list": "a list", "str": "a text", "NoneType": "null", "bool": "a truth value", "dict": "an object"}


def read_json(parts: Sequence[tuple[Path, bytes]], *, encoding: str | None = None) -> pd.DataFrame:
    """Return the objects in one or several files as rows.

    An object within an object becomes columns by their names with a dot between; a list becomes its JSON text. A name
    that an object lacks is missing there. Columns are in the order in which their names first come.

    Raises:
        InputError: A line is no JSON, or no object; the sentence names the file and the line.
    """
    columns: dict[str, _Column] = {}
    rows = 0
    for path, content in parts:
        for where, record in _records(path, as_utf8(path, content, encoding)):
            _add(path, where, record, columns, rows)
            rows += 1
    if rows == 0:
        raise InputError(f"{parts[0][0].name} is empty; training needs at least {MIN_ROWS} rows", field="data")
    named = {name: column.values(rows) for name, column in columns.items()}
    names = [_whole(name).strip() or unnamed(position) for position, name in enumerate(named, start=1)]
    check_names(parts[0][0], names)
    return pd.DataFrame(dict(zip(names, named.values(), strict=True)), index=range(rows))


class _Column:
    """The values of one name, those of finished chunks as arrays."""

    __slots__ = ("_chunks", "_open", "_rows")

    def __init__(self) -> None:
        self._chunks: list[Any] = []  # arrays, or lists where kinds are mixed
        self._open: list[Any] = []
        self._rows = 0  # in finished chunks

    def put(self, row: int, value: Any) -> bool:
        """Take the value of a row that is not behind; tell whether it is the row's first."""
        if row < self._rows + len(self._open):
            return False
        self._open.extend([None] * (row - self._rows - len(self._open)))
        self._open.append(value)
        if len(self._open) >= _CHUNK_ROWS:
            self._close()
        return True

    def values(self, rows: int) -> pd.Series[Any]:
        """Return the column, missing values at its end up to `rows`; of Python objects only where kinds are mixed."""
        self._open.extend([None] * (rows - self._rows - len(self._open)))
        self._close()
        kinds = {chunk.type for chunk in self._chunks if isinstance(chunk, pa.Array)} - {pa.null()}
        plain = not any(isinstance(chunk, list) for chunk in self._chunks)
        if plain and kinds <= {pa.bool_(), pa.int64(), pa.float64()}:
            return pd.Series(np.concatenate([_floats(chunk) for chunk in self._chunks]), copy=False)
        if plain and kinds == {pa.string()}:
            texts = pa.chunked_array([chunk.cast(pa.string()) for chunk in self._chunks])
            return texts.to_pandas()  # type: ignore[no-any-return]
        mixed = [value for chunk in self._chunks for value in (chunk if isinstance(chunk, list) else chunk.to_pylist())]
        return pd.Series(mixed, dtype=object)

    def _close(self) -> None:
        if self._open:
            self._chunks.append(_compact(self._open))
            self._rows += len(self._open)
            self._open = []


def _compact(values: list[Any]) -> pa.Array | list[Any]:
    try:
        return pa.array(values)
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold and text cannot
        return _compact([_whole(value) if isinstance(value, str) else value for value in values])
    except (pa.ArrowException, OverflowError):  # numbers beside text, or whole numbers beyond 64 bits
        return [_whole(value) if isinstance(value, str) else value for value in values]


def _floats(chunk: pa.Array) -> np.ndarray[Any, Any]:
    if pa.types.is_boolean(chunk.type):
        chunk = chunk.cast(pa.int8())
    return np.asarray(chunk.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def _records(path: Path, text: bytes) -> Iterator[tuple[str, Any]]:
    """Yield each value with the place where it stands."""
    if _ARRAY.match(text):
        for number, record in enumerate(_parse(path, "", text), start=1):
            yield f"entry {number}", record
        return
    for number, line in enumerate(io.BytesIO(text), start=1):
        if line.strip():
            yield f"line {number}", _parse(path, f" line {number}", line)


def _parse(path: Path, where: str, text: bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise InputError(f"{path.name}{where}: nested too deep for a table", field="data") from error
    except ValueError as error:
        said = str(error)[:80] if isinstance(error, json.JSONDecodeError) else "a number is too long"
        raise InputError(
            f"{path.name}{where}: not JSON ({said}); a table has one object a line, or is an array of objects",
            field="data",
        ) from error


def _add(path: Path, where: str, record: Any, columns: dict[str, _Column], row: int) -> None:
    if not isinstance(record, dict):
        what = _NAMES.get(type(record).__name__, "a number")
        raise InputError(f"{path.name} {where} is {what}; each row of a table is an object", field="data")
    for name, value in _flat(record, ""):
        column = columns.get(name)
        if column is None:
            if len(columns) == _MAX_COLUMNS:
                raise InputError(
                    f"{path.name} {where}: more than {_MAX_COLUMNS} different names; are they values of a column?",
                    field="data",
                )
            column = columns[name] = _Column()
        if not column.put(row, value):
            raise InputError(f"{path.name} {where}: {name[:60]!r} appears twice, once with a dot", field=name[:60])


def _flat(record: Mapping[str, Any], start: str) -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{start}{key}.")
        elif isinstance(value, list):
            yield start + key, json.dumps(value, ensure_ascii=False)
        else:
            yield start + key, value


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
