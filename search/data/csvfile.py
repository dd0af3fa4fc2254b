"""Read a file of separated values, however dirty, as a table of raw columns."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Final

import pandas as pd

from search.data.splits import MIN_ROWS
from search.errors import InputError

# What the first bytes say a file is, whatever its name says.
_OTHER_KINDS: Final = (
    (b"PK\x03\x04", "a zip archive or an Excel file; unpack it or save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file; save it as CSV"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"SQLite format 3", "an SQLite database; export the table as CSV"),
    (b"%PDF", "a PDF document; export the table as CSV"),
)
_HTML: Final = re.compile(rb"\s*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
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
    _check_kind(path, content)
    text = _as_utf8(path, content, encoding)
    separator = _separator(path, text)
    names = _names(path, text, separator)
    frame = _parse(path, text, separator)
    if separator == ";":
        with_commas = _parse(path, text, separator, decimal=",")
        if _numeric(with_commas) > _numeric(frame):
            frame = with_commas
    frame.columns = pd.Index(names)
    return frame


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


def _check_kind(path: Path, content: bytes) -> None:
    for start, kind in _OTHER_KINDS:
        if content.startswith(start):
            raise InputError(f"{path.name} is {kind}", field="data")
    if _HTML.match(content.removeprefix(b"\xef\xbb\xbf")):
        raise InputError(f"{path.name} is an HTML page, not a table; was an error page downloaded?", field="data")


def _as_utf8(path: Path, content: bytes, encoding: str | None) -> bytes:
    """Return the text in UTF-8, without a byte-order mark."""
    marked = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
    hint = "" if encoding else f"pass encoding=, as in {path.name}?encoding=latin-1"
    try:
        text = content.decode(encoding or marked)
        plain = content if marked == "utf-8" and not encoding else text.encode()  # pandas is quickest with bytes
    except UnicodeDecodeError as error:
        line = content[: error.start].decode(encoding or marked, "ignore").count("\n") + 1
        shown = (encoding or marked).removesuffix("-sig").upper()
        raise InputError(f"{path.name}: line {line} is not {shown}", field="data", hint=hint) from error
    except (LookupError, UnicodeError) as error:
        raise InputError(
            f"unknown encoding {encoding!r:.60}; known are utf-8, utf-16, latin-1, cp1252", field="data"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(
            f"{path.name}: line {line} has a zero byte: it is not a text file, or in another encoding",
            field="data",
            hint="" if encoding else f"if it is UTF-16, try {path.name}?encoding=utf-16-le",
        )
    return plain


def _separator(path: Path, text: bytes) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    header = re.match(rb'\s*((?:"[^"]*"|[^"\r\n])*)', text)
    plain = re.sub(rb'"[^"]*"', b"", header[1]).decode() if header else ""
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
