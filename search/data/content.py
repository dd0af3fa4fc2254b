"""What a file is by its content, whatever its name says, and the content of one that is packed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Final

from search.errors import InputError

FORMATS: Final = "CSV, TSV, JSON lines, Parquet, Feather or Excel file"


class Kind(StrEnum):
    """What a table is written in; the value is its name for people."""

    CSV = "CSV"
    JSON = "JSON"
    PARQUET = "Parquet"
    ARROW = "Feather"
    EXCEL = "Excel"

    @property
    def is_text(self) -> bool:
        return self in (Kind.CSV, Kind.JSON)


_TABLES: Final = ((b"PAR1", Kind.PARQUET), (b"ARROW1\0\0", Kind.ARROW), (b"\xff\xff\xff\xff", Kind.ARROW))
# The first bytes of what is no table, or of none that is read.
_OTHERS: Final = (
    (b"FEA1", "a Feather file of version 1; save it as Feather 2 or Parquet"),
    (b"ORC", "an ORC file; save it as Parquet"),
    (b"Obj\x01", "an Avro file; save it as Parquet"),
    (b"\x89HDF", "an HDF5 file; save the table as Parquet"),
    (b"\x93NUMPY", "an array of numpy; save it as CSV with a header"),
    (b"\x80\x04\x95", "a Python pickle, which is never loaded; save the table as Parquet"),
    (b"\x80\x05\x95", "a Python pickle, which is never loaded; save the table as Parquet"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file; save it as .xlsx or CSV"),
    (b"SQLite format 3", "an SQLite database; name it as sql:sqlite:///FILE?query=..."),
    (b"%PDF", "a PDF document; export the table as CSV"),
    (b"{\\rtf", "a text document; export the table as CSV"),
    (b"\x89PNG", "an image; images are a folder class/*.png"),
    (b"\xff\xd8\xff", "an image; images are a folder class/*.png"),
    (b"GIF8", "an image; images are a folder class/*.png"),
    (b"\x7fELF", "an executable, not a table"),
    (b"MZ\x90\0", "an executable, not a table"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself; try git lfs pull"),
    (b"<?xml", "an XML document; export the table as CSV"),
)
_TAR: Final = (257, b"ustar")
_ZIP: Final = b"PK\x03\x04"
_HTML: Final = re.compile(rb"\s*<(!doctype\s+html|html|head|body|table)\b", re.IGNORECASE)
_MARK: Final = b"\xef\xbb\xbf"
_JSON: Final = re.compile(rb'\s*(\[\s*(\{|\])|\{\s*("([^"\\]|\\.)*"\s*:|\}))')

_HEAD: Final = 2**16
_CHUNK: Final = 2**24
_SMALL: Final = 2**29  # bytes that any file may unpack to
_MOST: Final = 200  # times its packed size, beyond that


def unpack(path: Path, content: bytes) -> bytes:
    """Return `content`, or what it is a packed form of: gzip, bzip2, xz, zstandard, or a ZIP of one file.

    Raises:
        InputError: It is damaged, locked, holds several files, or unpacks to a size that only a trap has.
    """
    for start, what, opener in _PACKED:
        if content.startswith(start):
            return _inflated(path, what, opener, content)
    if not content.startswith(_ZIP):
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            member = _only_member(path, archive)
            return content if member is None else _inflated(path, "ZIP", lambda _: archive.open(member), content)
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError, OSError) as error:
        raise _damaged(path, "ZIP", error) from error


def kind_of(path: Path, content: bytes) -> Kind:
    """Return what unpacked content is.

    Raises:
        InputError: It is no table, or of a kind that is not read; the sentence says which.
    """
    for start, kind in _TABLES:
        if content.startswith(start):
            return kind
    if content.startswith(_ZIP):  # all others were unpacked
        return Kind.EXCEL
    plain = content[:_HEAD].removeprefix(_MARK)
    for start, what in _OTHERS:
        if plain.startswith(start):
            raise InputError(f"{path.name} is {what}", field="data")
    if content.startswith(_TAR[1], _TAR[0]):
        raise InputError(f"{path.name} is a tar archive; unpack it first", field="data")
    if any(content.startswith(start) for start, _, _ in _PACKED):
        raise InputError(f"{path.name} is packed twice; unpack it first", field="data")
    if _HTML.match(plain):
        raise InputError(f"{path.name} is an HTML page, not a table; was an error page downloaded?", field="data")
    named_json = any(suffix.lower() in (".json", ".jsonl", ".ndjson") for suffix in path.suffixes)
    return Kind.JSON if named_json or _JSON.match(plain) else Kind.CSV


def _zstandard(packed: IO[bytes]) -> IO[bytes]:
    import pyarrow as pa

    return pa.CompressedInputStream(packed, "zstd")  # type: ignore[no-any-return]


_PACKED: Final[tuple[tuple[bytes, str, Callable[[IO[bytes]], Any]], ...]] = (
    (b"\x1f\x8b", "gzip", gzip.open),
    (b"BZh", "bzip2", bz2.open),
    (b"\xfd7zXZ\0", "xz", lzma.open),
    (b"\x28\xb5\x2f\xfd", "zstandard", _zstandard),
)


def _inflated(path: Path, what: str, opener: Callable[[IO[bytes]], Any], content: bytes) -> bytes:
    limit = max(_SMALL, _MOST * len(content))
    pieces, size = [], 0
    try:
        with opener(io.BytesIO(content)) as stream:
            while piece := stream.read(_CHUNK):
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    raise InputError(
                        f"{path.name} unpacks to more than {_MOST} times its size, which no table does", field="data"
                    )
    except RuntimeError as error:  # of a ZIP
        raise InputError(f"{path.name} is locked with a password; unpack it first", field="data") from error
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise _damaged(path, what, error) from error
    return b"".join(pieces)


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo | None:
    """Return the one file of a ZIP, or None where the ZIP as a whole is a table."""
    names = archive.namelist()
    if "xl/workbook.xml" in names:
        if sum(member.file_size for member in archive.infolist()) > max(_SMALL, _MOST * _size(archive)):
            raise InputError(
                f"{path.name} unpacks to more than {_MOST} times its size, which no table does", field="data"
            )
        return None
    if any(name.endswith(".npy") for name in names):
        raise InputError(f"{path.name} is a file of arrays; a table is a {FORMATS}", field="data")
    for start, what in (("xl/", "binary Excel"), ("word/", "Word"), ("ppt/", "PowerPoint"), ("content.xml", "Office")):
        if any(name.startswith(start) for name in names):
            raise InputError(f"{path.name} is a file of {what}; save the table as .xlsx or CSV", field="data")
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith(("__MACOSX/", "."))
    ]
    if len(members) == 1:
        return members[0]
    shown = ", ".join(member.filename[:30] for member in members[:3]) + (", ..." if len(members) > 3 else "")
    holds = f"{len(members)} files ({shown})" if members else "no file"
    raise InputError(f"{path.name} is a ZIP with {holds}; unpack it and name one", field="data")


def _size(archive: zipfile.ZipFile) -> int:
    return sum(member.compress_size for member in archive.infolist())


def _damaged(path: Path, what: str, error: Exception) -> InputError:
    said = " ".join(str(error).split())[:100] or "it is cut short"
    return InputError(f"{path.name} is a damaged {what} file: {said}", field="data")
