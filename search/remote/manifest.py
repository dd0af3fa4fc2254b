"""What a place has of a study: its files, each a list of parts that are named by their content: the `Manifest`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from search.errors import SurroundingsError
from search.paths import StudyFolder, write_atomic
from search.remote.place import Place

PART_BYTES: Final = 8 << 20
NAME: Final = "manifest.json"
OWN: Final = ".remote.json"
"""File of a study's folder: the manifest that it was last sent by, or brought by."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its size in bytes, and the SHA-256 of each of its parts."""

    size: int
    parts: tuple[str, ...]

    @classmethod
    def of(cls, path: Path) -> Entry:
        """Return the entry of a file as it is.

        Raises:
            OSError: It is gone, or cannot be read.
        """
        digests, size = list[str](), 0
        for part in parts_of(path):
            digests.append(hashlib.sha256(part).hexdigest())
            size += len(part)
        return cls(size, tuple(digests))


@dataclass(frozen=True, slots=True)
class Manifest:
    """All files of a study, at one time.

    Attributes:
        version: Grows by one each time it is sent.
        files: By name.
        whole: Of a copy: whether checkpoints and rows have come along.
        id: Of this sending.
        sending: Of a copy: the id of the sending that was begun last; its end may not have been heard of.
    """

    version: int = 0
    files: Mapping[str, Entry] = field(default_factory=dict)
    whole: bool = True
    id: str = ""
    sending: str = ""

    def to_json(self) -> dict[str, Any]:
        files = {name: {"size": one.size, "parts": list(one.parts)} for name, one in self.files.items()}
        ids = {"id": self.id, "sending": self.sending}
        return {"schema": 1, "version": self.version, "whole": self.whole, **ids, "files": files}

    @classmethod
    def from_json(cls, told: Any) -> Manifest:
        """Return the manifest of its JSON.

        Raises:
            ValueError: It is none.
        """
        try:
            if told["schema"] != 1:
                raise ValueError("of a later version of sweep")
            files = {
                str(name): Entry(int(one["size"]), tuple(map(_checked, one["parts"])))
                for name, one in told["files"].items()
            }
            ids = str(told["id"]), str(told["sending"])
            return cls(int(told["version"]), files, bool(told["whole"]), *ids)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("damaged") from error

    @property
    def parts(self) -> set[str]:
        """Names of all parts."""
        return {part for one in self.files.values() for part in one.parts}


def read(place: Place, study: str) -> Manifest | None:
    """Return what a place has of a study; None if it has none.

    Raises:
        SurroundingsError: The place does not answer, or what it has is damaged.
    """
    content = place.read(f"{study}/{NAME}")
    if content is None:
        return None
    try:
        return Manifest.from_json(json.loads(content))
    except ValueError as error:
        raise SurroundingsError(
            f"the manifest of study {study!r} at {place.url} is damaged", field="--results"
        ) from error


def write(place: Place, study: str, manifest: Manifest) -> None:
    """Have a place know of all these files; their parts are there."""
    place.write(f"{study}/{NAME}", json.dumps(manifest.to_json()).encode())


def last(folder: StudyFolder, there: Manifest | None) -> Manifest | None:
    """Return the manifest that a folder was last sent or brought by; None if it never was.

    Args:
        folder: Of the study.
        there: What the place has: perhaps what was sent from here, without an answer.
    """
    try:
        mine = Manifest.from_json(json.loads((folder.root / OWN).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
    if there is not None and there.id and there.id == mine.sending:
        return replace(there, whole=mine.whole)
    return mine


def note(folder: StudyFolder, manifest: Manifest) -> None:
    """Note by which manifest a folder was sent or brought."""
    write_atomic(folder.root / OWN, json.dumps(manifest.to_json()))


def parts_of(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, a part at a time."""
    with path.open("rb") as file:
        while part := file.read(PART_BYTES):
            yield part


def _checked(part: str) -> str:
    if len(part) != 64 or set(part) - set("0123456789abcdef"):
        raise ValueError("a part has no SHA-256")
    return part
