"""A data reference, `KIND:NAME`, a URL, or a path with options, taken apart: the text that `--data` takes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote_plus, unquote_plus

from search.errors import InputError, did_you_mean

OPTIONS: Final = ("allow", "drop", "encoding", "query", "sha256", "sheet", "snapshot", "task")
KINDS: Final = ("api", "collected", "hf", "html", "openml", "sklearn", "sql")
SCHEMES: Final = ("http", "https", "s3", "gs", "gcs", "az", "abfs", "ftp", "sftp", "memory")
"""Of URLs to a file; all but the first two are fsspec's."""
KNOWN: Final = (
    "a file or folder, a URL, or one of "
    "sklearn:NAME, openml:ID, hf:NAME, api:FILE.toml, html:URL, sql:URL?query=..., collected:NAME"
)

_TASKS: Final = ("classification", "regression")
# One letter before the colon is a drive, not a kind.
_KIND: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)
_MAX_STEM: Final = 60


@dataclass(frozen=True, slots=True)
class Reference:
    """Where data lies.

    Attributes:
        text: As it was written.
        kind: `file`, one of `KINDS`, or one of `SCHEMES`.
        location: Of a `file` its path, absolute, which exists; of a URL the whole of it without our options; else
            what stands after the kind.
        options: Given after a `?`, as in `x.csv?encoding=latin-1&task=regression`, or after the `#` of a URL, whose
            `?` is its own.
    """

    text: str
    kind: str
    location: Path | str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call it; without what may be secret in it."""
        if isinstance(self.location, Path):
            return self.location.name
        if self.kind in SCHEMES:
            return self.location.partition("?")[0].rstrip("/").rpartition("/")[2] or self.location.partition("?")[0]
        if self.kind == "sql":
            return "sql"
        return f"{self.kind}:{self.location}"

    @property
    def folder_name(self) -> str:
        """The name of the folder under `results/data/` that holds what is fetched from it."""
        if self.kind == "collected":
            return str(self.location)
        stem = re.sub(r"[^A-Za-z0-9]+", "-", self.name)[:_MAX_STEM].strip("-") or "data"
        identity = f"{self.kind}:{self.location}?{self.options.get('query', '')}"
        return f"{stem}.{hashlib.sha256(identity.encode()).hexdigest()[:8]}"

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

    def with_options(self, **options: str) -> str:
        """Return its text with these options as well, its path made absolute: the same data in any process."""
        merged = {**self.options, **options}
        query = "&".join(f"{name}={quote_plus(value)}" for name, value in merged.items())
        whole = f"{self.kind}:{self.location}" if self.kind in KINDS else str(self.location)
        mark = "#" if self.kind in SCHEMES else "?"
        return f"{whole}{mark}{query}" if query else whole


def parse_reference(text: str, folder: Path) -> Reference:
    """Return what `text` refers to; relative paths start at `folder`.

    A file whose own name has a `?` or a `:` in it is found under that name.

    Raises:
        InputError: It is of no known kind, the file does not exist, or an option is wrong.
    """
    whole = _existing(text, folder)
    if whole is not None:
        return Reference(text, "file", whole)
    kind = _KIND.fullmatch(text)
    if kind is not None and kind[1].lower() in SCHEMES:
        location, _, fragment = text.partition("#")
        return Reference(text, kind[1].lower(), location, _parse_options(fragment, text))
    location, _, query = text.partition("?")
    path = _existing(location, folder)
    if path is not None:
        return Reference(text, "file", path, _parse_options(query, text))
    kind = _KIND.fullmatch(location)
    if kind is None:
        raise _missing(location, folder)
    if kind[1] not in KINDS:
        raise InputError(
            f"unknown kind of data '{kind[1]}:'; known: {KNOWN}", field="data", hint=did_you_mean(kind[1], KINDS)
        )
    return Reference(text, kind[1], kind[2], _parse_options(query, text))


def absolute_reference(text: str, folder: Path) -> str:
    """Return `text` with its path made absolute, so that every worker means the same file.

    Raises:
        InputError: As `parse_reference`.
    """
    found = parse_reference(text, folder)
    return found.with_options() if found.kind == "file" else text


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
    suffixes = {".csv", ".tsv", ".parquet", ".npz", ".jsonl", ".feather", ".xlsx", ".sql"}
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.suffix.lower() in suffixes)[:8]
    except OSError:
        return []
