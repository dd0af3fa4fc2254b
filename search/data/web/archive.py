"""`unpack`: the images, or the one table, in a ZIP or tar archive, which is believed nothing."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from search.data.fetch import Fetched, Say
from search.data.reference import Reference
from search.data.web import keep
from search.data.web.members import BROKEN, Member, damaged, hostile, opened
from search.errors import InputError, SurroundingsError
from search.paths import DataFolder, inside, sync_folder

IMAGES: Final = (".png", ".jpg", ".jpeg")
TABLES: Final = (".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson", ".json", ".feather", ".arrow", ".xlsx", ".npz")
_TEXTS: Final = (".data", ".dat", ".txt")  # tables where there is no other
_PACKED: Final = (".gz", ".bz2", ".xz", ".zst")

_PIECE: Final = 1 << 20


def fetch(reference: Reference, folder: Path, place: DataFolder, *, refresh: bool, say: Say) -> Fetched:
    """Unpack a local archive."""
    return Fetched(unpack(Path(reference.location), place), reference.with_options())


def unpack(path: Path, place: DataFolder, *, name: str | None = None, digest: str | None = None) -> Path:
    """Return the folder of images, the folder of a table's parts, or the one table that an archive holds.

    A file that is no archive, or is one that is read as it is (Excel, `.npz`, one packed table), is returned itself.
    The same archive is unpacked only once.

    Args:
        path: Of the file.
        place: Where to unpack it.
        name: Of the archive, for people; None for its file's.
        digest: Its sha256, if that is known.

    Raises:
        InputError: It is damaged, locked, or holds nothing that is known, or too much.
        RefusedError: A member leads out of the folder, is a link or a device, or it unpacks to far too much.
        SurroundingsError: There is no space for it.
    """
    name = name or path.name
    try:
        with opened(path, name) as members:
            if members is None or _is_one_table(members):
                return path
            digest = digest or keep.digest_of(path)
            target = place.snapshot(digest, ".files")
            if not target.is_dir():
                _extract(members, target, place, name)
    except BROKEN as error:
        raise damaged(name, error) from error
    except RuntimeError as error:  # of a ZIP
        raise InputError(f"{name} is locked with a password; unpack it first", field="data") from error
    except OSError as error:
        if error.errno is None:  # of a packer, not of the disk
            raise damaged(name, error) from error
        raise SurroundingsError(f"{name} cannot be unpacked: {error.strerror}", field="data") from error
    return find_inside(target)


def find_inside(folder: Path) -> Path:
    """Return what of an unpacked archive is the data: a table, or the folder with the images or parts."""
    while True:
        entries = sorted(folder.iterdir())
        if len(entries) != 1:
            return folder
        if entries[0].is_file():
            return folder if entries[0].suffix.lower() in IMAGES else entries[0]
        below = list(entries[0].iterdir())
        if any(entry.suffix.lower() in IMAGES and entry.is_file() for entry in below):
            return folder  # it is a class
        folder = entries[0]


def _is_one_table(members: Sequence[Member]) -> bool:
    """Tell whether it is a packed table, which is read as it is."""
    return len(members) == 1 and _suffix(members[0].path) not in IMAGES


def _chosen(members: Sequence[Member], name: str) -> list[Member]:
    """Return the members that are the data: the images, a table, or its parts.

    Raises:
        InputError: There is none, or more than one table.
    """
    images = [member for member in members if _suffix(member.path) in IMAGES]
    tables = [member for member in members if _suffix(member.path) in TABLES]
    if len(images) > len(tables):
        return images
    tables = tables or [member for member in members if _suffix(member.path) in _TEXTS]
    tables = tables or (list(members) if len(members) == 1 else [])
    kinds = {(member.path.parent, re.sub(r"\d+", "0", member.path.name)) for member in tables}
    if len(kinds) == 1:  # one table, or its parts: part-0.parquet, part-1.parquet
        return tables
    held = tables or members
    shown = ", ".join(str(member.path)[-30:] for member in held[:3]) + (", ..." if len(held) > 3 else "")
    if tables:
        raise InputError(
            f"{name} is an archive with {len(tables)} tables ({shown}); unpack it and name one",
            field="data",
        )
    raise InputError(f"{name} is an archive without a table or images; it has {shown or 'nothing'}", field="data")


def _suffix(path: PurePosixPath) -> str:
    plain = path.name.lower()
    for packed in _PACKED:
        plain = plain.removesuffix(packed)
    return PurePosixPath(plain).suffix


def _extract(members: Sequence[Member], target: Path, place: DataFolder, name: str) -> None:
    """Write the data of an archive into a new folder, whole or not at all."""
    chosen = _chosen(members, name)
    keep.prepare(place)
    total, free = sum(member.size for member in chosen), shutil.disk_usage(place.root).free
    if total > free:
        raise SurroundingsError(
            f"{name} unpacks to {total / 1e6:,.0f} MB, and {place.root} has {free / 1e6:,.0f} MB free", field="data"
        )
    making = keep.temporary(place, target.name)
    root = making / (re.sub(r"[^\w.-]", "_", name.partition(".")[0]).lstrip(".") or "data")
    try:
        root.mkdir(parents=True)
        for member in chosen:
            _write(member, inside(root, Path(*member.path.parts)), name)
        making.rename(target)
        sync_folder(place.root)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _write(member: Member, path: Path, name: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InputError(f"{name} holds {str(member.path)[:60]!r} twice", field="data") from error
    left = member.size
    with os.fdopen(fd, "wb") as file, member.open() as source:
        while piece := source.read(_PIECE):
            left -= len(piece)
            if left < 0:
                raise hostile(name, str(member.path), "is larger than it says")
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    if left:
        raise InputError(f"{name} is damaged: {str(member.path)[:60]!r} is cut short", field="data")
