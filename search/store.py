"""`Store`: folders by key, each made once over all processes, never changed, the least recently used thrown out first.

The kernel's lock on a file by the key makes the others wait; it is free again when the process that makes the
folder is killed, and the next one makes it. A folder appears whole, by a rename. Nothing is synced: an entry that was
written before the machine was last started is believed only if its checksums still hold.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, TypeVar

How = Literal["found", "waited", "moved", "made"]
Make = Callable[[Path], None]
Filled = TypeVar("Filled")

_FACTS: Final = "entry.json"
_SHARE: Final = 0.2  # of the disk's free space
_CHUNK: Final = 2**24
_BOOTS: Final = 16  # machines that share a disk have one each

# A forked process would hold the locks of the one that it came from for as long as it lives.
_held: set[int] = set()
os.register_at_fork(after_in_child=lambda: _let_go())


class Elsewhere(Protocol):
    """The same store on other machines."""

    def bring(self, key: str, folder: Path) -> bool:
        """Fill `folder` with the files of an entry that another machine has, waiting for one that is being made there.

        Returns:
            False: nobody has it, and it is now ours to make; `made` or `failed` has to follow.
        """

    def made(self, key: str) -> None:
        """Say that it is here now."""

    def failed(self, key: str) -> None:
        """Say that it will not be made here."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A folder of the store.

    Attributes:
        path: Its files; they may be mapped into memory, and stay mapped when the store throws the folder out.
        how: Was it there, waited for while another process made it, moved here from another machine, or made now.
        cost_s: Seconds that it took to make.
    """

    path: Path
    how: How
    cost_s: float


class Store:
    """Folders by key.

    Args:
        root: Where they lie.
        limit_bytes: What they may take in all; None for a fifth of the space that is free, counting their own as free.
            The newest entry is kept even where it alone takes more.
        elsewhere: Other machines, or None.
    """

    def __init__(self, root: Path, limit_bytes: int | None = None, *, elsewhere: Elsewhere | None = None) -> None:
        self.root = root
        self._limit = limit_bytes
        self._elsewhere = elsewhere

    @property
    def identity(self) -> str:
        """A name of its own: two machines that see the same one share a disk."""
        path = self.root / ".identity"
        with suppress(FileNotFoundError):
            return path.read_text()
        self.root.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            temporary = path.with_name(f".identity.{uuid.uuid4().hex}")
            temporary.write_text(uuid.uuid4().hex)
            try:
                os.link(temporary, path)  # unlike a rename, it never replaces
            finally:
                temporary.unlink()
        return path.read_text()

    def get(self, key: str, make: Make) -> Entry:
        """Return the entry of `key`; `make` fills its folder if nobody has done so before.

        Args:
            key: Hexadecimal digits.
            make: Writes files into the empty folder that it is given; if it raises, nothing is kept.

        Raises:
            OSError: The store cannot be written.
        """
        entry = self.find(key)
        if entry is not None:
            return entry
        with self._locked(key):
            entry = self.find(key)
            if entry is not None:
                return Entry(entry.path, "waited", entry.cost_s)
            made = self._fill(key, make)
        self._clear()
        self._shrink(keep=key)
        return made

    def find(self, key: str) -> Entry | None:
        """Return the entry of `key` if it is here and whole; that counts as a use of it."""
        folder = self.root / key
        try:
            facts = json.loads((folder / _FACTS).read_text())
            sizes = {name: (folder / name).stat().st_size for name in facts["files"]}
            if sizes != {name: size for name, (size, _) in facts["files"].items()}:
                return None
            if _boot() not in facts["boots"]:
                if any(_checksum(folder / name) != check for name, (_, check) in facts["files"].items()):
                    return None
                with suppress(OSError):
                    _write_facts(folder, {**facts, "boots": [*facts["boots"], _boot()][-_BOOTS:]})
            with suppress(OSError):  # of a store that can only be read
                os.utime(folder / _FACTS)
            return Entry(folder, "found", float(facts["cost_s"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def is_being_made(self, key: str) -> bool:
        """Tell whether a living process of this machine holds the lock of `key`."""
        try:
            fd = os.open(self._lock_path(key), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # which others who ask may hold as well
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def keys(self) -> list[str]:
        """Return the keys of all entries, whole or damaged."""
        return [key for _, key, _ in self._entries()]

    def bytes_used(self) -> int:
        """Return what all entries take."""
        return sum(size for _, _, size in self._entries())

    def _fill(self, key: str, make: Make) -> Entry:
        folder = self.root / f".making-{key}"
        shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed; we hold its lock
        folder.mkdir(parents=True)
        try:
            how, cost_s = self._bring_or_make(key, folder, make)
            _write_facts(folder, {"cost_s": cost_s, "boots": [_boot()], "files": _files(folder)})
            shutil.rmtree(self.root / key, ignore_errors=True)  # damaged
            folder.rename(self.root / key)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            if self._elsewhere is not None:
                self._elsewhere.failed(key)
            raise
        if self._elsewhere is not None:
            self._elsewhere.made(key)
        return Entry(self.root / key, how, cost_s)

    def _bring_or_make(self, key: str, folder: Path, make: Make) -> tuple[How, float]:
        """Fill the folder; say how, and what it cost whoever made it, in seconds."""
        there = self._elsewhere
        if there is not None and self._with_room(folder, lambda: there.bring(key, folder)):
            return "moved", float(json.loads((folder / _FACTS).read_text())["cost_s"])
        started = time.monotonic()
        self._with_room(folder, lambda: make(folder))
        return "made", time.monotonic() - started

    def _with_room(self, folder: Path, fill: Callable[[], Filled]) -> Filled:
        """Fill the folder; where the disk is full, throw out all else and try once more."""
        try:
            return fill()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            if not self._clear() + self._shrink(to=0):
                raise
        shutil.rmtree(folder)
        folder.mkdir()
        return fill()

    @contextmanager
    def _locked(self, key: str, *, wait: bool = True) -> Iterator[None]:
        """Hold the lock of `key`.

        Raises:
            BlockingIOError: Another process has it, and this one does not `wait`.
        """
        path = self._lock_path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
                # who held it before may have removed it, and a third process locked a new one
                if _same_file(fd, path):
                    break
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
        _held.add(fd)
        try:
            yield
        finally:
            _held.discard(fd)
            path.unlink(missing_ok=True)
            fcntl.flock(fd, fcntl.LOCK_UN)  # a process that was forked by C code may have it as well
            os.close(fd)

    def _lock_path(self, key: str) -> Path:
        return self.root / ".locks" / key

    def _clear(self) -> int:
        """Remove what processes that were killed have left half made, or half removed; return how many there were."""
        cleared = 0
        for left in self.root.glob(".gone-*"):
            shutil.rmtree(left, ignore_errors=True)
            cleared += 1
        for left in self.root.glob(".making-*"):
            with suppress(OSError), self._locked(left.name.removeprefix(".making-"), wait=False):
                shutil.rmtree(left, ignore_errors=True)
                cleared += 1
        return cleared

    def _shrink(self, *, keep: str = "", to: int | None = None) -> int:
        """Throw out what was not used for longest until the rest is within the limit; return how many went."""
        entries = sorted(self._entries())
        used = sum(size for _, _, size in entries)
        limit = to if to is not None else self._limit
        if limit is None:
            limit = int(_SHARE * (shutil.disk_usage(self.root).free + used))
        gone = 0
        for _, key, size in entries:
            if used <= limit:
                break
            if key == keep:
                continue
            doomed = self.root / f".gone-{uuid.uuid4().hex}"
            with suppress(OSError):  # another process was quicker
                (self.root / key).rename(doomed)
                shutil.rmtree(doomed, ignore_errors=True)
                gone += 1
            used -= size
        return gone

    def _entries(self) -> Iterator[tuple[int, str, int]]:
        """Yield when each was last used (nanoseconds), its key and its bytes."""
        for facts in self.root.glob(f"[0-9a-f]*/{_FACTS}"):
            with suppress(OSError):
                size = sum(file.stat().st_size for file in facts.parent.iterdir())
                yield facts.stat().st_mtime_ns, facts.parent.name, size


def _let_go() -> None:
    while _held:
        os.close(_held.pop())


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and checksum of each file of an entry."""
    return {
        path.name: (path.stat().st_size, _checksum(path)) for path in sorted(folder.iterdir()) if path.name != _FACTS
    }


def _checksum(path: Path) -> int:
    check = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            check = zlib.crc32(chunk, check)
    return check


def _write_facts(folder: Path, facts: dict[str, object]) -> None:
    temporary = folder / f".{_FACTS}.{os.getpid()}"
    temporary.write_text(json.dumps(facts))
    temporary.replace(folder / _FACTS)


def _same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _boot() -> str:
    """Return what tells one start of this machine from the next."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
