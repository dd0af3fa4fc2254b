"""A study's folder and what an object store has of it, brought to the same: `send` and `bring`."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from search.errors import InputError, RefusedError, SurroundingsError
from search.paths import StudyFolder, check_study_name, inside, sync_folder
from search.remote import manifest
from search.remote.lease import Lease
from search.remote.manifest import Entry, Manifest
from search.remote.place import Place
from search.study.disk import cannot_write

_TRIES: Final = 3
_TRUTH: Final = ("plan.json", "study.journal")
"""Files that say what a study is; the others can be made of them, or go with them."""


def studies(place: Place) -> list[str]:
    """Return the names of all studies of a place."""
    return [name for name in place.names() if manifest.NAME in place.names(name)]


def send(place: Place, folder: StudyFolder, beat: Callable[[], None] = lambda: None) -> Manifest:
    """Have a place know of a study's files as they are; the manifest, which makes them so, comes last.

    Parts that are there already stay: of a journal that has grown only its end travels. Parts that neither this
    manifest nor the one before names are removed.

    Args:
        place: Where to.
        folder: The study's.
        beat: Called before each part, and before the manifest.

    Raises:
        RefusedError: Another machine has sent it since.
        SurroundingsError: The place does not answer.
    """
    there = manifest.read(place, folder.name) or Manifest()
    mine = manifest.last(folder, there) or Manifest()
    if there.version != mine.version:
        raise _differs(place, folder)
    have = set(there.parts)
    for _ in range(_TRIES):
        try:
            files = {name: _sent(place, folder, path, have, beat) for name, path in _files(folder)}
            break
        except FileNotFoundError:  # a checkpoint was replaced meanwhile: its two files are to be of one time
            continue
    else:
        raise SurroundingsError(f"the files of study {folder.name!r} change too fast to be sent", field="--results")
    if not mine.whole:  # a copy without checkpoints: those of the place stay
        files = {**{name: one for name, one in there.files.items() if _is_heavy(name)}, **files}
    if files == there.files and there.version:
        return there
    now = Manifest(there.version + 1, files, id=uuid.uuid4().hex)
    beat()
    manifest.note(folder, replace(mine, sending=now.id))
    manifest.write(place, folder.name, now)
    manifest.note(folder, replace(now, whole=mine.whole))
    kept = now.parts | there.parts
    place.remove(f"{folder.name}/parts/{part}" for part in place.names(f"{folder.name}/parts") if part not in kept)
    return now


def bring(place: Place, study: str, results: Path, *, whole: bool) -> StudyFolder:
    """Bring a study of a place to a results folder, where it may be already; every part is checked.

    What is newer here, since the place could not be reached, stays.

    Args:
        place: Has it.
        study: Its name.
        results: The results folder.
        whole: Checkpoints and rows, too; without them it can be looked at.

    Raises:
        InputError: There is no such study.
        RefusedError: It went on here and elsewhere.
        SurroundingsError: The place does not answer, or has damaged parts.
    """
    folder = StudyFolder(results / check_study_name(study))
    for attempt in range(_TRIES):
        there = manifest.read(place, study)
        mine = manifest.last(folder, there)
        if there is None:
            raise InputError(f"no study {study!r} at {place.url}", field="study", hint="`sweep list` shows all")
        if folder.exists() and (mine is None or (mine.version != there.version and is_ahead(folder, mine))):
            raise _differs(place, folder)
        if mine is not None and mine.version == there.version and (mine.whole or not whole):
            return folder
        whole_now = whole or bool(mine and mine.whole)
        try:
            _bring(place, folder, there, whole=whole_now)
        except FileNotFoundError:  # it was sent anew meanwhile, and then once more
            if attempt == _TRIES - 1:
                raise SurroundingsError(
                    f"parts of study {study!r} are missing at {place.url}", field="--results"
                ) from None
            continue
        except OSError as error:
            raise cannot_write(folder.root, error) from error
        manifest.note(folder, replace(there, whole=whole_now))
        return folder
    raise AssertionError("not reached")


def send_rest(place: Place, folder: StudyFolder) -> None:
    """Send what a sweep has done since the place was out of reach, if it was, and nobody else runs the study.

    Raises:
        RefusedError: Another machine runs it, or has gone on with it.
        SurroundingsError: The place does not answer.
    """
    mine = manifest.last(folder, manifest.read(place, folder.name))
    if mine is None or not is_ahead(folder, mine):
        return
    lease = Lease(place, folder.name, os.getpid())
    lease.take()
    try:
        send(place, folder)
    finally:
        lease.release()


def is_ahead(folder: StudyFolder, mine: Manifest) -> bool:
    """Tell whether a study went on here since it was sent or brought."""
    for name in _TRUTH:
        path = folder.root / name
        if path.exists() and (name not in mine.files or Entry.of(path) != mine.files[name]):
            return True
    return False


def _bring(place: Place, folder: StudyFolder, there: Manifest, *, whole: bool) -> None:
    wanted = {name: one for name, one in there.files.items() if whole or not _is_heavy(name)}
    for name in sorted(
        wanted, key=lambda one: (one in _TRUTH, one == "plan.json", one)
    ):  # without it there is no study
        path = inside(folder.root, name)
        if path.is_file() and path.stat().st_size == wanted[name].size and Entry.of(path) == wanted[name]:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        coming = path.with_name(f".{path.name}.coming")
        with coming.open("wb") as file:
            for part in wanted[name].parts:
                file.write(_part(place, folder.name, part))
            file.flush()
            os.fsync(file.fileno())
        coming.replace(path)
        sync_folder(path.parent)
    for name, path in list(_files(folder)):
        if name not in wanted and (whole or not _is_heavy(name)):
            path.unlink(missing_ok=True)


def _part(place: Place, study: str, part: str) -> bytes:
    content = place.read(f"{study}/parts/{part}")
    if content is None:
        raise FileNotFoundError(part)
    if hashlib.sha256(content).hexdigest() != part:
        raise SurroundingsError(f"a part of study {study!r} at {place.url} is damaged: {part[:16]}", field="--results")
    return content


def _sent(place: Place, folder: StudyFolder, path: Path, have: set[str], beat: Callable[[], None]) -> Entry:
    """Send the parts of a file that a place lacks; as long as the file is now."""
    digests, size = list[str](), 0
    for part in manifest.parts_of(path):
        digest = hashlib.sha256(part).hexdigest()
        if digest not in have:
            beat()
            place.write(f"{folder.name}/parts/{digest}", part)
            have.add(digest)
        digests.append(digest)
        size += len(part)
    return Entry(size, tuple(digests))


def _files(folder: StudyFolder) -> Iterator[tuple[str, Path]]:
    """Yield what of a study's folder is sent: not what is about this machine, nor what is being written."""
    for path in sorted(folder.root.rglob("*")):
        name = path.relative_to(folder.root).as_posix()
        hidden = any(part.startswith(".") for part in path.relative_to(folder.root).parts)
        if not hidden and not name.startswith("study.lock") and path.is_file() and not path.is_symlink():
            yield name, path


def _is_heavy(name: str) -> bool:
    """Tell whether a file is needed to go on with a study, and not to look at it."""
    return "/checkpoint/" in name or name.startswith("rows/")


def _differs(place: Place, folder: StudyFolder) -> RefusedError:
    return RefusedError(
        f"study {folder.name!r} went on here and elsewhere: {place.url} has another",
        field="study",
        hint=f"move {folder.root} away to take the one there",
    )
