"""A data reference, `KIND:NAME`, a URL, or a path with options, taken apart: the text that `--data` takes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote_plus, unquote, unquote_plus

from search.data.secrets import has_secret, shown
from search.data.sql.grammar import take_apart
from search.errors import InputError, did_you_mean
from search.paths import check_name

KINDS: Final = ("api", "collected", "hf", "html", "openml", "sklearn", "sql")
SCHEMES: Final = ("http", "https", "s3", "gs", "gcs", "az", "abfs", "ftp", "sftp", "memory")
"""Of URLs to a file; all but the first two are fsspec's."""
KNOWN: Final = (
    "a file or folder, a URL, or one of "
    "sklearn:NAME, openml:ID, hf:NAME, api:FILE.toml, html:URL, sql:URL?query=..., collected:NAME"
)

_ALL: Final = ("file", *KINDS, *SCHEMES)
OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "allow": ("api", "hf", "html", "http", "https", "openml"),
    "drop": _ALL,
    "encoding": ("file", *SCHEMES),
    "query": ("sql",),
    "sha256": SCHEMES,
    "sheet": ("file", *SCHEMES),
    "size": ("file", *SCHEMES),
    "snapshot": (*KINDS, *SCHEMES),
    "task": _ALL,
}
"""Which kinds take an option; a `.sql` file takes what `sql` takes, but for the query, which it is."""
TABLE_OPTIONS: Final = ("drop", "encoding", "query", "sheet")
"""Those that say something about a table, and nothing about images."""

_LISTS: Final = ("allow", "drop")
"""Options that hold several values; commas separate them, and one within a value is written `%2C`."""

_TASKS: Final = ("classification", "regression")
# One letter before the colon is a drive, not a kind.
_KIND: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s][^\s\0]*")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LEGIBLE: Final = "*(),.<>=!'\"/:;|[]"
"""What may stand in the value of an option as it is."""
_MAX_STEM: Final = 60


@dataclass(frozen=True, slots=True)
class Reference:
    """Where data lies.

    Attributes:
        text: As it was written.
        kind: `file`, one of `KINDS`, or one of `SCHEMES`.
        location: Of a `file` its path, absolute, which exists; of a URL the whole of it without our options; of a
            description its path, absolute; of `sql` the database's URL, or "" for the environment's; else what stands
            after the kind.
        options: Given after a `?`, as in `x.csv?encoding=latin-1&task=regression`, or after the `#` of a URL, whose
            `?` is its own. Of several values in one option, `%` and the comma are `%25` and `%2C`: see `listed`.
    """

    text: str
    kind: str
    location: Path | str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_query(self) -> bool:
        """Whether it is a file that holds a query, and not data."""
        return isinstance(self.location, Path) and self.location.suffix.lower() == ".sql"

    @property
    def name(self) -> str:
        """What people call it; without what may be secret in it."""
        if isinstance(self.location, Path):
            return self.location.name
        plain = shown(self.location).rstrip("/")
        if self.kind in SCHEMES:
            return plain.rpartition("/")[2]
        if self.kind == "sql":
            return f"sql:{plain.rpartition('/')[2]}".rstrip(":")
        if self.kind == "api" or (self.kind == "html" and not _is_url(self.location)):
            return f"{self.kind}:{Path(self.location).name}"
        return f"{self.kind}:{plain.partition('//')[2] or plain}"

    @property
    def folder_name(self) -> str:
        """The name of the folder under `results/data/` that holds what is fetched from it."""
        if self.kind == "collected":
            return str(self.location)
        stem = re.sub(r"[^A-Za-z0-9]+", "-", self.name)[:_MAX_STEM].strip("-") or "data"
        identity = f"{self.kind}:{self.location}?{self.options.get('query', '')}"
        return f"{stem}.{hashlib.sha256(identity.encode(errors='surrogateescape')).hexdigest()[:8]}"

    def option(self, name: str) -> str | None:
        """Return the value of an option, or None where it is not given."""
        return self.options.get(name)

    def listed(self, name: str) -> tuple[str, ...]:
        """Return the values of an option that may hold several, with commas between."""
        return tuple(unquote(value) for value in self.options.get(name, "").split(",") if value)

    def accept(self, *names: str) -> None:
        """Make sure that no option is given but these.

        Raises:
            InputError: One is that does not apply here.
        """
        for name in self.options:
            if name not in names:
                known = f"it takes {', '.join(f'{one}=' for one in names)}" if names else "it takes no options"
                raise InputError(f"{self.name} takes no {name}=", field="data", hint=known)

    def with_options(self, **options: str) -> str:
        """Return its text with these options as well, its path made absolute: the same data in any process."""
        merged = {**self.options, **options}
        query = "&".join(f"{name}={_written(name, value)}" for name, value in merged.items())
        whole = f"{self.kind}:{self.location}" if self.kind in KINDS else str(self.location)
        mark = "#" if _is_url(self.location) and self.kind != "sql" else "?"
        if self.kind == "sql" and "?" in str(self.location):
            mark = "&"
        return f"{whole}{mark}{query}" if query else whole


def _written(name: str, value: str) -> str:
    """Return the value of an option as it stands in a reference."""
    if name not in _LISTS:
        return quote_plus(value, safe=_LEGIBLE)
    of_one = _LEGIBLE.replace(",", "")
    return ",".join(quote_plus(unquote(one), safe=of_one) for one in value.split(","))


def _read(name: str, value: str) -> str:
    """Return the value of an option that stands in a reference."""
    if name not in _LISTS:
        return unquote_plus(value)
    return ",".join(unquote_plus(one).replace("%", "%25").replace(",", "%2C") for one in value.split(","))


