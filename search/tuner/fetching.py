"""How a study comes home from a cluster: whole or not at all, from where it was cut, and again once it has grown."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from search import copied
from search.errors import InputError, RefusedError, SurroundingsError
from search.paths import StudyFolder, check_study_name, inside, sync_folder
from search.study.disk import cannot_write
from search.tuner.errands import CHUNK_BYTES

_SPARE_BYTES: Final = 20_000_000

_MOST_PLAN_BYTES: Final = 100_000_000
_LAST: Final = ("study.journal.sum", "study.journal")
"""Files that come last, in this order, of a study that runs: nothing else is then newer than the journal."""


class Line(Protocol):
    """What leads to a home.

    Attributes:
        address: Of its cluster, as the user wrote it.
    """

    @property
    def address(self) -> str: ...

    def call(self, method: str, *arguments: object) -> Any:
        """Call a method of the home, and return its answer."""
        ...


def fetch(away: Line, study: str, results: Path, *, refresh: bool = False) -> StudyFolder:
    """Bring a study home; what an earlier fetch brought before it was cut off is not sent again.

    Args:
        away: Leads to its home.
        study: Its name, or the start of it.
        results: Where it is to lie.
        refresh: Bring an earlier copy up to date.

    Raises:
        InputError: There is no such study; or nothing to refresh.
        RefusedError: There is a folder of that name here, or one that is no copy.
        SurroundingsError: The disk here is full.
    """
    name = check_study_name(str(away.call("name_of", study)))
    folder = StudyFolder.of(results, name)
    _check(folder, refresh=refresh)
    try:
        results.mkdir(parents=True, exist_ok=True)
        with _alone(results, name) as coming:
            brought = _bring(away, name, coming, before=folder if refresh else None)
            with _read(name):
                copied.settle(StudyFolder(coming), folder, brought, address=away.address)
            _put_in_place(coming, folder.root)
    except OSError as error:
        raise cannot_write(Path(error.filename or folder.root), error) from error
    return folder


def _check(folder: StudyFolder, *, refresh: bool) -> None:
    if not refresh:
        if folder.root.exists():
            is_copy = copied.origin(folder) is not None
            hint = "--refresh brings it up to date" if is_copy else "move it away, or choose another --results"
            raise RefusedError(f"{folder.root} exists already", field="STUDY", hint=hint)
        return
    if not folder.exists():
        raise InputError(f"no copy of study {folder.name!r} in {folder.root.parent}", hint="leave out --refresh")
    if copied.origin(folder) is None:
        raise RefusedError(
            f"{folder.root} is no copy: what it holds would be lost", field="--refresh", hint="choose another --results"
        )


@contextmanager
def _alone(results: Path, study: str) -> Iterator[Path]:
    """Have the folder that a study comes to, which no other fetch uses.

    Raises:
        RefusedError: One does.
    """
    coming = StudyFolder(results / study).coming
    coming.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(coming, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(f"study {study!r} is being fetched already", field="STUDY") from None
        yield coming
    finally:
        os.close(fd)


def _bring(away: Line, study: str, coming: Path, before: StudyFolder | None) -> tuple[str, ...]:
    """Bring the files of a study, and return their names."""
    plan = _whole(away, study, "plan.json")
    wanted = dict(_listed(away.call("files", study)))
    with _read(study):
        needs_rows = copied.needs_rows(plan)
    if not needs_rows:
        wanted = {name: size for name, size in wanted.items() if not name.startswith("rows/")}
    if before is not None:
        _begin_with(before.root, coming, set(wanted))
    _remove_others(coming, set(wanted), kept=set() if before is None else _own(before))
    known: Mapping[str, str] = away.call("digests", study, dict(_there(coming, wanted)))
    missing = sum(size - (_size(inside(coming, name)) if name in known else 0) for name, size in wanted.items())
    free = shutil.disk_usage(coming).free
    if missing + _SPARE_BYTES > free:
        said = (
            f"study {study!r} takes {missing / 1e6:,.0f} MB more, and {free / 1e6:,.0f} MB are free in {coming.parent}"
        )
        raise SurroundingsError(said, field="--results", hint="free some, or choose another --results")
    for name in sorted(wanted, key=lambda one: (one in _LAST and 1 + _LAST.index(one), one)):
        path = inside(coming, name)
        whole = known.get(name) == _digest(path) if name in known else False
        _file(away, study, name, wanted[name], path, go_on=whole)
    (coming / "plan.json").unlink(missing_ok=True)  # it may be a link of the copy before
    (coming / "plan.json").write_bytes(plan)
    return tuple(sorted({*wanted, "plan.json"}))


def _file(away: Line, study: str, name: str, size: int, path: Path, *, go_on: bool) -> None:
    """Bring a file as long as it was when it was listed, from where it ends here if its beginning is the same."""
    begun = _size(path) if go_on else 0
    if go_on and begun == size:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.coming")  # never into a file that an earlier copy shares by a link
    if go_on:
        shutil.copyfile(path, part)
    with part.open("ab" if go_on else "wb") as file:
        while file.tell() < size:
            data: bytes | None = away.call("content", study, name, file.tell())
            if not data:
                break  # it was replaced by a shorter one, or is gone: the next refresh knows
            file.write(data[: size - file.tell()])
            if file.tell() < size:  # what has come is kept if this is cut off
                file.flush()
    part.replace(path)


@contextmanager
def _read(study: str) -> Iterator[None]:
    """Say that a plan cannot be read.

    Raises:
        SurroundingsError: It cannot.
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SurroundingsError(f"the plan of study {study!r} on the cluster is damaged", field="STUDY") from error


