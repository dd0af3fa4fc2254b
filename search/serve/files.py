"""Files of rows, read piece by piece: CSV as the texts that stand in it, Parquet as its own types: the `RowFile`."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from search.errors import InputError
from search.serve.unpadded import Unpadded

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_SUFFIXES: Final = (".csv", ".tsv", ".txt")
PARQUET_SUFFIXES: Final = (".parquet", ".pq")
PACKED: Final = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
"""What Arrow calls the packing of a text file, by the end of its name."""

_SEPARATORS: Final = ",\t;|"
_BLOCK_BYTES: Final = 4 << 20
_AT_ONCE: Final = 32_768  # rows of Parquet
_MOST_HEADER: Final = 4 << 20
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True, eq=False)
class RowFile:
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
def open_rows(path: Path) -> Iterator[RowFile]:
    """Open a CSV (also `.tsv`, packed or not) or a Parquet file for reading.

    Raises:
        InputError: It is neither, or cannot be read as what it is.
    """
    if not path.is_file():
        raise _no_file(path)
    suffix = plain_suffix(path)
    if suffix in PARQUET_SUFFIXES:
        with _parquet(path) as rows:
            yield rows
        return
    if suffix not in TEXT_SUFFIXES:
        raise InputError(f"{path.name} is neither .csv, .tsv nor .parquet", field="input")
    with _text(path) as rows:
        yield rows


def _no_file(path: Path) -> InputError:
    if path.is_dir():
        said = f"{path} is a folder; the model takes the rows of one file"
        return InputError(said, field="input", hint="name a .csv, .tsv or .parquet file")
    if path.exists() or str(path) == "-":
        said = f"{path} is no file on a disk, and rows are read from one only"
        return InputError(said, field="input", hint="write them to a .csv or .parquet file first")
    return InputError(f"there is no file {str(path)!r}", field="input")


@contextmanager
def _text(path: Path) -> Iterator[RowFile]:
    import pyarrow as pa
    from pyarrow import csv as arrow

    names, lines, separator = _header(path)
    types = (pa.string(),) * len(names)
    raw = pa.OSFile(str(path))
    packing = packing_of(path)
    size = max(path.stat().st_size, 1)

    def pieces() -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except pa.ArrowInvalid as error:
            raise _translated(path, names, separator, error) from error
        except OSError as error:
            raise _damaged(path, error) from error

    def share() -> float:
        return 1.0 if raw.closed else min(1.0, raw.tell() / size)

    def places(rows: list[int]) -> list[str]:
        return _lines(path, separator, lines, rows, is_single=len(names) == 1)

    plain = raw if packing is None else pa.CompressedInputStream(raw, packing)
    with raw, io.BufferedReader(Unpadded(plain, separator), _BLOCK_BYTES) as source:
        try:
            reader = arrow.open_csv(
                source,
                read_options=arrow.ReadOptions(column_names=list(names), skip_rows=lines, block_size=_BLOCK_BYTES),
                parse_options=arrow.ParseOptions(
                    delimiter=separator, newlines_in_values=True, ignore_empty_lines=len(names) > 1
                ),
                convert_options=arrow.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV file" not in str(error) and "Could not skip" not in str(error):  # there is the header alone
                raise _translated(path, names, separator, error) from error
            yield RowFile(path, names, types, iter(()), separator, lambda: 1.0, lambda _: [])
            return
        yield RowFile(path, names, types, pieces(), separator, share, places)


def _damaged(path: Path, error: Exception) -> InputError:
    said = " ".join(str(error).split())[:110]
    return InputError(f"{path.name} cannot be read: {said}", field="input", hint="it may be cut short")


def packing_of(path: Path) -> str | None:
    """Return what Arrow calls the packing of a text file; None of one that is not packed."""
    return PACKED.get(path.suffix.lower())


def _open_text(path: Path, separator: str) -> io.TextIOWrapper:
    import pyarrow as pa

    stream = Unpadded(pa.input_stream(str(path), compression=packing_of(path)), separator)
    return io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8", newline="")


def _header(path: Path) -> tuple[tuple[str, ...], int, str]:
    """Return the names of the columns, the lines that they take, and what separates them."""
    import pyarrow as pa

    try:
        with pa.input_stream(str(path), compression=packing_of(path)) as stream:
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
    rest = io.StringIO(text, newline="")
    reader = csv.reader(rest, delimiter=separator, skipinitialspace=True)
    try:
        cells = next((row for row in reader if any(row) or len(row) > 1), [])
    except csv.Error as error:
        said = f"{path.name} has no header: its first line is one of very long texts"
        raise InputError(said, field="input", hint="it begins with the names of the columns") from error
    if len(start) == _MOST_HEADER and not rest.read(1):
        raise InputError(f"{path.name} has a header of more than 4 MB", field="input")
    return _named(path, cells), reader.line_num, separator


def _named(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Return names as training reads them: without blanks around them, and `column 3` where there is none."""
    found = tuple(name.strip() or f"column {place}" for place, name in enumerate(names, start=1))
    for name, count in Counter(found).items():
        if count > 1:
            raise InputError(f"{path.name}: column {name[:60]!r} appears {count} times", field="input")
    return found


def _lines(path: Path, separator: str, header: int, rows: list[int], *, is_single: bool) -> list[str]:
    """Return the lines on which rows begin; the file is read again, which only an error is worth."""
    waiting, found, row = set(rows), {}, -1
    with _open_text(path, separator) as text:
        reader = csv.reader(text, delimiter=separator)
        try:
            before = 0
            for cells in reader:
                if before >= header and (cells or is_single):
                    row += 1
                    if row in waiting:
                        found[row] = f"line {before + 1}"
                        if len(found) == len(waiting):
                            break
                before = reader.line_num
        except csv.Error:  # a text that is longer than it takes: rows behind it have their number alone
            pass
    return [found.get(row, f"row {row + 1}") for row in rows]


def _translated(path: Path, names: tuple[str, ...], separator: str, error: Exception) -> InputError:
    """Say what Arrow found in a text file in terms of its lines."""
    before, is_header = 0, True
    try:
        with _open_text(path, separator) as text:
            reader = csv.reader(text, delimiter=separator)
            for cells in reader:
                if cells and not is_header and len(cells) != len(names):
                    said = f"line {before + 1} has {len(cells)} fields where the header has {len(names)}"
                    return InputError(f"{path.name} {said}", field="input")
                is_header = is_header and not cells
                before = reader.line_num
    except UnicodeDecodeError:
        return InputError(f"{path.name} is not UTF-8", field="input", hint="save it as UTF-8")
    except csv.Error:
        if "straddling" in str(error):
            said = f"line {before + 1}: a text does not end; a quote may be opened there and never closed"
            return InputError(f"{path.name} {said}", field="input")
    return InputError(f"{path.name} cannot be read: {' '.join(str(error).split())[:120]}", field="input")


@contextmanager
def _parquet(path: Path) -> Iterator[RowFile]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names = _named(path, file.schema_arrow.names)
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

            yield RowFile(path, names, tuple(file.schema_arrow.types), pieces(), "", lambda: done[0] / rows, places)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _damaged(path, error) from error
