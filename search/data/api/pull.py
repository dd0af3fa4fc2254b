"""`fetch` of `api:FILE.toml`: an HTTP JSON API pulled page by page into Parquet snapshots."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from search.data.api.answers import flatten, parse_json, records_at
from search.data.api.columns import Columns, as_text
from search.data.api.description import Description
from search.data.api.paging import Ask, first, following, said
from search.data.api.partial import Head, Partial
from search.data.api.read import read_description
from search.data.api.reading import Pace, Read, Reader
from search.data.api.rows import check_columns, greatest, whole_table
from search.data.api.secret import Secrets
from search.data.api.snapshots import Snapshot, Snapshots, pinned
from search.data.api.walk import StaleError, Walk
from search.data.fetch import Fetched, Say
from search.data.reference import Reference
from search.data.web import keep
from search.data.web.client import Answer, Web
from search.data.web.guard import shown
from search.errors import InputError, SurroundingsError, SweepError
from search.paths import DataFolder

_MAX_PAGE: Final = 64 << 20
Sleep = Callable[[float], None]


def fetch(
    reference: Reference, folder: Path, place: DataFolder, *, refresh: bool, say: Say, sleep: Sleep = time.sleep
) -> Fetched:
    """Return the rows of an API as a Parquet file; see `Fetcher`."""
    found = pinned(reference, place)
    if found is not None:
        return found
    path = folder / str(reference.location)
    description = with_allowed(read_description(path, "api"), reference)
    return pull(description, json_reader(description), reference, place, refresh=refresh, say=say, sleep=sleep)


def json_reader(description: Description) -> Reader:
    """Return what makes rows of the JSON that a description speaks of."""

    def read(answer: Answer, ask: Ask, number: int, where: str) -> Read:
        parsed = parse_json(answer.body, answer.headers.get("content-type", ""), where)
        records = records_at(parsed.value, description.records, where)
        then = following(description.paging, ask, answer, parsed.value, len(records))
        notes = (f"{where}: {parsed.not_finite} numbers are NaN or infinite: missing",) if parsed.not_finite else ()
        flat = flatten(records, description.columns, where)
        return Read(flat, then, said(description.paging, parsed.value), notes)

    return read


def pull(
    description: Description,
    reader: Reader,
    reference: Reference,
    place: DataFolder,
    *,
    refresh: bool,
    say: Say,
    sleep: Sleep,
) -> Fetched:
    """Return the newest snapshot; pull one if there is none of this description, or if asked to.

    Args:
        description: Says what to ask.
        reader: Makes rows of the answers.
        reference: As the user wrote it.
        place: Where snapshots and an unfinished pull lie.
        refresh: Extend the newest snapshot by what is new.
        say: Hears of progress.
        sleep: Waits a number of seconds.

    Raises:
        InputError: The description is wrong, or there are no rows.
        RefusedError: An answer leads where it may not.
        SurroundingsError: The other side fails; what came is kept, and the next call goes on from there.
    """
    texts = [description.url, *description.headers.values(), *(value for _, value in description.query)]
    snapshots = Snapshots(place)
    latest = snapshots.latest(description.whole)
    if latest is not None and not refresh:
        return _fetched(reference, place, latest)
    secrets = Secrets(texts, os.environ, description.name)
    job = _Job(description, reader, secrets, snapshots, place, lambda line: say(secrets.keep_out(line)), sleep)
    try:
        with keep.writing(place):
            return _fetched(reference, place, job.run(latest))
    except SweepError as error:
        raise type(error)(
            secrets.keep_out(error.message), field=error.field, hint=secrets.keep_out(error.hint)
        ) from None


def with_allowed(description: Description, reference: Reference) -> Description:
    """Return a description that also allows the hosts of the reference's `allow=`."""
    return replace(description, allow=(*description.allow, *reference.listed("allow")))


