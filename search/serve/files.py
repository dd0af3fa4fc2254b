"""Files of rows, read piece by piece: CSV as the texts that stand in it, Parquet as its own types: the `Rows`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_SUFFIXES: Final = (".csv", ".tsv", ".txt")
PARQUET_SUFFIXES: Final = (".parquet", ".pq")
PACKED: Final = (".gz", ".bz2", ".zst")

_SEPARATORS: Final = ",\t;|"
_BLOCK_BYTES: Final = 4 << 20
_AT_ONCE: Final = 32_768  # rows of Parquet
_MOST_HEADER: Final = 4 << 20
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A file that is open for reading.

    Attributes:
        path: Of the file.
        names: Of its columns.
        types: Of its columns: texts, but for Parquet.
        pieces: Its rows, some thousands at once.
        separator: Of a text file; "" of Parquet.
        share: Tells how much of it has been read, 0 to 1.
        places: Returns where rows stand, counted from 0 and in order: `line 7` or `row 6`.
    """

    path: Path
    names: tuple[str, ...]
    types: tuple[pa.DataType, ...]
    pieces: Iterator[pa.RecordBatch]
    separator: str
    share: Callable[[], float]
    places: Callable[[list[int]], list[str]]


def plain_suffix(path: Path) -> str:
    """Return what a file is by its name, packed or not."""
    suffixes = [one.lower() for one in path.suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


@contextmanager
def open_rows(path: Path) -> Iterator[Rows]:
    """Open a CSV (also `.tsv`, packed or not) or a Parquet file for reading.

    Raises:
        InputError: It is neither, or cannot be read as what it is.
    """
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}", field="input")
    suffix = plain_suffix(path)
    if suffix in PARQUET_SUFFIXES:
        with _parquet(path) as rows:
            yield rows
        return
    if suffix not in TEXT_SUFFIXES:
        raise InputError(f"{path.name} is neither .csv, .tsv nor .parquet", field="input")
    yield _text(path)


def _text(path: Path) -> Rows:
    import pyarrow as pa
    from pyarrow import csv as arrow

    names, lines, separator = _header(path)
    types = (pa.string(),) * len(names)
    raw = pa.OSFile(str(path))
    packing = _packing(path)
    source = raw if packing is None else pa.CompressedInputStream(raw, packing)
    size = max(path.stat().st_size, 1)
    try:
        reader = arrow.open_csv(
            source,
            read_options=arrow.ReadOptions(column_names=list(names), skip_rows=lines, block_size=_BLOCK_BYTES),
            parse_options=arrow.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=arrow.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV file" not in str(error):
            raise _translated(path, names, separator, error) from error
        return Rows(path, names, types, iter(()), separator, lambda: 1.0, lambda _: [])

    def pieces() -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except pa.ArrowInvalid as error:
            raise _translated(path, names, separator, error) from error
        except OSError as error:
            raise _damaged(path, error) from error

    def share() -> float:
        return 1.0 if raw.closed else min(1.0, raw.tell() / size)

    return Rows(path, names, types, pieces(), separator, share, lambda rows: _lines(path, separator, rows))


def _damaged(path: Path, error: Exception) -> InputError:
    said = " ".join(str(error).split())[:110]
    return InputError(f"{path.name} cannot be read: {said}", field="input", hint="it may be cut short")


def _packing(path: Path) -> str | None:
    return {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}.get(path.suffix.lower())


def _open_text(path: Path) -> io.TextIOWrapper:
    import pyarrow as pa

    stream: Any = pa.input_stream(str(path), compression=_packing(path))
    return io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8-sig", newline="")


def _header(path: Path) -> tuple[tuple[str, ...], int, str]:
    """Return the names of the columns, the lines that they take, and what separates them.

    A name is read as training reads it: without blanks around it, and `column 3` where there is none.
    """
    import pyarrow as pa

    try:
        with pa.input_stream(str(path), compression=_packing(path)) as stream:
            start = bytes(stream.read(_MOST_HEADER))
    except OSError as error:
        raise _damaged(path, error) from error
    if start.startswith(_UTF16):
        raise InputError(f"{path.name} is UTF-16", field="input", hint="save it as UTF-8")
    if not start.removeprefix(b"\xef\xbb\xbf").strip():
        raise InputError(f"{path.name} is empty; a header with the names of the columns was expected", field="input")
    text = start.decode("utf-8-sig", errors="replace")
    first = re.match(r'\s*((?:"[^"]*"|[^"\r\n])*)', text)
    plain = re.sub(r'"[^"]*"', "", first[1] if first else "")
    separator = "\t" if plain_suffix(path) == ".tsv" else max(_SEPARATORS, key=plain.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    cells = next((row for row in reader if row), [])
    names = tuple(cell.strip() or f"column {place}" for place, cell in enumerate(cells, start=1))
    _check_names(path, names)
    return names, reader.line_num, separator


def _check_names(path: Path, names: tuple[str, ...]) -> None:
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise InputError(f"{path.name}: column {twice[0][:60]!r} appears {names.count(twice[0])} times", field="input")


def _lines(path: Path, separator: str, rows: list[int]) -> list[str]:
    """Return the lines on which rows begin; the file is read again, which only an error is worth."""
    waiting, found, row = set(rows), {}, -2  # -1 is the header
    with _open_text(path) as text:
        reader = csv.reader(text, delimiter=separator)
        before = 0
        for cells in reader:
            row += bool(cells)
            if cells and row in waiting:
                found[row] = f"line {before + 1}"
                if len(found) == len(waiting):
                    break
            before = reader.line_num
    return [found.get(row, f"row {row + 1}") for row in rows]


def _translated(path: Path, names: tuple[str, ...], separator: str, error: Exception) -> InputError:
    """Say what Arrow found in a text file in terms of its lines."""
    try:
        with _open_text(path) as text:
            reader = csv.reader(text, delimiter=separator)
            before, is_header = 0, True
            for cells in reader:
                if cells and not is_header and len(cells) != len(names):
                    said = f"line {before + 1} has {len(cells)} fields where the header has {len(names)}"
                    return InputError(f"{path.name} {said}", field="input")
                is_header = is_header and not cells
                before = reader.line_num
    except UnicodeDecodeError:
        return InputError(f"{path.name} is not UTF-8", field="input", hint="save it as UTF-8")
    except csv.Error:
        pass
    return InputError(f"{path.name} cannot be read: {' '.join(str(error).split())[:120]}", field="input")


@contextmanager
def _parquet(path: Path) -> Iterator[Rows]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names = tuple(file.schema_arrow.names)
            _check_names(path, names)
            done = [0]
            rows = max(file.metadata.num_rows, 1)

            def pieces() -> Iterator[pa.RecordBatch]:
                try:
                    for piece in file.iter_batches(batch_size=_AT_ONCE):
                        done[0] += piece.num_rows
                        yield piece
                except (pa.ArrowException, OSError) as error:
                    raise _damaged(path, error) from error

            def places(rows: list[int]) -> list[str]:
                return [f"row {one + 1}" for one in rows]

            yield Rows(path, names, tuple(file.schema_arrow.types), pieces(), "", lambda: done[0] / rows, places)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _damaged(path, error) from error
