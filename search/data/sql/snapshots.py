"""The fetcher of `sql:`: a query's rows, asked for once and kept as they were."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from search.data import secrets
from search.data.fetch import Fetched, Say
from search.data.reference import Reference
from search.data.web import keep
from search.errors import SurroundingsError
from search.paths import DataFolder, write_atomic

ENVIRONMENT: Final = "SWEEP_SQL_URL"
"""Holds the URL of the database where a reference names none; it may hold a password."""

_SUFFIX: Final = ".parquet"


def fetch(
    reference: Reference,
    folder: Path,
    place: DataFolder,
    *,
    refresh: bool,
    say: Say,
) -> Fetched:
    """Ask a database, or take what it answered the last time, or at the time that `snapshot=` names.

    Raises:
        InputError: The query or the URL is wrong, or the snapshot is not there.
        SurroundingsError: The database cannot be reached.
        RefusedError: The snapshot is not what it was.
    """
    hint = "bring it there from where it was asked, or leave snapshot= out to ask again"
    pinned = reference.option("snapshot")
    if pinned is not None:
        return Fetched(keep.snapshot(reference, place, pinned, hint=hint), reference.with_options())
    last = None if refresh else _last(place, _database(reference))
    if last is not None:
        age = _age(datetime.now(UTC) - datetime.fromisoformat(last["fetched"]))
        note = f"{reference.name} was asked {age} ago, and its {last['rows']:,} rows of then are used"
        path = keep.snapshot(reference, place, last["sha256"], hint=hint)
        return Fetched(path, reference.with_options(snapshot=last["sha256"]), notes=(f"{note}; --refresh asks again",))
    digest, rows = _ask(reference, place, say)
    note = f"{reference.name} gave {rows:,} rows"
    return Fetched(place.snapshot(digest, _SUFFIX), reference.with_options(snapshot=digest), notes=(note,))


def _ask(reference: Reference, place: DataFolder, say: Say) -> tuple[str, int]:
    """Ask the database, keep all that it answers or nothing, and return its sha256 and how many rows it is."""
    import pyarrow.parquet as pq

    from search.data.sql.address import Address
    from search.data.sql.query import check_query, copy

    query = reference.option("query") or ""
    check_query(query)
    address = Address.of(str(reference.location), otherwise=ENVIRONMENT)
    say(f"asking {address.shown}")
    started = datetime.now(UTC)
    shutil.rmtree(place.partial, ignore_errors=True)  # of a process that was killed
    try:
        place.partial.mkdir(parents=True)
        whole = place.partial / f"whole{_SUFFIX}"
        schema = copy(address, query, place.partial, whole, say)
        digest, rows = keep.digest_of(whole), int(pq.read_metadata(whole).num_rows)
        keep.keep(place, whole, digest, _SUFFIX)
        made = {
            "sha256": digest,
            "database": _database(reference),
            "rows": rows,
            "columns": {name: str(kind) for name, kind in zip(schema.names, schema.types, strict=True)},
            "fetched": started.isoformat(timespec="seconds"),
        }
        earlier = [one for one in _snapshots(place) if one["sha256"] != digest]
        state = {"kind": "sql", "query": query, "snapshots": [*earlier, made]}
        write_atomic(place.state, json.dumps(state, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise SurroundingsError(
            f"{place.root} cannot be written: {error.strerror or error}", field="results", hint="nothing was kept"
        ) from error
    finally:
        shutil.rmtree(place.partial, ignore_errors=True)
    return digest, rows


def _database(reference: Reference) -> str:
    """Return the database as it is shown; "" where only the environment could name it, and does not."""
    return secrets.shown(str(reference.location) or os.environ.get(ENVIRONMENT, ""))


def _last(place: DataFolder, database: str) -> Mapping[str, Any] | None:
    """Return the newest snapshot that is still there; the environment may name another database than before."""
    of_it = [one for one in _snapshots(place) if database in ("", one["database"])]
    there = [one for one in of_it if place.snapshot(one["sha256"], _SUFFIX).is_file()]
    return there[-1] if there else None


def _snapshots(place: DataFolder) -> list[dict[str, Any]]:
    """Return what is noted of earlier snapshots, the newest last; none if the note is missing or damaged."""
    try:
        found = json.loads(place.state.read_bytes())["snapshots"]
        for one in found:
            datetime.fromisoformat(one["fetched"])
            int(one["rows"])
            int(one["sha256"], 16)
            str(one["database"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return list(found)


def _age(passed: timedelta) -> str:
    seconds = max(0, int(passed.total_seconds()))
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"
