"""`hf:NAME[/CONFIG[/SPLIT]]`: a data set of the Hugging Face hub, by the Parquet files that the hub makes of each."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search.data.fetch import Fetched, Say
from search.data.reference import Reference
from search.data.web import keep
from search.data.web.client import Streamed, Web
from search.data.web.download import MAX_BYTES, Progress
from search.errors import InputError, SurroundingsError
from search.paths import DataFolder

if TYPE_CHECKING:
    import pyarrow as pa

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_SHOWN: Final = 12

Listing = Mapping[str, Mapping[str, Sequence[str]]]
"""The URLs of the Parquet files by configuration and split."""


def fetch(reference: Reference, folder: Path, place: DataFolder, *, refresh: bool, say: Say) -> Fetched:
    """Fetch a split of a data set.

    The hub is at `HF_ENDPOINT`, or huggingface.co; the token in `HF_TOKEN` is sent to it, and to nobody else. Without
    a configuration, the only one or `default` is taken; without a split, the only one or `train`.
    """
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    token = os.environ.get("HF_TOKEN", "").strip()

    def make() -> keep.Made:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        with Web(
            endpoint, allow=reference.listed("allow"), headers=headers, say=say, stay=False, max_bytes=MAX_BYTES
        ) as web:
            listing, rest = _list_files(web, endpoint, str(reference.location))
            urls, notes = _chosen(reference, listing, rest)
            parts = _download(web, urls, place, reference.name, say)
        finished = keep.temporary(place, "parquet")
        try:
            target = _join(parts, finished, reference.name)
        except SurroundingsError:
            shutil.rmtree(place.partial, ignore_errors=True)  # or the damaged files would be there the next time, too
            raise
        shutil.rmtree(place.partial)
        return keep.Made(finished, ".parquet", target, notes)

    return keep.find_or_make(reference, place, make, refresh=refresh)


def _list_files(web: Web, endpoint: str, location: str) -> tuple[Listing, list[str]]:
    """Return the files of a data set, and what follows its name: configuration and split.

    A name is OWNER/NAME, or, of a few old sets, NAME alone.
    """
    parts = location.strip("/").split("/")
    if len(parts) > 4 or not all(map(_NAME.fullmatch, parts)):
        raise InputError(
            f"hf: takes OWNER/NAME, OWNER/NAME/CONFIG or OWNER/NAME/CONFIG/SPLIT, got {location[:60]!r}", field="data"
        )
    for length in sorted({min(2, len(parts)), 1}, reverse=True):
        name = "/".join(parts[:length])
        answer = web.get(f"{endpoint}/api/datasets/{name}/parquet", accept=(401, 403, 404))
        if answer.status < 300:
            return _check_listing(name, answer.json()), parts[length:]
        if answer.status == 403:
            break
    raise SurroundingsError(
        f"the hub has no data set {'/'.join(parts[:2])[:80]!r} in Parquet, or hides it",
        field="data",
        hint="a private or gated one needs a token in HF_TOKEN",
    )


def _check_listing(name: str, listing: Any) -> Listing:
    configs = list(listing.values()) if isinstance(listing, dict) else []
    good = bool(configs) and all(isinstance(splits, dict) and splits for splits in configs)
    files = [urls for splits in configs for urls in splits.values()] if good else [None]
    if not all(isinstance(urls, list) and urls and all(isinstance(url, str) for url in urls) for urls in files):
        raise SurroundingsError(f"the hub lists no Parquet files of {name[:80]!r}", field="data")
    return listing  # type: ignore[no-any-return]


def _chosen(reference: Reference, listing: Listing, rest: Sequence[str]) -> tuple[Sequence[str], tuple[str, ...]]:
    """Return the URLs of the files to take, and what people should know of the choice."""
    config = _one(reference, "configuration", listing, rest[0] if rest else None, "default")
    splits = listing[config]
    split = _one(reference, "split", splits, rest[1] if len(rest) > 1 else None, "train")
    notes = []
    if len(rest) < 2 and len(splits) > 1:
        others = ", ".join(name for name in splits if name != split)[:80]
        notes.append(f"{reference.name}: its split {split!r} is taken; there is also {others}")
    return splits[split], tuple(notes)


def _one(reference: Reference, what: str, known: Mapping[str, object], wanted: str | None, usual: str) -> str:
    name = wanted or (usual if usual in known else next(iter(known)) if len(known) == 1 else None)
    if name in known and name is not None:
        return name
    shown = ", ".join(list(known)[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
    if wanted is None:
        raise InputError(f"{reference.name} has several {what}s; add one of {shown}", field="data")
    raise InputError(f"{reference.name}: there is no {what} {wanted[:40]!r}; it has {shown}", field="data")


def _download(web: Web, urls: Sequence[str], place: DataFolder, name: str, say: Say) -> list[Path]:
    """Return the files, downloaded; those that an earlier process finished are not asked for again."""
    listed = hashlib.sha256(json.dumps(list(urls)).encode()).hexdigest()
    state = keep.read_state(place)
    begun: dict[str, Any] = state.get("partial") or {}
    if begun.get("listed") != listed or not place.partial.is_dir():
        shutil.rmtree(place.partial, ignore_errors=True)
        place.partial.unlink(missing_ok=True)
        begun = {"listed": listed, "files": {}}
    place.partial.mkdir(exist_ok=True)
    paths = [place.partial / f"{number}.parquet" for number in range(len(urls))]
    for number, (url, path) in enumerate(zip(urls, paths, strict=True)):
        files: dict[str, Any] = begun["files"]
        facts = files.get(str(number)) or {}
        have = path.stat().st_size if path.exists() else 0
        if facts.get("size") is not None and facts["size"] == have:
            continue

        def note(answer: Streamed, size: int | None, key: str = str(number)) -> None:
            begun["files"][key] = {"validator": answer.validator, "size": size}
            keep.write_state(place, {**state, "partial": begun})

        label = f"{name}, file {number + 1} of {len(urls)}"
        answer = web.stream_to(
            url,
            path,
            offset=have,
            etag=facts.get("validator"),
            from_response=True,
            begin=lambda answer, note=note: note(answer, None),  # type: ignore[misc]
            progress=Progress(label, say),
        )
        note(answer, answer.size)
    return paths


def _join(parts: Sequence[Path], finished: Path, name: str) -> str | None:
    """Write Parquet files of equal columns into one, classes by their names, and return the column of classes.

    If there are several such columns, none is the target.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        stored = pq.read_schema(parts[0])
        classes = _classes(stored)
        fields = [field.with_type(pa.string()) if field.name in classes else field for field in stored]
        schema = pa.schema(fields)
        with pq.ParquetWriter(finished, schema) as writer:
            for part in parts:
                with pq.ParquetFile(part) as file:
                    for batch in file.iter_batches():
                        table = pa.Table.from_batches([batch]).cast(stored)
                        columns = [_named(table[field.name], classes.get(field.name)) for field in stored]
                        writer.write_table(pa.table(columns, schema=schema))
    except (pa.ArrowException, OSError, ValueError) as error:
        if getattr(error, "errno", None) is not None:  # of the disk
            raise
        said = " ".join(str(error).split())[:80]
        raise SurroundingsError(f"{name}: the hub sent damaged or unequal files: {said}", field="data") from error
    return next(iter(classes)) if len(classes) == 1 else None


def _classes(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the columns that the hub knows as classes, with their names."""
    import pyarrow as pa

    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = {name: feature.get("names") for name, feature in features.items() if feature["_type"] == "ClassLabel"}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
    return {
        name: [str(one) for one in names]
        for name, names in found.items()
        if isinstance(names, list) and names and name in schema.names and pa.types.is_integer(schema.field(name).type)
    }


def _named(column: pa.ChunkedArray, names: list[str] | None) -> pa.ChunkedArray:
    """Return classes by their names; a number without one, as -1 often is, counts as missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if names is None:
        return column
    known = pc.and_(pc.greater_equal(column, 0), pc.less(column, len(names)))
    return pc.take(pa.array(names), pc.if_else(known, column, None))
