"""`fetch` of `html:URL`, `html:FILE.toml` and `html:FILE.html`: tables of web pages, kept as Parquet snapshots."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from search.data.api.answers import Flat, flatten
from search.data.api.columns import Columns
from search.data.api.description import Description, Limit, Paging
from search.data.api.htmltable import choose_table, need_lxml, parse_page, table_records
from search.data.api.paging import Ask, following, leading_to
from search.data.api.pull import Sleep, pull, with_allowed
from search.data.api.read import read_description
from search.data.api.reading import Read, Reader
from search.data.api.selector import xpath_of
from search.data.api.snapshots import Snapshot, Snapshots, pinned
from search.data.fetch import Fetched, Say
from search.data.reference import Reference
from search.data.web import keep
from search.data.web.client import Answer
from search.data.web.guard import shown
from search.errors import InputError
from search.paths import DataFolder

_MAX_FILE: Final = 64 << 20


def fetch(
    reference: Reference, folder: Path, place: DataFolder, *, refresh: bool, say: Say, sleep: Sleep = time.sleep
) -> Fetched:
    """Return the rows of a table on a page, or on many, as a Parquet file; see `Fetcher`."""
    found = pinned(reference, place)
    if found is not None:
        return found
    need_lxml()
    location = str(reference.location)
    if location.startswith(("http://", "https://")):
        name = shown(location).split("/")[2]  # the host
        description = Description(name, location, limit=Limit(requests_per_s=1.0))
    else:
        path = folder / location
        if path.suffix.lower() != ".toml":
            return _read_file(path, reference, place)
        description = read_description(path, "html")
    description = with_allowed(description, reference)
    return pull(description, table_reader(description), reference, place, refresh=refresh, say=say, sleep=sleep)


def table_reader(description: Description) -> Reader:
    """Return what makes rows of the table that a description speaks of."""

    def read(answer: Answer, ask: Ask, number: int, where: str) -> Read:
        kind = answer.headers.get("content-type", "")
        if "json" in kind:
            raise InputError(f"{where} is JSON, not HTML; describe it in a file for api:", field="data")
        tree = parse_page(answer.body, kind, where)
        table, note = choose_table(tree, description, where)
        if table is None:
            if number == 1:
                raise InputError(f"{where} has {note}", field="table", hint="rows that a script draws are not seen")
            return Read(Flat([], set()), None, notes=(f"page {number} has {note}: it was taken for the end",))
        rows, notes = table_records(table, description.decimal, where)
        flat = flatten(rows, description.columns, where)
        then = _next(description.paging, ask, answer, tree, len(flat.rows))
        found = (*([f"{where} has {note}"] if note else []), *notes) if number == 1 else ()
        return Read(flat, then, notes=found)

    return read


def _read_file(path: Path, reference: Reference, place: DataFolder) -> Fetched:
    """Return the table of a page that lies on this machine."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path.name} is no file; name the page itself", field="data")
        if path.stat().st_size > _MAX_FILE:
            raise InputError(f"{path.name} is larger than {_MAX_FILE >> 20} MB", field="data")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"page {str(path)[-120:]!r} cannot be read: {error.strerror}", field="data") from error
    table, note = choose_table(parse_page(content, "", path.name), Description(path.name, ""), path.name)
    if table is None:
        raise InputError(f"{path.name} has {note}", field="data")
    rows, told = table_records(table, ".", path.name)
    flat = flatten(rows, {}, path.name)
    if not flat.rows:
        raise InputError(f"{path.name} has a table without rows", field="data")
    columns = Columns()
    columns.see(1, flat.rows, flat.objects)
    import pyarrow as pa

    snapshots = Snapshots(place)
    notes = (*([f"{path.name} has {note}"] if note else []), *told, *columns.told())
    when = datetime.now(UTC).isoformat(timespec="seconds")
    with keep.writing(place):
        digest = snapshots.write(pa.Table.from_batches([columns.batch(flat.rows)]))
        snapshots.add(Snapshot(digest, len(flat.rows), when, "", "", notes=notes), path.name)
    pin = reference.with_options(snapshot=digest)
    return Fetched(place.snapshot(digest, ".parquet"), pin, None, notes)


def _next(paging: Paging, ask: Ask, answer: Answer, tree: Any, rows: int) -> Ask | None:
    if paging.kind != "next":
        return following(paging, ask, answer, None, rows)
    path = xpath_of(paging.selector)
    for element in tree.xpath(path) if path else []:
        link = element if element.get("href") else element.find(".//a[@href]")
        target = (link.get("href") if link is not None else "").strip()
        if target and not target.startswith("#") and not target.lower().startswith("javascript:"):
            return leading_to(answer, target.partition("#")[0])
    return None
