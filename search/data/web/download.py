"""A file by http or https: downloaded in parts if need be, checked, unpacked, and kept under its sha256."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from search.data.fetch import Fetched, Say
from search.data.reference import Reference
from search.data.secrets import expand, hide
from search.data.web import archive, keep
from search.data.web.answers import Streamed
from search.data.web.client import Web
from search.errors import SurroundingsError, SweepError
from search.paths import DataFolder

MAX_BYTES: Final = 1 << 40
_PAGES: Final = (b"<!doctype html", b"<html", b"<head")


def fetch(reference: Reference, folder: Path, place: DataFolder, *, refresh: bool, say: Say) -> Fetched:
    """Fetch the file at a URL; its options are `sha256`, which it must have, and `allow`, hosts it may lead to."""
    address = str(reference.location)
    try:
        digest, notes = find_or_download(reference, place, refresh=refresh, say=lambda line: say(hide(line, address)))
        return finish(reference, place, digest, notes)
    except SweepError as error:
        raise type(error)(hide(error.message, address), field=error.field, hint=hide(error.hint, address)) from None


def find_or_download(
    reference: Reference, place: DataFolder, *, refresh: bool, say: Say
) -> tuple[str, tuple[str, ...]]:
    """Return the sha256 of the content, which is then in `place`, and what people should know of it."""
    wanted = keep.wanted_digest(reference)
    if wanted is not None and keep.find_whole(place, wanted) is not None:
        return wanted, ()
    state = keep.read_state(place)
    current = str(state.get("sha256") or "")
    if current and keep.find_whole(place, current) is None:
        current = ""
    if wanted is None and current and not refresh:
        return current, ()
    digest = _download(reference, place, state if current else {**state, "sha256": None}, wanted, say)
    if current and digest != current:
        return digest, (f"{reference.name} has changed at its source since it was last fetched",)
    return digest, ()


def finish(reference: Reference, place: DataFolder, digest: str, notes: tuple[str, ...] = ()) -> Fetched:
    """Return what was fetched: the file with this sha256, or what is in it if it is an archive."""
    path = keep.find(place, digest)
    assert path is not None, "it was fetched"
    if path.is_file():
        unpacked = archive.unpack(path, place, name=reference.name, digest=digest)
        if unpacked != path:
            path.unlink()  # its content is here twice otherwise
        path = unpacked
    else:
        path = archive.find_inside(path)
    return Fetched(path, reference.with_options(sha256=digest), None, notes)


class Progress:
    """Says how far a download has come, at most once a second."""

    def __init__(self, name: str, say: Say) -> None:
        self._name = name
        self._say = say
        self._said: float | None = None

    def __call__(self, have: int, total: int | None) -> None:
        now = time.monotonic()
        if self._said is None:  # what takes less than a second is not worth a line
            self._said = now
        if now - self._said < 1:
            return
        self._said = now
        of = f" of {_megabytes(total)}" if total is not None else ""
        self._say(f"{self._name}: {_megabytes(have)}{of} MB")


def _download(reference: Reference, place: DataFolder, state: dict[str, Any], wanted: str | None, say: Say) -> str:
    """Bring the content into `place` and return its sha256; what an earlier process began is gone on with."""
    address = str(reference.location)
    known = state if state.get("sha256") and wanted is None else {}
    conditions = {"if-none-match": known.get("etag"), "if-modified-since": known.get("modified")}
    partial = place.partial
    keep.prepare(place)
    begun = state.get("partial") or {}

    def begin(answer: Streamed) -> None:
        progress = {"validator": answer.validator, "total": answer.total}
        keep.write_state(place, {**state, "source": address, "partial": progress})

    url = expand(address, quoted=True)
    with Web(url, allow=reference.listed("allow"), say=say, stay=False, max_bytes=MAX_BYTES) as web:
        answer = web.stream_to(
            url,
            partial,
            offset=partial.stat().st_size if partial.exists() else 0,
            etag=begun.get("validator"),
            headers={name: value for name, value in conditions.items() if value},
            accept=(304,) if known else (),
            begin=begin,
            progress=Progress(reference.name, say),
        )
    if answer.status == 304:
        partial.unlink(missing_ok=True)
        return str(state["sha256"])
    digest = _check(reference, partial, answer, wanted)
    keep.keep(place, partial, digest, keep.suffix_of(reference.name))
    keep.write_state(
        place,
        {
            "source": address,
            "sha256": digest,
            "bytes": answer.size,
            "etag": answer.headers.get("etag"),
            "modified": answer.headers.get("last-modified"),
        },
    )
    return digest


def _check(reference: Reference, partial: Path, answer: Streamed, wanted: str | None) -> str:
    """Return the sha256 of what came.

    Raises:
        SurroundingsError: It is not what was asked for; it is thrown away.
    """
    with partial.open("rb") as file:
        start = file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    wrong = ""
    if answer.size == 0:
        wrong = f"{reference.name}: the server sent an empty file"
    elif start.startswith(_PAGES):
        wrong = f"{reference.name}: the server sent a web page, not a file; is it an address to log in at?"
    digest = keep.digest_of(partial)
    if not wrong and wanted is not None and digest != wanted:
        wrong = f"{reference.name} has the sha256 {digest}, and sha256={wanted} was asked for"
    if wrong:
        partial.unlink()
        raise SurroundingsError(wrong, field="data")
    return digest


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f}" if size >= 10_000_000 else f"{size / 1e6:.1f}"