def _listed(sizes: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Yield the files of a study that are to come.

    Raises:
        SurroundingsError: The cluster lists what can be none.
    """
    for name, size in sizes.items():
        if not (isinstance(name, str) and isinstance(size, int) and size >= 0):
            raise SurroundingsError(f"the cluster lists a file {str(name)[:60]!r} that can be none", field="--address")
        if name != "plan.json" and not name.startswith(copied.STAY):
            yield name, size


def _whole(away: Line, study: str, name: str) -> bytes:
    parts = list[bytes]()
    while data := away.call("content", study, name, sum(map(len, parts))):
        parts.append(data)
        if sum(map(len, parts)) > _MOST_PLAN_BYTES:
            raise SurroundingsError(f"the cluster sends a {name} without an end", field="--address")
    return b"".join(parts)


def _begin_with(before: Path, coming: Path, wanted: set[str]) -> None:
    """Have the files of the copy before, by links: nothing is ever written into them."""
    own = _own(StudyFolder(before))
    for path in sorted(before.rglob("*")):
        name = path.relative_to(before).as_posix()
        if path.is_file() and not path.is_symlink() and name in wanted | own:
            target = coming / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            os.link(path, target)


def _own(folder: StudyFolder) -> set[str]:
    """Return the files of a copy that were made here: a report, a promotion."""
    came = copied.brought(folder)
    names = (path.relative_to(folder.root).as_posix() for path in folder.root.rglob("*") if path.is_file())
    return {name for name in names if name not in came and not name.startswith("study.lock")}


def _remove_others(coming: Path, wanted: set[str], kept: set[str]) -> None:
    for path in sorted(coming.rglob("*"), reverse=True):
        name = path.relative_to(coming).as_posix()
        if path.is_symlink() or (path.is_file() and name not in wanted | kept):
            partial = name.removesuffix(".coming")
            if partial in wanted and not path.is_symlink() and partial != name:
                path.replace(path.with_name(Path(partial).name))  # of a fetch that was cut off: it goes on from there
            else:
                path.unlink(missing_ok=True)
        elif path.is_dir():
            with suppress(OSError):
                path.rmdir()


def _there(coming: Path, wanted: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Yield what is here already of the files that are wanted, with how much of each."""
    for name, size in wanted.items():
        here = _size(inside(coming, name))
        if 0 < here <= size:
            yield name, here


def _put_in_place(coming: Path, root: Path) -> None:
    old = StudyFolder(root).old
    shutil.rmtree(old, ignore_errors=True)
    if root.exists():
        root.rename(old)
    coming.rename(root)
    root.chmod(0o700)
    sync_folder(root.parent)
    shutil.rmtree(old, ignore_errors=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _digest(path: Path) -> str:
    digest: Any = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            digest.update(data)
    return str(digest.hexdigest())
