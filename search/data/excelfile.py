"""A sheet of an Excel file as a table of raw columns."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus

import pandas as pd

from search.data.csvfile import check_names, unnamed
from search.data.splits import MIN_ROWS
from search.errors import InputError, SurroundingsError, did_you_mean

_ERRORS: Final = ("#N/A", "#NA", "#DIV/0!", "#REF!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!")
# Text that says that there is no value, as in CSV.
_MISSING: Final = frozenset(("?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", *_ERRORS))


def read_excel(path: Path, content: bytes, *, sheet: str | None = None) -> pd.DataFrame:
    """Return a sheet: its first row that is not empty gives the names.

    A formula counts as the value that Excel last saw. Empty rows and empty columns are skipped. A column whose texts
    are all numbers is one of numbers, as in CSV.

    Args:
        path: For messages.
        content: Of an `.xlsx` file.
        sheet: Its name; None where one sheet alone holds cells.

    Raises:
        InputError: It is damaged, or there is no such sheet.
        SurroundingsError: openpyxl is not installed.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise SurroundingsError(
            "an Excel file needs openpyxl, which is not installed",
            field="data",
            hint="pip install 'sweep-search[excel]'",
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of features of Excel that do not concern the cells
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            sheets = {str(one.title): one for one in book.worksheets}
            filled = {name: _rows(one) for name, one in sheets.items() if sheet in (None, name)}
    except Exception as error:  # openpyxl, zipfile and the XML parser have a dozen ways to say it
        said = " ".join(str(error).split())[:100]
        raise InputError(f"{path.name} is a damaged Excel file: {said}", field="data") from error
    return _as_table(path, _chosen(path, sheet, sheets, filled))


def _rows(sheet: Any) -> list[tuple[Any, ...]]:
    sheet.reset_dimensions()  # or each row would be as wide as the file claims
    rows = ([_value(cell) for cell in row] for row in sheet.iter_rows(values_only=True))
    return [tuple(row) for row in rows if any(cell is not None for cell in row)]


def _value(cell: Any) -> Any:
    return (cell.strip() or None) if isinstance(cell, str) else cell


def _chosen(
    path: Path, sheet: str | None, sheets: Iterable[str], filled: dict[str, list[tuple[Any, ...]]]
) -> list[tuple[Any, ...]]:
    if sheet is not None:
        if sheet not in filled:
            raise InputError(
                f"{path.name} has no sheet {sheet[:40]!r}", field="sheet", hint=did_you_mean(sheet, sheets)[:100]
            )
        return filled[sheet]
    with_cells = [name for name, rows in filled.items() if rows]
    if len(with_cells) > 1:
        shown, first = ", ".join(with_cells[:5])[:80], quote_plus(with_cells[0])
        raise InputError(
            f"{path.name} has {len(with_cells)} sheets ({shown}); choose one, as in {path.name}?sheet={first}",
            field="sheet",
        )
    return filled[with_cells[0]] if with_cells else []


def _as_table(path: Path, rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    if not rows:
        raise InputError(f"{path.name} is empty; training needs at least {MIN_ROWS} rows", field="data")
    width = max(map(len, rows))
    names, columns = [], []
    for position in range(width):
        cells = [row[position] if position < len(row) else None for row in rows]
        if any(cell is not None for cell in cells):
            names.append("" if cells[0] is None else str(cells[0]).strip())
            columns.append(cells[1:])
    names = [name or unnamed(position) for position, name in enumerate(names, start=1)]
    check_names(path, names)
    return pd.DataFrame({name: _column(cells) for name, cells in zip(names, columns, strict=True)})


def _column(cells: list[Any]) -> pd.Series[Any]:
    column = pd.Series([None if cell in _MISSING else cell for cell in cells], dtype=object)
    present = column.dropna()
    if all(isinstance(cell, (int, float, str)) for cell in present):
        numbers = pd.to_numeric(present, errors="coerce")
        if numbers.notna().all():
            return numbers.astype("float64").reindex(column.index)
    return column
