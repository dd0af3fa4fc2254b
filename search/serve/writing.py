"""A file of predictions, written piece by piece and there only when it is whole: the `Sink`."""

from __future__ import annotations

import fcntl
import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from search.errors import InputError, SurroundingsError
from search.paths import sync_folder
from search.serve.files import PACKED, PARQUET_SUFFIXES, packing_of, plain_suffix

if TYPE_CHECKING:
    import pyarrow as pa

_SEPARATOR: Final = {".csv": ",", ".tsv": "\t"}

_FORMULA: Final = r"^[=+\-@\t\r]"
_NUMBER: Final = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


class Sink(Protocol):
    """Takes rows."""

    def add(self, piece: pa.RecordBatch) -> None:
        """Write rows; all pieces have the columns of the first one."""


def check_output(path: Path, source: Path) -> None:
    """Make sure that a file can be what predictions are written to.

    Raises:
        InputError: It is no CSV or Parquet file by its name, is a folder, or is what is read.
    """
    suffix = plain_suffix(path)
    packed = path.suffix.lower() in PACKED
    if "\0" in str(path) or not (suffix in _SEPARATOR or (suffix in PARQUET_SUFFIXES and not packed)) or path.is_dir():
        said = f"-o takes a .csv, .tsv (packed, too: .csv.gz) or .parquet file, got {str(path)[:80]!r}"
        raise InputError(said, field="--output")
    if path.exists() and path.resolve() == source.resolve():
        raise InputError(f"-o names the file that is read, {path.name}; name another one", field="--output")


@contextmanager
def writing(path: Path, schema: pa.Schema, *, safe: bool) -> Iterator[Sink]:
    """Write a file under a temporary name, and give it its own at the end; nothing is left if that is not reached.

    What a killed process left of the same file is cleared first.

    Args:
        path: Its folder is made, too.
        schema: Of the rows.
        safe: Of a text file: write a `'` before a text that a spreadsheet would take for a formula.

    Raises:
        SurroundingsError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path)
        is_parquet = plain_suffix(path) in PARQUET_SUFFIXES
        with temporary.open("wb") as held:
            with suppress(OSError):  # of a disk without locks
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with _parquet(temporary, schema) if is_parquet else _text(temporary, path, schema, safe=safe) as sink:
                yield sink
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        said = error.strerror or " ".join(str(error).split())[:100]
        raise SurroundingsError(f"{path} cannot be written: {said}", field="--output") from error
    finally:
        temporary.unlink(missing_ok=True)


def _clear(path: Path) -> None:
    """Remove the temporary files of a target that no process has locked: who wrote them was killed."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.[0-9]*.tmp"):
        with suppress(OSError), left.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


@contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Iterator[Sink]:
    from pyarrow import parquet

    class Table:
        def add(self, piece: pa.RecordBatch) -> None:
            writer.write_batch(piece)

    with parquet.ParquetWriter(path, schema) as writer:
        yield Table()


@contextmanager
def _text(temporary: Path, path: Path, schema: pa.Schema, *, safe: bool) -> Iterator[Sink]:
    """Quote only what needs it: Arrow's own writer quotes each text, or none."""
    import pyarrow as pa

    separator = _SEPARATOR[plain_suffix(path)]

    class Lines:
        def add(self, piece: pa.RecordBatch) -> None:
            if piece.num_rows:
                stream.write(_joined([_cells(one, separator, safe=safe) for one in piece.columns], separator))

    with pa.output_stream(str(temporary), compression=packing_of(path)) as stream:
        names = [_cells(pa.array([name], pa.string()), separator, safe=safe) for name in schema.names]
        stream.write(_joined(names, separator))
        yield Lines()


def _joined(cells: Sequence[pa.Array], separator: str) -> bytes:
    import pyarrow as pa
    from pyarrow import compute

    if len(cells) == 1:  # an empty line would be no row to most readers
        only = cells[0]
        cells = [compute.if_else(compute.equal(only, ""), pa.scalar('""', only.type), only)]
    rows = compute.binary_join_element_wise(*cells, separator)
    return ("\n".join(rows.to_pylist()) + "\n").encode()


def _cells(column: pa.Array, separator: str, *, safe: bool) -> pa.Array:
    """Return a column as the texts of cells; a missing value is an empty one."""
    import pyarrow as pa
    from pyarrow import compute

    if isinstance(column.type, pa.DictionaryType):
        column = column.dictionary_decode()
    if pa.types.is_string_view(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.string())
    is_text = pa.types.is_string(column.type)
    if pa.types.is_floating(column.type):
        column = compute.if_else(compute.is_nan(column), pa.scalar(None, column.type), column)
    texts = compute.fill_null(column if is_text else column.cast(pa.string()), "")
    if not is_text:
        return texts
    if safe:
        risky = compute.match_substring_regex(texts, _FORMULA)
        number = compute.match_substring_regex(texts, _NUMBER)
        marked = compute.binary_join_element_wise(pa.scalar("'", texts.type), texts, pa.scalar("", texts.type))
        texts = compute.if_else(compute.and_(risky, compute.invert(number)), marked, texts)
    needs = compute.match_substring_regex(texts, f'["\r\n{separator}]|^ | $')
    if not compute.any(needs).as_py():
        return texts
    doubled = compute.replace_substring(texts, '"', '""')
    quoted = compute.binary_join_element_wise(
        pa.scalar('"', texts.type), doubled, pa.scalar('"', texts.type), pa.scalar("", texts.type)
    )
    return compute.if_else(needs, quoted, texts)
