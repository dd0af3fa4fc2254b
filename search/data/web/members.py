"""`opened`: the members of a ZIP or tar archive, each found harmless, before anything is unpacked."""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from search.errors import InputError, RefusedError

MAX_MEMBERS: Final = 1_000_000
MAX_RATIO: Final = 100
"""Unpacked bytes for each packed one, all members together."""
BROKEN: Final = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError,
    NotImplementedError, OverflowError, IndexError, KeyError,
)  # fmt: skip
"""How the libraries say that an archive is damaged, besides an `OSError` without a number."""

_FREE: Final = 16 << 20  # bytes that may be packed more tightly
_MOST_AT_ONCE: Final = 16 << 20
_MAX_PART, _MAX_NAME, _MAX_DEPTH = 255, 1000, 32
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_OPENERS: Final[tuple[tuple[bytes, Callable[[Path], Any]], ...]] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive, its name found harmless."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


@contextlib.contextmanager
def opened(path: Path, name: str) -> Iterator[list[Member] | None]:
    """Give the members of an archive, or None where the file is to be read as it is."""
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith(_ZIP):
        with zipfile.ZipFile(path) as archive:
            yield None if _is_a_file(archive.namelist()) else _zip_members(archive, name)
        return
    limit = max(_FREE, MAX_RATIO * path.stat().st_size)
    opener = next((opener for magic, opener in _OPENERS if start.startswith(magic)), None)
    with opener(path) if opener else path.open("rb") as stream:
        metered = _Metered(stream, limit, name)
        if not _is_tar(metered.read(512)):
            yield None
            return
        metered.seek(0)
        with tarfile.open(fileobj=metered, mode="r:") as tar:
            yield _tar_members(tar, name)


def _is_a_file(names: Sequence[str]) -> bool:
    """Tell whether a ZIP is some program's file: Excel, numpy, Word."""
    return "[Content_Types].xml" in names or "mimetype" in names or any(name.endswith(".npy") for name in names)


def _is_tar(block: bytes) -> bool:
    return block[257:262] == b"ustar"


def _zip_members(archive: zipfile.ZipFile, name: str) -> list[Member]:
    found = []
    infos = archive.infolist()
    _check_count(len(infos), name)
    for info in infos:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise hostile(name, info.filename, "is a link or a device")
        path = _harmless(info.filename, name)
        if path is not None and not info.is_dir():
            found.append(Member(path, info.file_size, functools.partial(archive.open, info)))
    packed = Path(str(archive.filename)).stat().st_size
    _check_size(sum(member.size for member in found), packed, name)
    return found


def _tar_members(tar: tarfile.TarFile, name: str) -> list[Member]:
    found = []
    for count, info in enumerate(tar, start=1):
        _check_count(count, name)
        if not (info.isreg() or info.isdir()):
            raise hostile(name, info.name, "is a link or a device")
        if info.issparse():  # what is not in the archive costs it nothing, and the disk its whole size
            raise hostile(name, info.name, "has holes")
        path = _harmless(info.name, name)
        if path is not None and not info.isdir():
            found.append(Member(path, info.size, functools.partial(_extractfile, tar, info)))
    return found


def _extractfile(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    return tar.extractfile(info) or io.BytesIO()


def _harmless(member: str, name: str) -> PurePosixPath | None:
    """Return the path of a member below its folder, or None for what systems add to archives on their own.

    Raises:
        RefusedError: It leads elsewhere, or is made to look like another.
    """
    plain = member.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if plain.startswith("/") or re.match(r"[A-Za-z]:", plain) or ".." in parts:
        raise hostile(name, member, "leads out of its folder")
    if not plain.isprintable() or any(0xD800 <= ord(letter) < 0xE000 for letter in plain):
        raise hostile(name, member, "has a name that no file should have")
    if len(plain) > _MAX_NAME or len(parts) > _MAX_DEPTH or any(len(part.encode()) > _MAX_PART for part in parts):
        raise hostile(name, member, "has a name that is too long")
    if not parts or parts[0] == "__MACOSX" or any(part.startswith(".") for part in parts):
        return None
    return PurePosixPath(*parts)


def _check_count(count: int, name: str) -> None:
    if count > MAX_MEMBERS:
        raise RefusedError(f"{name} holds more than {MAX_MEMBERS:,} members; it is not unpacked", field="data")


def _check_size(total: int, packed: int, name: str) -> None:
    if total > max(_FREE, MAX_RATIO * packed):
        raise _too_large(name)


def _too_large(name: str) -> RefusedError:
    return RefusedError(f"{name} unpacks to more than {MAX_RATIO} times its size; it is not unpacked", field="data")


def hostile(name: str, member: str, why: str) -> RefusedError:
    return RefusedError(f"{name} is not unpacked: its member {member[:60]!r} {why}", field="data")


def damaged(name: str, error: Exception) -> InputError:
    said = " ".join(str(error).split())[:80] or "it is cut short"
    return InputError(f"{name} is a damaged archive: {said}", field="data")


class _Metered(io.RawIOBase):
    """An unpacked stream that refuses to go on where only a trap does.

    Args:
        stream: Can be read and sought.
        limit: Bytes from its start.
        name: Of the archive.
    """

    def __init__(self, stream: IO[bytes], limit: int, name: str) -> None:
        self._stream, self._limit, self._name = stream, limit, name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > _MOST_AT_ONCE:
            raise RefusedError(f"{self._name} is not unpacked: a header in it is larger than any is", field="data")
        content = self._stream.read(size)
        self._check(self._stream.tell())
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        target = offset if whence == io.SEEK_SET else self._stream.tell() + offset
        self._check(target)
        return self._stream.seek(target)

    def tell(self) -> int:
        return self._stream.tell()

    def _check(self, position: int) -> None:
        if position > self._limit:
            raise _too_large(self._name)
