"""The running checksum beside a journal: how far it was written, and what stood there.

`study.journal.sum` holds one JSON line per sync, `{"offset": 3401, "crc32": 912}`: the first 3401 bytes have that
crc32. It may be missing or end early; then it vouches for less. Whatever comes behind its last line is not vouched for.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

from search.paths import write_atomic

_CHUNK: Final = 1 << 20
KEPT: Final = 500
"""Lines kept when a journal is opened: enough to find where it is damaged, and to survive the loss of its end."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A prefix of the journal, in bytes, and the crc32 of it."""

    offset: int
    crc32: int


def path_of(journal: Path) -> Path:
    """Return the name of the file that goes with `journal`."""
    return journal.with_name(f"{journal.name}.sum")


def load(journal: Path) -> list[Checkpoint]:
    """Return all readable lines, by rising offset; [] without the file."""
    try:
        lines = path_of(journal).read_bytes().splitlines()
    except OSError:
        return []
    found: dict[int, Checkpoint] = {}
    for line in lines:
        if (one := _parse(line)) is not None:  # else torn by a power cut; the other lines stand
            found[one.offset] = one
    return [found[offset] for offset in sorted(found)]


def add(journal: Path, checkpoint: Checkpoint) -> None:
    """Vouch for a longer prefix, which is on disk already."""
    with path_of(journal).open("ab") as file:
        file.write(_line(checkpoint))


def replace(journal: Path, checkpoints: Sequence[Checkpoint]) -> None:
    """Keep these alone, and of a long list the last ones, and some that lie evenly before them."""
    write_atomic(path_of(journal), b"".join(_line(one) for one in _thinned(checkpoints)))


def is_long(checkpoints: Sequence[Checkpoint]) -> bool:
    """Tell whether `replace` would make the file much shorter."""
    return len(checkpoints) > 2 * KEPT


def one_bit_away(journal: Path, checkpoint: Checkpoint) -> Iterator[Checkpoint]:
    """Yield what a checkpoint would say if one bit of its line were another."""
    for line in path_of(journal).read_bytes().splitlines():
        if _parse(line) != checkpoint:
            continue
        for index in range(len(line)):
            for bit in range(8):
                changed = line[:index] + bytes([line[index] ^ 1 << bit]) + line[index + 1 :]
                if (one := _parse(changed)) is not None and one != checkpoint:
                    yield one


def digest(file: BinaryIO, start: int, end: int, crc32: int) -> tuple[int, int]:
    """Go on with `crc32` over the bytes from `start` to `end`; return it and the number of lines that end there."""
    lines = 0
    file.seek(start)
    while start < end:
        chunk = file.read(min(_CHUNK, end - start))
        if not chunk:
            break
        crc32 = zlib.crc32(chunk, crc32)
        lines += chunk.count(b"\n")
        start += len(chunk)
    return crc32, lines


def _thinned(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Leave out what is more than `KEPT`, so that the parts between those left are short everywhere."""
    if len(checkpoints) <= KEPT:
        return [*checkpoints]
    half = KEPT // 2
    older, last = checkpoints[:-half], [*checkpoints[-half:]]
    part = older[-1].offset / half
    return [one for before, one in pairwise(older) if before.offset // part < one.offset // part] + last


def _parse(line: bytes) -> Checkpoint | None:
    try:
        one = Checkpoint(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    return one if type(one.offset) is int and type(one.crc32) is int else None


def _line(checkpoint: Checkpoint) -> bytes:
    return b'{"offset":%d,"crc32":%d}\n' % (checkpoint.offset, checkpoint.crc32)
