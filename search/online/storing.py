"""What an engine knows, as files: two snapshots at most, of which the newest whole one counts: the `Snapshots`.

A snapshot is a file of its own, written whole or not at all: a safetensors file whose header has the JSON. The reader
checks it by a hash of its own; one that is damaged is passed over for the one before it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.numpy import load, save

from search.data.collect.place import cannot_write
from search.data.fetch import Say, quiet
from search.errors import SurroundingsError
from search.online.events import Array
from search.paths import OnlineFolder, write_atomic

FORMAT: Final = 1
_DIGEST: Final = 32
_NAME: Final = re.compile(r"(\d{12,})-(\d{6,})\.safetensors")


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All that is needed to read on.

    Attributes:
        told: JSON.
        arrays: By name.
    """

    told: Mapping[str, Any]
    arrays: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The snapshots of one model.

    Attributes:
        folder: Of the model.
        say: Hears of a snapshot that is passed over.
    """

    folder: OnlineFolder
    say: Say = quiet

    def write(self, snapshot: Snapshot, sequence: int, done: int) -> None:
        """Write a snapshot of the state after so many steps of an event; of all others, the one before it stays.

        Those behind it could not be read when this state was, or it would have come from them.

        Raises:
            SurroundingsError: It cannot be written; those before are as they were.
        """
        told = json.dumps({"format": FORMAT, **snapshot.told}, allow_nan=False)
        arrays = {name: np.ascontiguousarray(array) for name, array in snapshot.arrays.items()}
        arrays["told"] = np.frombuffer(told.encode(), np.uint8)
        content: bytes = save(arrays)
        path = self.folder.state / f"{sequence:012d}-{done:06d}.safetensors"
        try:
            write_atomic(path, hashlib.sha256(content).digest() + content)
            for left in self.folder.state.glob(".*.tmp"):  # by a writer that was killed
                left.unlink()
            found = self._found()
            kept = max((place for place in found if place < (sequence, done)), default=None)
            for place, old in found.items():
                if place not in ((sequence, done), kept):
                    old.unlink()
        except OSError as error:
            raise cannot_write(path, error) from error

    def newest(self) -> Snapshot | None:
        """Return the newest snapshot that is whole; None if there is no snapshot at all.

        Raises:
            SurroundingsError: There are some, and none is whole; or one cannot be read now, and may be later.
        """
        faults: list[str] = []
        for _, path in sorted(self._found_or_told().items(), reverse=True):
            try:
                snapshot = _read(path)
            except OSError as error:
                raise _unreadable(path, error) from error
            except (ValueError, KeyError) as fault:
                faults.append(f"{path} {fault}")
                continue
            for one in faults:
                self.say(f"{one}; the snapshot before it is taken instead")
            return snapshot
        if faults:
            hint = f"put back a copy, or move {self.folder.root} away to begin anew"
            raise SurroundingsError(
                f"what was learnt cannot be read: {' and '.join(faults)}", field="results", hint=hint
            )
        return None

    def sequences(self) -> list[int]:
        """Return the events after which the snapshots were made, the oldest first.

        Raises:
            OSError: The folder cannot be read.
        """
        return sorted(sequence for sequence, _ in self._found())

    def _found(self) -> dict[tuple[int, int], Path]:
        """Return the files by event and step."""
        try:
            names = [(_NAME.fullmatch(path.name), path) for path in self.folder.state.iterdir()]
        except FileNotFoundError:
            return {}
        return {(int(name[1]), int(name[2])): path for name, path in names if name}

    def _found_or_told(self) -> dict[tuple[int, int], Path]:
        try:
            return self._found()
        except OSError as error:
            raise _unreadable(self.folder.state, error) from error


def _read(path: Path) -> Snapshot:
    """Return a snapshot.

    Raises:
        ValueError: It is damaged, or of another version; the text says which.
        OSError: It cannot be read.
    """
    content = path.read_bytes()
    if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        raise ValueError("is damaged")
    arrays = load(content[_DIGEST:])
    told = json.loads(arrays.pop("told").tobytes())
    if told.pop("format", None) != FORMAT:
        raise ValueError("was written by another version of sweep")
    return Snapshot(told, arrays)


def _unreadable(path: Path, error: OSError) -> SurroundingsError:
    return SurroundingsError(f"{path} cannot be read: {error.strerror or error}", field="results")
