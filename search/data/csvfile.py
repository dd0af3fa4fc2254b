"""Read a file of separated values, however dirty, as a table of raw columns."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from search.data.splits import MIN_ROWS
from search.data.text import as_utf8
from search.errors import InputError

_HEADER: Final = re.compile(rb'\s*((?:"[^"]*"|[^"\r\n])*)')
_SEPARATORS: Final = ",\t;|"
# Beside pandas' own (empty, NA, NaN, null, None, ...): how many public data sets write it.
_MISSING: Final = ["?"]


def read_csv(path: Path, content: bytes, *, encoding: str | None = None) -> pd.DataFrame:
    """Return the table in `content`, columns by their names in the header.

    The separator is the one of `, tab ; |` that the header holds most of; the encoding is UTF-8 unless a byte-order
    mark or `encoding` says otherwise. A row shorter than the header ends in missing values. Where `;` separates,
    numbers may have decimal commas.

    Raises:
        InputError: It is no such table; the sentence names the file and, where there is one, the line.
    """
    return _read(path, as_utf8(path, content, encoding))


def read_csv_parts(folder: Path, parts: Sequence[tuple[Path, bytes]], *, encoding: str | None = None) -> pd.DataFrame:
    """Return the table that files with one header are parts of: what one file with all their rows would give.

    Raises:
        InputError: As `read_csv`, or a part has another header.
    """
    texts = [(path, as_utf8(path, content, encoding)) for path, content in parts]
    filled = [(path, text) for path, text in texts if text.strip()]  # Spark writes empty ones
    if not filled:
        raise InputError(f"{folder.name} holds empty files; training needs at least {MIN_ROWS} rows", field="data")
    first, text = filled[0]
    for path, other in filled:
        if _header(other).strip() != _header(text).strip():
            raise InputError(
                f"{path.name} has another header than {first.name}; parts have equal columns", field="data"
            )
    rows = [other[_header_end(other) :].strip(b"\r\n") for _, other in filled]
    try:
        return _read(first, b"\n".join([text[: _header_end(text)], *rows]))
    except InputError:
        for path, part in filled:
            _read(path, part)  # the sentence names the part, if the fault lies in one
        raise


def unnamed(position: int) -> str:
    """Return the name of a column without one; `position` counts from 1."""
    return f"column {position}"


def check_names(path: Path, names: list[str]) -> None:
    """Make sure that each column has a name of its own.

    Raises:
        InputError: Two columns share one.
    """
    positions: dict[str, list[int]] = {}
    for position, name in enumerate(names, start=1):
        positions.setdefault(name, []).append(position)
    for name, found in positions.items():
        if len(found) > 1:
            times = "twice" if len(found) == 2 else f"{len(found)} times"
            where = ", ".join(str(position) for position in found[:8])
            raise InputError(f"{path.name}: column {name[:60]!r} appears {times} ({where})", field=name)


def _read(path: Path, text: bytes) -> pd.DataFrame:
    separator = _separator(path, text)
    names = _names(path, text, separator)
    frame = _parse(path, text, separator)
    if separator == ";":
        with_commas = _parse(path, text, separator, decimal=",")
        if _numeric(with_commas) > _numeric(frame):
            frame = with_commas
    frame.columns = pd.Index(names)
    return frame


def _header(text: bytes) -> bytes:
    """Return the first line that is not blank; a quoted name may hold line ends."""
    found = _HEADER.match(text)
    return found[1] if found else b""


def _header_end(text: bytes) -> int:
    found = _HEADER.match(text)
    return found.end(1) if found else 0


def _separator(path: Path, text: bytes) -> str:
    if ".tsv" in (suffix.lower() for suffix in path.suffixes):
        return "\t"
    plain = re.sub(rb'"[^"]*"', b"", _header(text)).decode()
    return max(_SEPARATORS, key=plain.count)


def _names(path: Path, text: bytes, separator: str) -> list[str]:
    # The first row of values is read along with the header: pandas takes one that is longer for an index.
    head = _parse(path, text, separator, rows=2)
    names = ["" if cell is None or pd.isna(cell) else str(cell).strip() for cell in head.iloc[0]]
    names = [name or unnamed(position) for position, name in enumerate(names, start=1)]
    check_names(path, names)
    return names


def _parse(path: Path, text: bytes, separator: str, *, decimal: str = ".", rows: int | None = None) -> pd.DataFrame:
    """Return the table, or with `rows` only the first rows, header included, as text."""
    try:
        return pd.read_csv(
            io.BytesIO(text),
            sep=separator,
            decimal=decimal,
            header=0 if rows is None else None,
            nrows=rows,
            dtype=None if rows is None else str,
            keep_default_na=rows is None,
            na_values=_MISSING if rows is None else None,
            index_col=False,
            skipinitialspace=True,
            low_memory=False,  # or the type of a column would be guessed for each chunk of rows
        )
    except pd.errors.EmptyDataError as error:
        raise InputError(f"{path.name} is empty; training needs at least {MIN_ROWS} rows", field="data") from error
    except (ValueError, OverflowError) as error:  # ParserError is a ValueError
        raise InputError(_translate(path, str(error)), field="data") from error


def _translate(path: Path, said: str) -> str:
    if ragged := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", said):
        return f"{path.name} line {ragged[2]} has {ragged[3]} fields where the header has {ragged[1]}"
    if quote := re.search(r"EOF inside string starting at row (\d+)", said):
        return f"{path.name} line {int(quote[1]) + 1}: a quote is opened and never closed"
    return f"{path.name} is not a table of separated values: {' '.join(said.split())[:120]}"


def _numeric(frame: pd.DataFrame) -> int:
    return sum(pd.api.types.is_numeric_dtype(dtype) for dtype in frame.dtypes)
