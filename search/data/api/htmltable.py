"""The tables of a page of HTML as records; never more of them than a memory holds."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any, Final

from search.data.api.answers import Scalar
from search.data.api.description import Description
from search.errors import SurroundingsError

_BLANK: Final = "\u00a0\u202f "
_NUMBERS: Final = {
    ".": (
        re.compile(rf"[+-]?(?:\d{{1,3}}(?:[,{_BLANK}]\d{{3}})+|\d+)?(?:\.\d+)?(?<=\d)(?:[eE][+-]?\d+)?"),
        re.compile(rf"[,{_BLANK}]"),
    ),
    ",": (
        re.compile(rf"[+-]?(?:\d{{1,3}}(?:[.{_BLANK}]\d{{3}})+|\d+)?(?:,\d+)?(?<=\d)"),
        re.compile(rf"[.{_BLANK}]"),
    ),
}
"""What is a number, and what stands between thousands in it, by the decimal mark."""
_MISSING: Final = frozenset(("", "?", "-", "–", "—", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "<NA>"))
_MAX_CELLS: Final = 5_000_000
_MAX_SPAN: Final = 65_534  # of HTML itself


def need_lxml() -> None:
    """Make sure that pages can be read.

    Raises:
        SurroundingsError: They cannot.
    """
    try:
        import lxml.html  # noqa: F401
    except ImportError as error:
        raise SurroundingsError(
            "tables of web pages need lxml, which is not installed",
            field="data",
            hint="pip install 'sweep-search[html]'",
        ) from error


def parse_page(body: bytes, content_type: str, where: str) -> Any:
    """Return a page as a tree; its text is in the encoding of the header, else UTF-8 if it can be, else as it says."""
    from lxml import etree, html

    charset: str | None = content_type.lower().partition("charset=")[2].partition(";")[0].strip(" \"'") or None
    if charset is None:
        try:
            body.decode("utf-8")
            charset = "utf-8"
        except UnicodeDecodeError:
            pass
    try:
        parser = html.HTMLParser(encoding=charset, no_network=True)
    except LookupError:  # an encoding that there is not
        parser = html.HTMLParser(no_network=True)
    try:
        tree = html.document_fromstring(body, parser=parser)
    except (etree.LxmlError, ValueError, AssertionError) as error:
        raise SurroundingsError(f"{where} is no HTML page ({len(body)} bytes)", field="data") from error
    return tree


def choose_table(tree: Any, description: Description, where: str) -> tuple[Any, str]:
    """Return the table that is meant and a note, or None and what there is instead."""
    tables = [one for one in tree.iter("table") if one.find(".//td") is not None]
    wanted = description.table
    if description.match:
        tables = [one for one in tables if description.match in " ".join(one.itertext())]
    if isinstance(wanted, str):
        tables = [one for one in tables if one.get("id") == wanted]
    suffix = f" with the text {description.match[:40]!r}" if description.match else ""
    if not tables:
        return None, ("no table" + (f" with the id {wanted[:40]!r}" if isinstance(wanted, str) else "") + suffix)
    if isinstance(wanted, int):
        return (tables[wanted], "") if wanted < len(tables) else (None, f"no table {wanted}{suffix}")
    largest = max(tables, key=lambda table: sum(1 for _ in table.iter("td")))
    if len(tables) == 1 or isinstance(wanted, str):
        return largest, ""
    return largest, f"{len(tables)} tables{suffix}: the largest, table = {tables.index(largest)}, was taken"


def table_records(table: Any, decimal: str, where: str) -> tuple[list[dict[str, Scalar]], tuple[str, ...]]:
    """Return the rows of a table, its numbers as numbers, and a sentence for each thing that people should know.

    Args:
        table: As `choose_table` returns it.
        decimal: What stands before the decimals of a number: `.` or `,`; the other one is between thousands.
        where: `page 3 of https://...`, for people.

    Raises:
        SurroundingsError: It cannot be read, or would fill the memory.
    """
    import pandas as pd
    from lxml import html

    _check_spans(table, where)
    text = html.tostring(table, encoding="unicode")
    try:
        # pandas would take 12,50 for 1250: what is a number is seen below
        as_text = dict.fromkeys(range(pd.read_html(io.StringIO(text), flavor="lxml")[0].shape[1]), str)
        raw: Any = {"thousands": None, "converters": as_text, "keep_default_na": False}
        frame = pd.read_html(io.StringIO(text), flavor="lxml", **raw)[0]
    except (ValueError, IndexError, TypeError) as error:
        raise SurroundingsError(f"{where}: its table cannot be read ({str(error)[:60]})", field="table") from error
    names, notes, columns = _names(frame), [], []
    for at, name in enumerate(names):
        cells = [_cell(value) for value in frame.iloc[:, at].tolist()]
        columns.append(_typed(cells, decimal))
        if decimal == "." and _are_decimals(cells):
            notes.append(f"column {name[:60]!r} looks like numbers with decimal commas: decimal = ',' reads them")
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)], tuple(notes)


def _check_spans(table: Any, where: str) -> None:
    """Make each span a number, as browsers do, and refuse a table that would fill the memory."""
    cells = 0
    for cell in table.iter("td", "th"):
        spans = 1
        for name in ("colspan", "rowspan"):
            given = (cell.get(name) or "1").strip()
            span = int(given) if given.isdecimal() and len(given) < 10 else 1
            cell.set(name, str(min(max(span, 1), _MAX_SPAN)))
            spans *= min(max(span, 1), _MAX_SPAN)
        cells += spans
    if cells > _MAX_CELLS:
        raise SurroundingsError(f"{where}: its table has more than {_MAX_CELLS} cells", field="table")


def _names(frame: Any) -> list[str]:
    """Return a name for each column; lines of a header of several are joined, a name that comes again is numbered."""
    names: list[str] = []
    for position, label in enumerate(frame.columns, start=1):
        parts = [str(part).strip() for part in (label if isinstance(label, tuple) else (label,))]
        parts = [part for part in dict.fromkeys(parts) if part and not part.startswith("Unnamed: ")]
        name = " ".join(parts)
        if not name or isinstance(label, int):
            name = f"column {position}"
        again, whole = 1, name
        while whole in names:
            again += 1
            whole = f"{name} {again}"
        names.append(whole)
    return names


def _cell(value: Any) -> str | None:
    text = str(value).strip()
    return None if text in _MISSING or (isinstance(value, float) and math.isnan(value)) else text


def _typed(cells: list[str | None], decimal: str) -> Sequence[Scalar]:
    """Return a column as numbers if all of it is, else as text."""
    pattern, thousands = _NUMBERS[decimal]
    plain = [None if cell is None else re.sub(r"^[\u2212\u2013]", "-", cell) for cell in cells]
    if not all(cell is None or pattern.fullmatch(cell) for cell in plain):
        return cells
    digits = [None if cell is None else thousands.sub("", cell).replace(",", ".") for cell in plain]
    if all(cell is None or re.fullmatch(r"[+-]?\d{1,18}", cell) for cell in digits):
        return [None if cell is None else int(cell) for cell in digits]
    numbers = [None if cell is None else float(cell) for cell in digits]
    return [number if number is not None and math.isfinite(number) else None for number in numbers]


def _are_decimals(cells: list[str | None]) -> bool:
    given = [cell for cell in cells if cell is not None]
    pattern = _NUMBERS[","][0]
    return any("," in cell for cell in given) and _typed(cells, ".") is cells and all(map(pattern.fullmatch, given))
