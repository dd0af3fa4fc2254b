"""A file as raw columns: its content, not its name, says what it is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from search.data.csvfile import check_names, read_csv, unnamed
from search.data.reference import Reference
from search.errors import InputError

_PARQUET = b"PAR1"


def read_table(path: Path, reference: Reference) -> pd.DataFrame:
    """Read a table as the options of its reference say.

    Raises:
        InputError: It cannot be read; the sentence names the file and, where there is one, the line or column.
    """
    kind = "a folder" if path.is_dir() else "a file of arrays" if path.suffix.lower() == ".npz" else ""
    if not kind and not path.is_file():
        kind = "a pipe or a device"  # it would be empty, or without end, for the next process that reads it
    if kind:
        raise InputError(f"{path.name} is {kind}; a table is a CSV, TSV or Parquet file", field="data")
    encoding = reference.option("encoding")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", field="data") from error
    if not content.startswith(_PARQUET):
        if path.suffix.lower() in (".parquet", ".pq"):
            raise InputError(f"{path.name} is no Parquet file: it does not start with PAR1", field="data")
        return read_csv(path, content, encoding=encoding)
    if encoding:
        raise InputError(f"{path.name} is Parquet, which takes no encoding=", field="data")
    return _read_parquet(path, content)


def _read_parquet(path: Path, content: bytes) -> pd.DataFrame:
    """Read a Parquet file; what pandas noted in it about its index hides no column.

    Raises:
        InputError: It is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content))
        table.validate(full=True)  # text that is not UTF-8 would only show when it is used
        names = [str(name).strip() or unnamed(position) for position, name in enumerate(table.column_names, start=1)]
        check_names(path, names)
        return table.rename_columns(names).to_pandas(ignore_metadata=True)  # type: ignore[no-any-return]
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        said = " ".join(str(error).split())[:120]
        raise InputError(f"{path.name} is a damaged Parquet file: {said}", field="data") from error