def is_digest(text: str) -> bool:
    """Tell whether a text is a sha256 as it stands in options and in names of files."""
    return _DIGEST.fullmatch(text) is not None


def parse_reference(text: str, folder: Path) -> Reference:
    """Return what `text` refers to; relative paths start at `folder`.

    A file whose own name has a `?` or a `:` in it is found under that name.

    Raises:
        InputError: It is of no known kind, the file does not exist, a secret stands in it, or an option is wrong.
    """
    path, query = _split_path(text, folder)
    if path is not None:
        found = Reference(text, "file", path, _read_options(query, path.name))
    else:
        found = _parse_named(text, folder)
    kind, but = ("sql", "query") if found.is_query else (found.kind, "")
    found.accept(*(name for name, kinds in OPTIONS.items() if kind in kinds and name != but))
    return found


def absolute_reference(text: str, folder: Path) -> str:
    """Return `text` with its path made absolute, so that every worker means the same file.

    Raises:
        InputError: As `parse_reference`.
    """
    return parse_reference(text, folder).with_options()


def _parse_named(text: str, folder: Path) -> Reference:
    """Return what a text refers to that is no path."""
    found = _KIND.fullmatch(text)
    kind = found[1].lower() if found else ""
    if found is None or kind == "file":
        raise _missing(text.partition("?")[0], folder)
    if kind not in (*KINDS, *SCHEMES):
        near = did_you_mean(kind, KINDS)
        hint = near if near.startswith("did") else ""
        raise InputError(f"unknown kind of data '{found[1][:40]}:'; known: {KNOWN}", field="data", hint=hint)
    if "\0" in text or not _is_unicode(text):
        raise InputError(f"{kind}: takes text, got bytes that are none", field="data")
    rest = text if kind in SCHEMES else found[2]
    if kind == "sql":
        location, query = take_apart(rest, OPTIONS, folder)
        _refuse_secret(location)
        return Reference(text, kind, location, _read_options(query, "sql:"))
    _refuse_secret(rest)
    is_url = kind in SCHEMES or (kind == "html" and "://" in rest)
    location, _, query = rest.partition("#" if is_url else "?")
    if is_url and not _is_url(location):
        raise InputError(f"{shown(location)!r} is no URL; it has the form https://HOST/PATH", field="data")
    if not location.strip():
        raise InputError(f"'{kind}:' names nothing; known: {KNOWN}", field="data")
    if kind == "collected":
        check_name(location, what="a collection's name", field="data")
    if kind == "api" or (kind == "html" and not is_url):
        path, after = _split_path(rest, folder)
        location, query = (str(path), after) if path else (str(_absolute(location, folder)), query)
    return Reference(text, kind, location, _read_options(query, f"{kind}:" if kind in KINDS else shown(location)))


def _refuse_secret(url: str) -> None:
    if has_secret(url):
        example = "postgresql://me:${DB_PASSWORD}@host/db" if "sql" in url.partition(":")[0] else "?api_key=${API_KEY}"
        raise InputError(
            "a password or key in a data reference would be stored and shown",
            field="data",
            hint=f"put it in the environment and write its name: {example}",
        )


def _split_path(text: str, folder: Path) -> tuple[Path | None, str]:
    """Return the longest beginning of `text` that is a path which exists, and the options after it."""
    end = len(text)
    while end > 0:
        path = _existing(text[:end], folder)
        if path is not None:
            return path, text[end + 1 :]
        end = text.rfind("?", 0, end)
    return None, ""


def _existing(location: str, folder: Path) -> Path | None:
    try:
        path = _absolute(location, folder)
        return path if location.strip() and path.exists() else None
    except (OSError, ValueError, RuntimeError):  # name too long, a zero byte, no home folder
        return None


def _absolute(location: str, folder: Path) -> Path:
    # unlike Path's own, it leaves a home that there is not as it is written
    return (folder / os.path.expanduser(location)).absolute()  # noqa: PTH111


def _is_url(location: Path | str) -> bool:
    return isinstance(location, str) and _URL.fullmatch(location) is not None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_options(query: str, name: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        key, equals, value = pair.partition("=")
        if key not in OPTIONS:
            got = key[:40] if re.fullmatch(r"\w+", key) else "..."
            raise InputError(f"{name} has an unknown option {got!r}", field="data", hint=did_you_mean(key, OPTIONS))
        if not equals or not _is_unicode(value):
            raise InputError(f"{name}: option {key} needs a value, as in {key}=...", field="data")
        if key in options:
            raise InputError(f"{name} has the option {key}= twice", field="data")
        options[key] = _read(key, value)
    _check_values(options)
    return options


def _check_values(options: Mapping[str, str]) -> None:
    task = options.get("task")
    if task is not None and task not in _TASKS:
        raise InputError(f"task is classification or regression, got {task[:60]!r}", field="data")
    for name in ("sha256", "snapshot"):  # they become names of files
        if name in options and not is_digest(options[name]):
            raise InputError(f"{name} is a sha256, 64 digits and letters a-f, got {options[name][:70]!r}", field="data")


def _missing(location: str, folder: Path) -> InputError:
    near = _siblings((folder / location).parent if location else folder) if "\0" not in location else []
    return InputError(
        f"data file {shown(location)[:200]!r} does not exist (looked in {folder})",
        field="data",
        hint=did_you_mean(Path(location).name, near) if near else f"known: {KNOWN}",
    )


def _siblings(folder: Path) -> list[str]:
    suffixes = {".csv", ".tsv", ".parquet", ".npz", ".jsonl", ".feather", ".xlsx", ".sql"}
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.suffix.lower() in suffixes)[:8]
    except OSError:
        return []
