"""`Partial`: the pages of an unfinished pull, each on disk before the next is asked for."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

from search.data.api.answers import Scalar
from search.data.api.paging import Ask
from search.data.api.secret import Secrets
from search.data.web.guard import shown
from search.paths import write_atomic

Value = str | int | float


@dataclass(frozen=True, slots=True)
class Head:
    """What a pull is.

    Attributes:
        asked: The hash of what its pages depend on.
        begun: When, as ISO text in UTC.
        base: The sha256 of the snapshot that it extends, or "".
        since: The greatest value in that snapshot, or None.
        id: Its own.
    """

    asked: str
    begun: str
    base: str = ""
    since: Value | None = None
    id: str = field(default_factory=lambda: token_hex(8))


@dataclass(frozen=True, slots=True)
class Page:
    """What a page gave.

    Attributes:
        number: From 1.
        asked: A hash of what was asked, which does not change with the value of a secret.
        rows: With the names of the snapshot's columns.
        objects: Columns that are objects in some record.
        came: Records in the answer, before a stop rule left some out.
        size: Of the answer in bytes.
        total: Of all rows, as the answer says, or None.
        pages: Of all pages, as the answer says, or None.
        notes: One sentence each, on this page.
        following: What to ask next; None after the last page.
        end: Why it is the last.
    """

    number: int
    asked: str
    rows: list[dict[str, Scalar]]
    objects: list[str]
    came: int
    size: int
    total: int | None
    pages: int | None
    notes: list[str]
    following: Ask | None
    end: str

    @property
    def digest(self) -> str:
        """A hash of its rows."""
        return _digest(self.rows)


class Partial:
    """The folder of an unfinished pull.

    Args:
        folder: It need not be there.
        secrets: Are kept out of it.
    """

    def __init__(self, folder: Path, secrets: Secrets) -> None:
        self._folder = folder
        self._secrets = secrets

    def head(self) -> Head | None:
        """Return what the pull is, or None where there is none, or none that can be read."""
        try:
            return Head(**json.loads((self._folder / "pull.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def begin(self, head: Head) -> None:
        """Begin anew."""
        self.clear()
        write_atomic(self._folder / "pull.json", json.dumps(_plain(head), indent=2))

    def clear(self) -> None:
        """Forget all of it; the head first, so that half of it is nothing."""
        (self._folder / "pull.json").unlink(missing_ok=True)
        if self._folder.exists():
            shutil.rmtree(self._folder)

    def add(self, page: Page) -> None:
        """Write a page down."""
        path = self._path(page.number)
        content = json.dumps(self._dumped(page), ensure_ascii=False)
        write_atomic(path, content)

    def pages(self) -> Iterator[Page]:
        """Yield the pages in order, up to the first that is not there."""
        number = 1
        while True:
            try:
                page = self._read(self._path(number))
            except (OSError, ValueError, TypeError, KeyError):
                return
            yield page
            if page.end:
                return  # what may lie behind it is of an earlier attempt
            number += 1

    def identity(self, ask: Ask) -> str:
        """Return a hash of what is asked for."""
        return hashlib.sha256(json.dumps(self._secrets.take_apart(ask.url)).encode()).hexdigest()[:16]

    def hidden(self, rows: list[dict[str, Scalar]]) -> list[dict[str, Scalar]]:
        """Return rows from the other side, which may repeat what it was sent, without secrets."""
        if not self._secrets:
            return rows
        hide = self._secrets.hide
        return [
            {hide(name): hide(value) if isinstance(value, str) else value for name, value in row.items()}
            for row in rows
        ]

    def hidden_names(self, names: Iterable[str]) -> list[str]:
        """Return names of columns without secrets, sorted."""
        return sorted(map(self._secrets.hide, names))

    def shown(self, ask: Ask) -> str:
        """Return what is asked for as people may see it."""
        return shown(self._secrets.keep_out(ask.url))  # in this order: `shown` may cut a secret in two

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.json"

    def _dumped(self, page: Page) -> dict[str, Any]:
        following = page.following
        pieces = following and {
            "url": self._secrets.take_apart(following.url),
            "from_response": following.from_response,
            "place": following.place,
        }
        return {**_plain(page), "following": pieces}

    def _read(self, path: Path) -> Page:
        found = json.loads(path.read_bytes())
        following = found.pop("following")
        if following is not None:
            following = Ask(**{**following, "url": self._secrets.put_together(following["url"])})
        return Page(**found, following=following)


def _plain(value: Head | Page) -> dict[str, Any]:
    """Return the fields of a value, without copying what they hold."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _digest(rows: list[dict[str, Scalar]]) -> str:
    def compact(row: Mapping[str, Scalar]) -> str:
        return json.dumps(row, sort_keys=True)

    return hashlib.sha256("\n".join(map(compact, rows)).encode()).hexdigest()
