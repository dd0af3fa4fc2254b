"""One store over several machines: each entry made once over all of them, and moved by Ray where it is lacking."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.store import Store

_LOOK_EVERY_S: Final = 0.5
"""How often a machine asks about an entry that another one is making."""


PATIENCE_S: Final = 600.0
"""How long a machine waits for an entry that a preparer is making: that one may hang, and nothing depends on it."""

_ANSWER_S: Final = 60.0
"""How long a machine may take to say what it has; its disk may hang."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The store of a machine, or of all that share its disk: a name of its own, where it lies, a node that sees it."""

    name: str
    root: Path
    node: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What a machine that lacks an entry is to do: `make` it, `take` it from `shelf`, or `wait` for what it makes.

    Attributes:
        reader: Handle of the actor that reads there; None where tasks do. Only machines with preparers have one.
    """

    action: Literal["make", "take", "wait"]
    shelf: Shelf | None = None
    reader: Any = None


class Directory:
    """An actor beside the study's: which shelf has which entry, and which one is making it.

    What it knows is only a hint: files may be gone, and whoever makes an entry may be dead. Those who find that out say
    so; a directory that starts anew knows nothing, and an entry is then perhaps made twice.
    """

    def __init__(self) -> None:
        self._have: dict[str, dict[str, Shelf]] = {}
        self._making: dict[str, Shelf] = {}
        self._readers: dict[str, Any] = {}

    def lend(self, node: str, reader: Any) -> None:
        """Hear of the actor that reads on a machine."""
        self._readers[node] = reader

    def claim(self, key: str, shelf: Shelf) -> Claim:
        """Say what a machine that lacks an entry is to do; if that is to make it, it holds it until it says more."""
        for other in self._have.get(key, {}).values():
            if other.name != shelf.name:
                return Claim("take", other, self._readers.get(other.node))
        maker = self._making.get(key)
        if maker is not None and maker.name != shelf.name:
            return Claim("wait", maker, self._readers.get(maker.node))
        self._making[key] = shelf
        return Claim("make")

    def have(self, keys: Iterable[str], shelf: Shelf) -> None:
        """Hear that a shelf has entries."""
        for key in keys:
            self._have.setdefault(key, {})[shelf.name] = shelf
            self.free(key, shelf)

    def free(self, key: str, shelf: Shelf) -> None:
        """Hear that a shelf is not making an entry."""
        if (maker := self._making.get(key)) is not None and maker.name == shelf.name:
            del self._making[key]

    def lost(self, key: str, shelf: Shelf) -> None:
        """Hear that a shelf does not have an entry, or is out of reach."""
        self._have.get(key, {}).pop(shelf.name, None)


class OtherMachines:
    """The way of one machine's store to all others (`search.store.Elsewhere`).

    Args:
        directory: Handle of the `Directory` actor.
        shelf: This machine's.
        patience_s: How long to wait for what a preparer is making.
    """

    def __init__(self, directory: Any, shelf: Shelf, patience_s: float = PATIENCE_S) -> None:
        self._directory, self._shelf, self._patience_s = directory, shelf, patience_s

    def bring(self, key: str, folder: Path) -> bool:
        """Fill `folder` from another machine, waiting for one that is making it; False: it is now ours to make."""
        with suppress(ray.exceptions.RayError):  # of the directory: without it, each machine makes its own
            until = time.monotonic() + self._patience_s
            while (claim := self._claim(key)).shelf is not None:
                if claim.action == "wait" and claim.reader is not None and time.monotonic() > until:
                    ray.get(self._directory.free.remote(key, claim.shelf))  # it is now for the next to claim it
                    continue
                if self._was_brought(key, claim, claim.shelf, folder):
                    return True
        return False

    def made(self, key: str) -> None:
        """Say that this machine has the entry."""
        with suppress(ray.exceptions.RayError):
            ray.get(self._directory.have.remote([key], self._shelf))

    def failed(self, key: str) -> None:
        """Say that this machine does not make it."""
        with suppress(ray.exceptions.RayError):
            ray.get(self._directory.free.remote(key, self._shelf))

    def _claim(self, key: str) -> Claim:
        claim: Claim = ray.get(self._directory.claim.remote(key, self._shelf))
        return claim

    def _was_brought(self, key: str, claim: Claim, shelf: Shelf, folder: Path) -> bool:
        """Take an entry from a shelf, or look once how its making goes on there."""
        try:
            if claim.action == "take":
                for name, content in _files(shelf, claim.reader, key):
                    (folder / name).write_bytes(content.data)
                return True
            if _on(shelf, claim.reader, is_being_made, key):
                time.sleep(_LOOK_EVERY_S)
                return False
            # whoever made it was killed, or has made it and is about to say so
            done = _on(shelf, claim.reader, is_there, key)
        except (ray.exceptions.RayError, FileNotFoundError):
            for path in folder.iterdir():  # what has come of it
                path.unlink()
            ray.get([call.remote(key, shelf) for call in (self._directory.lost, self._directory.free)])
            return False
        ray.get(self._directory.have.remote([key], shelf) if done else self._directory.free.remote(key, shelf))
        return False


def announced(store: Store, directory: Any) -> Shelf:
    """Return this machine's shelf, having told the directory what is on it.

    Raises:
        OSError: The store cannot be written.
    """
    shelf = Shelf(store.identity, store.root, ray.get_runtime_context().get_node_id())
    with suppress(ray.exceptions.RayError):  # without the directory, each machine makes its own
        ray.get(directory.have.remote(store.keys(), shelf))
    return shelf


# --- run on the machine that has an entry, in a task of Ray's or by its reader ---


class Reader:
    """An actor that reads what its machine has: a task might have to wait for a process to start there."""

    def read(self, function: Callable[..., Any], root: Path, *arguments: str) -> Any:
        """Call one of the functions below."""
        return function(root, *arguments)


def is_being_made(root: Path, key: str) -> bool:
    """Tell whether a living process makes the entry there."""
    return Store(root).is_being_made(key)


def is_there(root: Path, key: str) -> bool:
    """Tell whether the entry is there."""
    return Store(root).find(key) is not None


def names_of(root: Path, key: str) -> list[str]:
    """Return the names of an entry's files.

    Raises:
        FileNotFoundError: It is not there.
    """
    entry = Store(root).find(key)
    if entry is None:
        raise FileNotFoundError(key)
    return sorted(path.name for path in entry.path.iterdir() if not path.name.startswith("."))


def content_of(root: Path, key: str, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the bytes of a file, mapped: Ray copies them once, into its object store."""
    path = root / key / name
    return np.memmap(path, dtype=np.uint8, mode="r") if path.stat().st_size else np.empty(0, np.uint8)


def _files(shelf: Shelf, reader: Any, key: str) -> Iterator[tuple[str, np.ndarray[Any, np.dtype[np.uint8]]]]:
    for name in _on(shelf, reader, names_of, key):
        yield name, _on(shelf, reader, content_of, key, name, timeout_s=None)


def _on(shelf: Shelf, reader: Any, function: Any, *arguments: object, timeout_s: float | None = _ANSWER_S) -> Any:
    """Call a function on a shelf's machine.

    Raises:
        RayError: It is out of reach, or does not answer in time.
        FileNotFoundError: The files are gone.
    """
    there = NodeAffinitySchedulingStrategy(shelf.node, soft=False)
    task = ray.remote(function).options(num_cpus=0, scheduling_strategy=there, max_retries=0)
    try:
        if reader is not None:
            with suppress(ray.exceptions.RayActorError):  # it has gone, and its machine perhaps has not
                return ray.get(reader.read.remote(function, shelf.root, *arguments), timeout=timeout_s)
        return ray.get(task.remote(shelf.root, *arguments), timeout=timeout_s)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, FileNotFoundError):
            raise FileNotFoundError(*map(str, arguments)) from error
        raise
