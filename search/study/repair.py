"""Opens a journal for its writer, and cuts an end that a crash or a full disk left torn."""

from __future__ import annotations

import os
from pathlib import Path

from search.paths import sync_folder
from search.study import checksum, journal_file


def open_file(path: Path) -> int:
    """Open a journal for reading and appending, or make it; return the descriptor, which no child inherits."""
    made = not path.exists()
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    if made:
        sync_folder(path.parent)  # or a power cut could take the name away
    return fd


def repair(path: Path, fd: int) -> tuple[journal_file.Intact, tuple[str, ...]]:
    """Cut a torn end, which is kept in a file of its own.

    Args:
        path: Of the journal.
        fd: The journal, open for writing.

    Returns:
        What is intact, and what was done about the rest, one sentence each.

    Raises:
        SurroundingsError: The journal is damaged before its end.
        OSError: It cannot be written.
    """
    checkpoints = checksum.load(path)
    intact = journal_file.examine(path, checkpoints)
    notes = []
    torn = os.pread(fd, os.fstat(fd).st_size - intact.end, intact.end)
    if torn:
        kept = _keep(path, torn)
        os.ftruncate(fd, intact.end)
        os.fsync(fd)
        notes.append(f"{path.name} ended in a torn record; its {len(torn)} bytes are kept in {kept.name}")
    valid = [one for one in checkpoints if one.offset <= intact.end]
    if len(valid) < len(checkpoints) or checksum.is_long(valid):
        # A checkpoint behind the end would be held against the bytes that come to stand there.
        checksum.replace(path, valid)
    missing = max((one.offset for one in checkpoints), default=0) - intact.end - len(torn)
    if missing > 0:
        notes.append(f"{path.name} is {missing} bytes shorter than it was; the trials told last may be lost")
    return intact, tuple(notes)


def _keep(journal: Path, torn: bytes) -> Path:
    number = 1
    while True:
        path = journal.with_name(f"{journal.name}.torn-{number}")
        try:
            with path.open("xb") as file:
                file.write(torn)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            number += 1
        except OSError:
            path.unlink(missing_ok=True)
            raise
        else:
            return path
