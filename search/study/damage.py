"""Where a journal is damaged, found wherever opening it would be refused: the `Findings`. Changes nothing."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalStorage

from search.errors import SurroundingsError
from search.study import bitflip, checksum, journal_file
from search.study.bitflip import Flip
from search.study.checksum import Checkpoint
from search.study.disk import cannot_read
from search.study.journal import JournalReader, replay
from search.study.journal_file import Vouched


@dataclass(frozen=True, slots=True)
class Damage:
    """The first record of a journal that cannot be trusted.

    Attributes:
        start: Byte at which it begins; what stands before is good.
        line: Its line, from 1.
        why: What is wrong with it.
        flip: The one bit that has changed, where the checksum proves that there is but one.
        right: The checkpoint as it was written, where it is the checksum file that has changed.
    """

    start: int
    line: int
    why: str
    flip: Flip | None = None
    right: Checkpoint | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What a journal holds.

    Attributes:
        size: Of the file, in bytes.
        end: Of its last good record, in bytes.
        records: How many stand before `end`.
        vouched: Bytes that its checksum vouches for.
        missing: Bytes that the checksum speaks of and that are no longer there.
        damage: Why what comes behind `end` is not read; None if it is just torn, or there is nothing.
        kept: What Optuna makes of the good records.
    """

    size: int
    end: int
    records: int
    vouched: int
    missing: int
    damage: Damage | None
    kept: JournalStorage

    @property
    def torn(self) -> int:
        """Bytes behind the last record, which opening cuts off."""
        return 0 if self.damage else self.size - self.end

    def trials(self, study: str) -> int:
        """Return how many trials of a study stand in the good records."""
        try:
            return self.kept.get_n_trials(self.kept.get_study_id_from_name(study))
        except KeyError:
            return 0


class _Beginning(JournalReader):
    """Reads a journal up to a byte, and asks no checksum."""

    def __init__(self, path: Path, end: int) -> None:
        self._path, self._end = path, end
        self._next = self._position = (0, 0)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the records that were not read before; that is all Optuna asks for."""
        number, start = self._next
        if start >= self._end:
            return
        for entry in journal_file.entries(self._path, number=number, start=start):
            if entry.end > self._end:
                return
            self._position, self._next = (entry.number, entry.start), (entry.number + 1, entry.end)
            if entry.number >= log_number_from:
                yield entry.record
            if entry.end == self._end:  # not to look at what comes behind
                return


def examine(path: Path) -> Findings:
    """Look at a whole journal, also while another process writes it.

    Raises:
        SurroundingsError: It cannot be read.
    """
    try:
        return _examine(path)
    except OSError as error:
        raise cannot_read(path, error) from error


def _examine(path: Path) -> Findings:
    checkpoints = checksum.load(path)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        known = journal_file.vouched(file, checkpoints, size)
    missing = max((one.offset for one in checkpoints), default=0) - size
    number, end, goes_on = _first_bad_line(path, size)
    damage = Damage(end, number + 1, "not a JSON record") if goes_on else None
    if known.misfit is not None and known.fit.offset <= end:
        damage = _changed(path, known, known.misfit, Damage(end, number + 1, "not a JSON record"))
        number, end = damage.line - 1, damage.start
    kept, refused = _replayed(path, end)
    if refused is not None:
        number, end, damage = refused.line - 1, refused.start, refused
    if damage is None and (gone := journal_file.lost_of(size + max(0, missing), size)):
        damage = Damage(end, number + 1, f"{gone} bytes that were synced are gone")
    if damage is None and size > end:
        try:
            journal_file.examine(path, checkpoints)
        except SurroundingsError:  # too much of it for a record that was torn
            damage = Damage(end, number + 1, "no record stands behind")
    size = max(size, end)  # its writer may have gone on meanwhile
    return Findings(size, end, number, known.fit.offset, max(0, missing), damage, kept)


def _first_bad_line(path: Path, size: int) -> tuple[int, int, bool]:
    """Return number and byte of the first line that is no record, and whether a record comes behind it."""
    number = start = 0
    with path.open("rb") as file:
        while start < size and (line := file.readline()):
            if journal_file.parse(line) is None:
                return number, start, journal_file.goes_on(line, file)
            number, start = number + 1, start + len(line)
    return number, start, False


def _changed(path: Path, known: Vouched, misfit: Checkpoint, bad_line: Damage) -> Damage:
    """Say where bytes are not as they were written, as narrowly as it can be proved.

    Args:
        path: Of the journal.
        known: What is vouched for.
        misfit: The next checkpoint.
        bad_line: The first line that is no record, perhaps behind all this.
    """
    start, end = known.fit.offset, misfit.offset
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(end - start)
    found = zlib.crc32(data, known.fit.crc32)
    if (right := _as_written(path, known.fit, misfit)) is not None:
        why = f"a bit of {checksum.path_of(path).name} has flipped"
        return Damage(start, known.records + 1, why, right=right)
    flip = bitflip.find(len(data), found ^ misfit.crc32)
    mended = _mended(data, flip) if flip is not None else b""
    if flip is not None and mended:
        before = mended.rfind(b"\n", 0, flip.offset) + 1
        line = known.records + mended.count(b"\n", 0, flip.offset) + 1
        at = Flip(start + flip.offset, flip.mask)
        return Damage(start + before, line, f"a bit of byte {at.offset} has flipped", at)
    if bad_line.start < end:  # bytes beside each other: those that break a line are the ones that changed
        return bad_line
    others = data.count(b"\n") - 1
    return Damage(start, known.records + 1, f"it or one of the {others} lines after it is not as written")


def _as_written(path: Path, fit: Checkpoint, misfit: Checkpoint) -> Checkpoint | None:
    """Return a checkpoint one bit away from `misfit` that the journal does fit; None if there is none."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for one in checksum.one_bit_away(path, misfit):
            if fit.offset < one.offset <= size:
                crc32, _ = checksum.digest(file, fit.offset, one.offset, fit.crc32)
                if crc32 == one.crc32:
                    return one
    return None


def _mended(data: bytes, flip: Flip) -> bytes:
    """Put a bit back; b"" if that does not make records of all lines, so that it was not that bit alone."""
    mended = bytearray(data)
    mended[flip.offset] ^= flip.mask
    lines = journal_file.split(bytes(mended))
    return bytes(mended) if all(journal_file.parse(line) is not None for line in lines) else b""


def _replayed(path: Path, end: int) -> tuple[JournalStorage, Damage | None]:
    """Return what the records before `end` make, and the first one of them that Optuna refuses."""
    beginning = _Beginning(path, end)
    try:
        return replay(path, beginning), None
    except SurroundingsError:
        number, start = beginning.position
    kept, _ = _replayed(path, start)
    return kept, Damage(start, number + 1, "no record of a study")