@dataclass(frozen=True, slots=True)
class _Job:
    """What a pull needs."""

    description: Description
    reader: Reader
    secrets: Secrets
    snapshots: Snapshots
    place: DataFolder
    say: Say
    sleep: Sleep

    def run(self, latest: Snapshot | None) -> Snapshot:
        """Pull, and note the snapshot that comes of it."""
        partial = Partial(self.place.partial, self.secrets)
        head = self._head(partial, latest)
        base = next((one for one in self.snapshots.known if head.base and one.sha256 == head.base), None)
        rows_before = self.snapshots.table(base) if base else None
        try:
            columns, walk = self._walk(partial, head, rows_before)
        except StaleError:
            self.say("the other side no longer knows where the unfinished pull was: it starts over")
            partial.begin(replace(head, begun=_now()))
            columns, walk = self._walk(partial, head, rows_before)
        if not walk.rows and base is None:
            partial.clear()  # or the next call would finish it again, without asking
            raise InputError(
                f"{shown(self.description.url)} gave no row (pages asked for: {walk.pages})",
                field="data",
                hint="are records, query and stop right?",
            )
        check_columns(self.description, columns, walk.offered)
        if sum(len(page.rows) for page in partial.pages()) != walk.rows:
            raise SurroundingsError(f"pages in {self.place.partial} were lost or changed", field="results")
        table, notes = whole_table(self.description, columns, partial.pages(), rows_before, head.since)
        told = (*walk.told(), *columns.told(), *notes)
        digest = self.snapshots.write(table)
        since = greatest(table, self.description.since.column) if self.description.since else None
        made = Snapshot(digest, len(table), head.begun, self.description.whole, head.id, head.base, since, told)
        if base is not None and base.sha256 == digest:
            made = replace(made, base=base.base, notes=(f"nothing is new since {base.when}", *told))
        self.snapshots.add(made, shown(self.description.url))
        partial.clear()
        return made

    def _head(self, partial: Partial, latest: Snapshot | None) -> Head:
        """Return the unfinished pull to go on with, or begin one."""
        head = partial.head()
        if head is not None and any(one.pull == head.id for one in self.snapshots.known):
            head = None  # it was finished, and only its pages were not yet cleared away
        if head is not None:
            if head.asked == self.description.asked and head.base in ("", latest and latest.sha256):
                return head
            self.say(f"{self.description.name} has changed: the unfinished pull starts over")
        elif latest is None and self.snapshots.known:
            self.say(f"{self.description.name} has changed: everything is pulled anew")
        extended = latest if self.description.key or self.description.since else None
        base, since = (extended.sha256, extended.since) if extended else ("", None)
        head = Head(self.description.asked, _now(), base, since)
        partial.begin(head)
        return head

    def _walk(self, partial: Partial, head: Head, base: object) -> tuple[Columns, Walk]:
        columns = Columns()
        if base is not None:
            columns.see_table(base)
        walk = Walk(self.description, partial, columns, self.say)
        walk.resume()
        if walk.pages:
            self.say(f"goes on with the pull of {head.begun}, of which {walk.pages} pages are here")
        if walk.end:
            return columns, walk
        description, fill = self.description, self.secrets.fill
        start = first(description, fill(description.url, quoted=True), self._query(head))
        pace = Pace(description.limit.requests_per_s, self.sleep)
        with Web(
            start.url,
            allow=description.allow,
            headers={name: fill(value) for name, value in description.headers.items()},
            say=self.say,
            timeout_s=description.timeout_s,
            total_s=description.total_s,
            max_bytes=min(_MAX_PAGE, int(description.limit.max_mb * (1 << 20))),
            sleep=self.sleep,
        ) as web:
            walk.go(web, start, self.reader, pace)
        return columns, walk

    def _query(self, head: Head) -> list[tuple[str, str]]:
        query = [(name, self.secrets.fill(value)) for name, value in self.description.query]
        since = self.description.since
        if since is None:
            return query
        value = head.since if head.since is not None else since.start
        return query if value is None else [*query, (since.param, as_text(value))]


def _fetched(reference: Reference, place: DataFolder, snapshot: Snapshot) -> Fetched:
    path = place.snapshot(snapshot.sha256, ".parquet")
    return Fetched(path, reference.with_options(snapshot=snapshot.sha256), None, snapshot.notes)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
