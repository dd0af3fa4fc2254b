"""A data reference, `KIND:NAME` or a path with options, taken apart: the text that `--data` takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote_plus, unquote_plus

from search.errors import InputError, did_you_mean

OPTIONS: Final = ("encoding", "task")
KNOWN: Final = "sklearn:NAME, a CSV, TSV or Parquet file, a folder class/*.png, an .npz file"

_TASKS: Final = ("classification", "regression")
# One letter before the colon is a drive, not a kind.
_KIND: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reference:
    """Where data lies.

    Attributes:
        text: As it was written.
        location: The file or folder, absolute, which exists; or the name of a data set that comes with scikit-learn.
        options: Given after a `?`, as in `x.csv?encoding=latin-1&task=regression`.
    """

    text: str
    location: Path | str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call it."""
        return self.location.name if isinstance(self.location, Path) else f"sklearn:{self.location}"

    def option(self, name: str) -> str | None:
        """Return the value of an option, or None where it is not given."""
        return self.options.get(name)

    def accept(self, *names: str) -> None:
        """Make sure that no option is given but these.

        Raises:
            InputError: One is that does not apply here.
        """
        for name in self.options:
            if name not in names:
                raise InputError(f"{self.name} takes no {name}=; drop it from {self.text[:100]!r}", field="data")


def parse_reference(text: str, folder: Path) -> Reference:
    """Return what `text` refers to; relative paths start at `folder`.

    A file whose own name has a `?` or a `:` in it is found under that name.

    Raises:
        InputError: It is of no known kind, the file does not exist, or an option is wrong.
    """
    whole = _existing(text, folder)
    if whole is not None:
        return Reference(text, whole)
    location, _, query = text.partition("?")
    options = _parse_options(query, text)
    path = _existing(location, folder)
    if path is not None:
        return Reference(text, path, options)
    kind = _KIND.fullmatch(location)
    if kind is None:
        raise _missing(location, folder)
    if kind[1] != "sklearn":
        raise InputError(f"unknown kind of data '{kind[1]}:'; known: {KNOWN}", field="data")
    return Reference(text, kind[2], options)


def absolute_reference(text: str, folder: Path) -> str:
    """Return `text` with its path made absolute, so that every worker means the same file.

    Raises:
        InputError: As `parse_reference`.
    """
    found = parse_reference(text, folder)
    if not isinstance(found.location, Path):
        return text
    query = "&".join(f"{name}={quote_plus(value)}" for name, value in found.options.items())
    return f"{found.location}?{query}" if query else str(found.location)


def _existing(location: str, folder: Path) -> Path | None:
    try:
        path = (folder / Path(location).expanduser()).absolute()
        return path if location.strip() and path.exists() else None
    except (OSError, ValueError, RuntimeError):  # name too long, a zero byte, no home folder
        return None


def _parse_options(query: str, text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        if name not in OPTIONS or not equals:
            raise InputError(
                f"data reference {text[:100]!r} has an unknown option {pair[:60]!r}",
                field="data",
                hint=did_you_mean(name, OPTIONS),
            )
        options[name] = unquote_plus(value)
    task = options.get("task")
    if task is not None and task not in _TASKS:
        raise InputError(f"task is classification or regression, got {task[:60]!r}", field="data")
    return options


def _missing(location: str, folder: Path) -> InputError:
    near = _siblings((folder / location).parent) if "\0" not in location else []
    return InputError(
        f"data file {location[:200]!r} does not exist (looked in {folder})",
        field="data",
        hint=did_you_mean(Path(location).name, near) if near else f"known: {KNOWN}",
    )


def _siblings(folder: Path) -> list[str]:
    suffixes = {".csv", ".tsv", ".parquet", ".npz"}
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.suffix.lower() in suffixes)[:8]
    except OSError:
        return []
