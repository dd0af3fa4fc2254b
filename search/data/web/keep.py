"""What was fetched, each under its sha256 in the folder of its data set, and how far an unfinished fetch has come."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from search.data.fetch import Fetched
from search.data.reference import Reference
from search.errors import InputError, RefusedError, SurroundingsError
from search.paths import DataFolder, sync_folder, write_atomic

_SUFFIX_LENGTH: Final = 12


@contextmanager
def writing(place: DataFolder) -> Iterator[None]:
    """Tell in a sentence that the folder of a data set cannot be written, or is full.

    Raises:
        SurroundingsError: It cannot.
    """
    try:
        yield
    except OSError as error:
        said = error.strerror or str(error)[:80]
        raise SurroundingsError(f"{place.root} cannot be written: {said}", field="results") from error


def prepare(place: DataFolder) -> None:
    """Make the folder of a data set, and remove what a process that was killed left there half made.

    Raises:
        SurroundingsError: It cannot be written.
    """
    with writing(place):
        place.root.mkdir(parents=True, exist_ok=True)
        for left in place.root.glob(".*.tmp"):
            _remove(left)


def wanted_digest(reference: Reference) -> str | None:
    """Return the sha256 that the content must have, or None where any will do."""
    return reference.option("sha256") or reference.option("snapshot")


def find(place: DataFolder, digest: str) -> Path | None:
    """Return where the content with this sha256 lies, or None where it is not here."""
    return next(iter(sorted(place.root.glob(f"{digest}*"))), None)


def find_whole(place: DataFolder, digest: str) -> Path | None:
    """Return where the content with this sha256 lies, after a look at whether it still is that content.

    Raises:
        RefusedError: It was changed.
    """
    path = find(place, digest)
    if path is not None and path.is_file() and digest_of(path) != digest:
        raise RefusedError(
            f"{path} was changed: its content is not what its name says",
            field="data",
            hint="put back what it was, or delete it",
        )
    return path


def snapshot(reference: Reference, place: DataFolder, digest: str, *, hint: str) -> Path:
    """Return the snapshot with this sha256.

    Args:
        reference: That asks for it.
        place: Of its data set.
        digest: In 64 hex digits.
        hint: What to do where it is not here.

    Raises:
        InputError: It is not here.
        RefusedError: It was changed.
    """
    path = find_whole(place, digest)
    if path is None:
        raise InputError(f"{reference.name} has no snapshot {digest[:12]} in {place.root}", field="data", hint=hint)
    return path


@dataclass(frozen=True, slots=True)
class Made:
    """A data set that was put together from what came.

    Attributes:
        path: Of the finished file, under a temporary name.
        suffix: How its name is to end.
        target: The column that it predicts, or None.
        notes: What people should know of it.
    """

    path: Path
    suffix: str
    target: str | None = None
    notes: tuple[str, ...] = ()


def find_or_make(reference: Reference, place: DataFolder, make: Callable[[], Made], *, refresh: bool) -> Fetched:
    """Return a data set that is here already, or make it and keep it.

    Raises:
        SurroundingsError: Another content was asked for than is to be had today, or the folder cannot be written.
        RefusedError: What was kept has been changed.
    """
    state = read_state(place)
    known: dict[str, Any] = state.get("sets") or {}
    wanted = wanted_digest(reference)
    current = str(state.get("sha256") or "")
    digest = wanted or ("" if refresh else current)
    path = find_whole(place, digest) if digest else None
    if path is not None:
        facts = known.get(digest) or {}
        return Fetched(path, _pinned(reference, digest), facts.get("target"), tuple(facts.get("notes") or ()))
    prepare(place)
    with writing(place):  # what goes wrong on the way is a sentence already
        made = make()
    digest = digest_of(made.path)
    if wanted not in (None, digest):
        made.path.unlink()
        raise SurroundingsError(
            f"{reference.name} is no longer what it was: its sha256 is {digest}, not {wanted}", field="data"
        )
    path = keep(place, made.path, digest, made.suffix)
    known[digest] = {"target": made.target, "notes": list(made.notes)}
    write_state(place, {"source": f"{reference.kind}:{reference.location}", "sha256": digest, "sets": known})
    changed = (f"{reference.name} has changed since it was last fetched",) if current not in ("", digest) else ()
    return Fetched(path, _pinned(reference, digest), made.target, (*changed, *made.notes))


def keep(place: DataFolder, finished: Path, digest: str, suffix: str) -> Path:
    """Put a finished file where it belongs; it survives a power cut from here on.

    Raises:
        SurroundingsError: It cannot be.
    """
    path = place.snapshot(digest, suffix)
    with writing(place):
        with finished.open("rb") as file:
            os.fsync(file.fileno())
        finished.replace(path)
        sync_folder(place.root)
    return path


def suffix_of(name: str) -> str:
    """Return how the name of a file ends, for people: its content tells what it is."""
    suffixes = [part for part in PurePosixPath(name).suffixes if part[1:].isalnum() and part.isascii()]
    plain = "".join(suffixes[-2:]).lower()
    return plain if len(plain) <= _SUFFIX_LENGTH else ""


def temporary(place: DataFolder, what: str) -> Path:
    """Return a name for a file or folder in the making, which is removed if this process is killed."""
    return place.root / f".{what}.{os.getpid()}.tmp"


def digest_of(path: Path) -> str:
    """Return the sha256 of a file, in 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_state(place: DataFolder) -> dict[str, Any]:
    """Return what `write_state` wrote last; nothing, where that is not to be had."""
    try:
        state = json.loads(place.state.read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write_state(place: DataFolder, state: Mapping[str, Any]) -> None:
    """Keep what a later fetch has to know; no secret may be in it.

    Raises:
        SurroundingsError: It cannot be written.
    """
    with writing(place):
        write_atomic(place.state, json.dumps(state, indent=1) + "\n")


def _pinned(reference: Reference, digest: str) -> str:
    return reference.with_options(snapshot=digest)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
