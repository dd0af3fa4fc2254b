"""A file, or a folder of parts, as raw columns: its content, not its name, says what it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pandas as pd

from search.data.arrowfile import read_arrow
from search.data.content import FORMATS, Kind, kind_of, unpack
from search.data.csvfile import read_csv, read_csv_parts
from search.data.excelfile import read_excel
from search.data.jsonfile import read_json
from search.data.reference import Reference, is_digest
from search.errors import InputError

_READER_OPTIONS: Final = ("encoding", "sheet", "size")


def read_table(path: Path, reference: Reference) -> pd.DataFrame:
    """Read a table as the options of its reference say.

    A folder of files with equal columns, as Spark and dask write them, is one table; files whose names start with `_`
    or `.` do not count.

    Raises:
        InputError: It cannot be read; the sentence names the file and, where there is one, the line or column.
        SurroundingsError: An Excel file needs openpyxl, which is not installed.
    """
    if path.is_dir():
        return _read_folder(path, reference)
    content = _read_bytes(path)
    path = _named(path, reference)
    content = unpack(path, content)
    kind = kind_of(path, content)
    _check_options(path, kind, reference)
    encoding = reference.option("encoding")
    match kind:
        case Kind.CSV:
            return read_csv(path, content, encoding=encoding)
        case Kind.JSON:
            return read_json([(path, content)], encoding=encoding)
        case Kind.EXCEL:
            return read_excel(path, content, sheet=reference.option("sheet"))
        case _:
            return read_arrow(kind, [(path, content)], path)


def _named(path: Path, reference: Reference) -> Path:
    """Return what messages call a file: one that was fetched lies under its hash, which says nothing to people."""
    if not is_digest(path.name.partition(".")[0]):
        return path
    name = Path(reference.name)
    return name if name.suffix else name.with_name(name.name + path.suffix)


def _read_folder(folder: Path, reference: Reference) -> pd.DataFrame:
    parts = [(path, unpack(path, _read_bytes(path))) for path in _list_parts(folder)]
    kinds = {path: kind_of(path, content) for path, content in parts if content.strip()}
    if not kinds:
        raise InputError(f"{folder.name} holds empty files only; a table is a {FORMATS}", field="data")
    first, kind = next(iter(kinds.items()))
    for path, other in kinds.items():
        if other is not kind:
            raise InputError(
                f"{folder.name} holds {first.name}, which is {kind}, and {path.name}, which is {other}; "
                "the parts of a table are of one kind",
                field="data",
            )
    _check_options(folder, kind, reference)
    encoding = reference.option("encoding")
    filled = [(path, content) for path, content in parts if path in kinds]
    match kind:
        case Kind.CSV:
            return read_csv_parts(folder, filled, encoding=encoding)
        case Kind.JSON:
            return read_json(filled, encoding=encoding)
        case Kind.EXCEL:
            raise InputError(f"{folder.name} is a folder of Excel files; name one of them", field="data")
        case _:
            return read_arrow(kind, filled, folder)


def _list_parts(folder: Path) -> list[Path]:
    """Return the files of a folder, `part.10` after `part.9`."""
    try:
        found = [entry for entry in folder.iterdir() if not entry.name.startswith(("_", "."))]
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}", field="data") from error
    nested = next((entry.name for entry in found if entry.is_dir()), None)
    if nested is not None:
        raise InputError(
            f"{folder.name} is a folder of folders ({nested[:40]}); a table is a {FORMATS}, or a folder of such parts",
            field="data",
        )
    parts = [entry for entry in found if entry.suffix.lower() != ".crc"]
    if not parts:
        raise InputError(f"{folder.name} is a folder without files; a table is a {FORMATS}", field="data")
    return sorted(parts, key=_in_order)


def _in_order(part: Path) -> list[str | int]:
    pieces = re.split(r"([0-9]+)", part.name)  # every other piece is digits: like is compared with like
    return [int(piece) if index % 2 else piece for index, piece in enumerate(pieces)]


def _read_bytes(path: Path) -> bytes:
    if not path.is_file():  # it would be empty, or without end, for the next process that reads it
        raise InputError(f"{path.name} is a pipe or a device; a table is a {FORMATS}", field="data")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", field="data") from error


def _check_options(path: Path, kind: Kind, reference: Reference) -> None:
    """Refuse an option that does not fit the format."""
    fits = {"encoding": kind.is_text, "sheet": kind is Kind.EXCEL}
    for name in reference.options:
        if name in _READER_OPTIONS and not fits.get(name, False):
            raise InputError(f"{path.name} is {kind}, which takes no {name}=", field="data")
