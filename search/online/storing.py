"""What an engine knows, as files: two snapshots at most, of which the newest whole one counts: the `Snapshots`.

A snapshot is a file of its own, written whole or not at all: a safetensors file whose header has the JSON. The reader
checks it by a hash of its own; one that is damaged is passed over for the one before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.numpy import load, save

from search.errors import SurroundingsError
from search.online.events import Array
from search.paths import OnlineFolder, write_atomic

FORMAT: Final = 1
_KEPT: Final = 2
_DIGEST: Final = 32


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
    """

    folder: OnlineFolder

    def write(self, snapshot: Snapshot, sequence: int, done: int) -> None:
        """Write a snapshot of the state after so many steps of an event; the oldest go.

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
            for old in self._paths()[:-_KEPT]:
                old.unlink()
        except OSError as error:
            said = f"the state of {self.folder.name} cannot be written: {error.strerror}"
            raise SurroundingsError(said, field="results", hint="make room; what is learnt is read again") from error

    def newest(self) -> Snapshot | None:
        """Return the newest snapshot that is whole; None if there is none."""
        for path in reversed(self._paths()):
            with suppress(ValueError, KeyError, OSError):
                return _read(path)
        return None

    def sequences(self) -> list[int]:
        """Return the events after which the snapshots were made, the oldest first."""
        return [int(path.name.partition("-")[0]) for path in self._paths()]

    def _paths(self) -> list[Path]:
        return sorted(self.folder.state.glob("*-*.safetensors"))


def _read(path: Path) -> Snapshot:
    """Return a snapshot.

    Raises:
        ValueError: It is damaged.
        OSError: It cannot be read.
    """
    content = path.read_bytes()
    if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        raise ValueError("it is damaged")
    arrays = load(content[_DIGEST:])
    told = json.loads(arrays.pop("told").tobytes())
    if told.pop("format", None) != FORMAT:
        raise ValueError("it is of another format")
    return Snapshot(told, arrays)
