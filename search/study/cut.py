"""Mends a damaged journal: puts a flipped bit back, or cuts it before the damage and keeps the rest aside.

At every moment the journal is either as it was found or whole, and nothing is taken from it that does not lie on disk
in a file of its own. The order is: copy, sync, move the folders of lost trials, cut, rewrite the checksum.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.errors import SurroundingsError
from search.paths import sync_folder
from search.study import checksum, damage, loss
from search.study.bitflip import Flip
from search.study.checksum import Checkpoint
from search.study.damage import Damage, Findings
from search.study.disk import cannot_write
from search.study.journal import JournalReader, replay
from search.study.lock import acquire
from search.study.loss import Loss
from search.study.repair import open_file, repair

_CHUNK: Final = 1 << 20
_SMALLEST_PART: Final = 4096
"""Bytes that a checkpoint of its own is worth."""


@dataclass(frozen=True, slots=True)
class Mended:
    """What was done to a journal.

    Attributes:
        damage: What was wrong, in the order in which it was mended.
        bytes: How many were cut off; 0 if a bit was put back or a checksum rewritten.
        kept_in: The file that has what was cut off or changed; "" if nothing was.
        trials_kept_in: The folder that has the folders of lost trials; "" if there were none.
        loss: What was cut off, by trials.
        notes: What opening would have done as well, a sentence each.
    """

    damage: tuple[Damage, ...] = ()
    bytes: int = 0
    kept_in: str = ""
    trials_kept_in: str = ""
    loss: Loss | None = None
    notes: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """Return what was done and lost."""
        told = [f"{one.why}: put back, nothing is lost" for one in self.damage if one.flip]
        told += [f"{one.why}: rewritten, nothing is lost" for one in self.damage if one.right]
        if self.loss is not None:
            kept = f", kept in {self.kept_in}" if self.kept_in else ""
            cut = f"cut {self.bytes:,} bytes ({self.loss.records} readable records){kept}; " if self.bytes else ""
            told.append(f"{cut}{self.loss.sentence()}")
        if self.trials_kept_in:
            told.append(f"the folders of trials that are no longer in it are kept in {self.trials_kept_in}")
        return [*told, *self.notes]


def mend(journal: Path, *, study: str) -> Mended | None:
    """Make a journal whole, so that it opens and can be written; return None if there was nothing to do.

    Args:
        journal: Its path.
        study: Name of the study in it.

    Raises:
        RefusedError: A living process holds the study.
        SurroundingsError: The disk is full, or cannot be written; the journal is as it was, or whole.
    """
    with acquire(journal.absolute().parent, study=study):
        found = damage.examine(journal)
        if found.damage is None and not found.torn and not found.missing:
            return None
        try:
            done = Mended()
            while (wrong := found.damage) is not None and (wrong.flip or wrong.right):
                done = _put_right(journal, done, found, wrong)
                found = damage.examine(journal)
            if found.damage is not None:
                done = _cut(journal, done, found, found.damage, study)
            fd = open_file(journal)
            try:
                _, notes = repair(journal, fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise cannot_write(journal, error) from error
        _check(journal)
    return replace(done, notes=notes)


def _put_right(journal: Path, done: Mended, found: Findings, wrong: Damage) -> Mended:
    """Put one bit back, in the journal or in the checksum beside it."""
    if wrong.flip is None:
        assert wrong.right is not None
        checkpoints = checksum.load(journal)
        del checkpoints[sum(one.offset <= found.vouched for one in checkpoints)]  # the next one is wrong
        checksum.replace(journal, sorted([*checkpoints, wrong.right], key=lambda one: one.offset))
        return replace(done, damage=(*done.damage, wrong))
    with journal.open("r+b") as file:
        file.seek(wrong.start)
        line = file.readline()
        kept = _keep(journal, [line])
        _flip(file, wrong.flip)
    return replace(done, damage=(*done.damage, wrong), kept_in=kept.name)


def _flip(file: BinaryIO, flip: Flip) -> None:
    file.seek(flip.offset)
    right = file.read(1)[0] ^ flip.mask
    file.seek(flip.offset)
    file.write(bytes([right]))  # one byte: written or not
    file.flush()
    os.fsync(file.fileno())


def _cut(journal: Path, done: Mended, found: Findings, wrong: Damage, study: str) -> Mended:
    lost = loss.between(found.kept, study, _lines(journal, wrong.start))
    kept = _keep(journal, _chunks(journal, wrong.start)).name if found.size > wrong.start else ""
    folders = _stale_folders(journal.parent / "trials", lost.kept)
    aside = journal.with_name(f"trials.{kept.rpartition('.')[2] or _last_cut(journal)}")
    for folder in folders:  # or a later trial of that number would go on from its checkpoint
        aside.mkdir(exist_ok=True)
        folder.rename(aside / folder.name)
    gone = tuple(sorted({*lost.gone, *(int(folder.name) for folder in folders)}))
    with journal.open("r+b") as file:
        file.truncate(wrong.start)
        os.fsync(file.fileno())
    _vouch(journal)  # a crash before this leaves checkpoints behind the end, which opening drops
    return replace(
        done,
        damage=(*done.damage, wrong),
        bytes=found.size - wrong.start,
        kept_in=kept,
        trials_kept_in=aside.name if folders else "",
        loss=replace(lost, gone=gone),
    )


def _last_cut(journal: Path) -> str:
    """Return what names of the last cut end in, which this one goes on with: its bytes are kept, or lost."""
    numbers = [path.name.rpartition("-")[2] for path in journal.parent.glob(f"{journal.name}.cut-*")]
    return f"cut-{max((int(number) for number in numbers if number.isdecimal()), default=1)}"


def _stale_folders(trials: Path, kept: int) -> list[Path]:
    """Return the folders of trials whose numbers will be given again."""
    try:
        folders = [folder for folder in trials.iterdir() if folder.name.isascii() and folder.name.isdecimal()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(folder for folder in folders if int(folder.name) >= kept)


def _keep(journal: Path, data: Iterator[bytes] | list[bytes]) -> Path:
    """Copy bytes to a file of their own, synced; return it. It may be there already, from a try that was cut short."""
    temporary = journal.with_name(f".{journal.name}.cut.tmp")
    try:
        with temporary.open("wb") as file:
            file.writelines(data)
            file.flush()
            os.fsync(file.fileno())
        number = 1
        while True:
            path = journal.with_name(f"{journal.name}.cut-{number}")
            try:
                os.link(temporary, path)  # unlike a rename, it never replaces
                break
            except FileExistsError:
                if _same(temporary, path):
                    break
                number += 1
        sync_folder(journal.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _same(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        return all(chunk == second.read(_CHUNK) for chunk in iter(lambda: first.read(_CHUNK), b""))


def _chunks(journal: Path, start: int) -> Iterator[bytes]:
    with journal.open("rb") as file:
        file.seek(start)
        yield from iter(lambda: file.read(_CHUNK), b"")


def _lines(journal: Path, start: int) -> Iterator[bytes]:
    with journal.open("rb") as file:
        file.seek(start)
        yield from file


def _vouch(journal: Path) -> None:
    """Keep the checkpoints that the journal fits, and vouch for all of it, in parts."""
    known = {one.offset: one.crc32 for one in checksum.load(journal)}
    found: list[Checkpoint] = []
    crc32 = at = 0
    part = max(_SMALLEST_PART, journal.stat().st_size // checksum.KEPT)
    for line in _lines(journal, 0):
        crc32, at = zlib.crc32(line, crc32), at + len(line)
        if known.get(at) == crc32 or at - (found[-1].offset if found else 0) >= part:
            found.append(Checkpoint(at, crc32))
    if at and (not found or found[-1].offset < at):
        found.append(Checkpoint(at, crc32))
    checksum.replace(journal, found)


def _check(journal: Path) -> None:
    """Open the journal as a sweep does, and as plain Optuna does.

    Raises:
        SurroundingsError: It does not open.
    """
    replay(journal, JournalReader(journal))
    try:
        JournalStorage(JournalFileBackend(str(journal)))
    except Exception as error:
        raise SurroundingsError(f"{journal} was mended, but Optuna does not open it: {error}") from error
