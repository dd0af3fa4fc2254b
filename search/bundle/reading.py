"""The files of a bundle, read from its folder: plain files of known names and sizes, each of them once."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from search.errors import RefusedError, SurroundingsError

AGAIN: Final = "promote the model again, or take the bundle anew from where it came"
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@contextmanager
def opened(root: Path) -> Iterator[int]:
    """Open a folder, so that what is read from it comes from this one, even if another takes its name.

    Raises:
        SurroundingsError: It cannot be read.
    """
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    except OSError as error:
        raise SurroundingsError(f"{root} cannot be read: {error.strerror}", field="model") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def check_names(folder: int, root: Path, expected: Mapping[str, int]) -> None:
    """Make sure that a folder holds what is expected and nothing else.

    Args:
        folder: Opened.
        root: Its path, for people.
        expected: The largest size of each file, in bytes.

    Raises:
        RefusedError: A file is missing, is too many, or is too large.
    """
    there = set(os.listdir(folder))
    for name in sorted(there - set(expected)):
        raise _refused(root / name, "does not belong to the bundle")
    for name in expected:
        if name not in there:
            raise _refused(root / name, "is missing")


def read(folder: int, root: Path, name: str, largest: int) -> bytes:
    """Return the content of a file of an opened folder.

    Args:
        folder: Opened.
        root: Its path, for people.
        name: Of the file.
        largest: Bytes that it may have.

    Raises:
        RefusedError: It is no plain file, has another name as well, or is too large.
        SurroundingsError: It cannot be read.
    """
    path = root / name
    descriptor = _open(folder, path)
    try:
        found = os.fstat(descriptor)
        _check(found, path, largest)
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(found.st_size + 1)
    except OSError as error:
        raise SurroundingsError(f"{path} cannot be read: {error.strerror}", field="model") from error
    finally:
        os.close(descriptor)
    if len(content) != found.st_size:
        raise _refused(path, "changes while it is read")
    return content


def _open(folder: int, path: Path) -> int:
    try:
        return os.open(path.name, _FLAGS, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise _refused(path, "is missing") from error
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EMLINK):  # a link; a socket; a link, as FreeBSD says it
            raise _refused(path, "is not a plain file") from error
        raise SurroundingsError(f"{path} cannot be read: {error.strerror}", field="model") from error


def _check(found: os.stat_result, path: Path, largest: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _refused(path, "is not a plain file")
    if found.st_nlink != 1:  # who has the other name can change it
        raise RefusedError(f"{path} is a hard link", field="model", hint="copy the folder's files: cp -r")
    if found.st_size > largest:
        raise _refused(path, f"has {found.st_size:,} bytes, more than the {largest:,} it may have")


def _refused(path: Path, said: str) -> RefusedError:
    return RefusedError(f"{path} {said}", field="model", hint=AGAIN)
