"""`Description`: how to ask an API, or the pages of a site, for rows, and when to stop."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

MAX_PAGES: Final = 10_000
MAX_MB: Final = 1024.0


@dataclass(frozen=True, slots=True)
class Paging:
    """How one page leads to the next.

    Attributes:
        kind: `none`, `page`, `offset`, `cursor`, `link` or `next`.
        param: The query parameter that carries the page number, offset or cursor.
        start: The first page number or offset.
        size_param: The query parameter that carries `size`, or "".
        size: Rows that are asked for per page, or None.
        path: Where the next cursor or URL stands in an answer.
        selector: Of a page of a site, `tag.class` or `#id` of the link to the next.
        total: Where the number of all rows stands, or "".
        pages: Where the number of all pages stands, or "".
        more: Where it stands whether there is more, or "".
    """

    kind: str = "none"
    param: str = ""
    start: int = 1
    size_param: str = ""
    size: int | None = None
    path: str = ""
    selector: str = ""
    total: str = ""
    pages: str = ""
    more: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """How fast and how much; None as a number of pages is `MAX_PAGES`, which is a fault to reach."""

    requests_per_s: float = 10.0
    max_pages: int | None = None
    max_rows: int | None = None
    max_mb: float = MAX_MB


@dataclass(frozen=True, slots=True)
class Until:
    """The pull ends before the first row with a value beyond a bound."""

    column: str
    below: str | int | float | None = None
    above: str | int | float | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """When a pull ends, besides at the last page.

    Attributes:
        empty: At a page without rows.
        short: At a page with fewer rows than were asked for.
        not_found: At a page, not the first, that is answered with 404.
        until: At a value of a column.
    """

    empty: bool = True
    short: bool = False
    not_found: bool = False
    until: Until | None = None


@dataclass(frozen=True, slots=True)
class Since:
    """How a later pull asks only for what is new."""

    param: str
    column: str
    start: str | int | float | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """What to ask, where the rows are in an answer, and when to stop.

    Attributes:
        name: Of the file.
        url: With `${NAME}` for secrets, as in `query` and `headers`.
        records: Of an API: the path to the list of records; "" is the answer itself.
        table: Of a site: which table of a page, by number or id; None for the largest.
        match: Of a site: text that the table holds.
        decimal: Of a site: the mark before the decimals of its numbers, `.` or `,`.
        columns: Those to keep, by the names they get, or empty for all.
        key: The columns that tell rows apart; rows that come twice are one.
        allow: Hosts that an answer may lead to besides that of `url`.
        timeout_s: How long the other side may be silent.
        total_s: How long a page may take, all attempts and waits included.
    """

    name: str
    url: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    records: str = ""
    table: int | str | None = None
    match: str = ""
    decimal: str = "."
    columns: Mapping[str, str] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    timeout_s: float = 30.0
    total_s: float = 600.0
    paging: Paging = Paging()
    limit: Limit = Limit()
    stop: Stop = Stop()
    since: Since | None = None

    @property
    def asked(self) -> str:
        """A hash of what the pages depend on: an unfinished pull goes on only under the same one."""
        since = self.since.param if self.since else ""
        return _hash(
            [self.url, self.query, self.records, self.table, self.match, self.decimal, list(self.columns.items())],
            [asdict(self.paging), since, asdict(self.stop)["until"]],
        )

    @property
    def whole(self) -> str:
        """A hash of all that the rows depend on: a snapshot is of use only under the same one."""
        stop, since = asdict(self.stop), asdict(self.since) if self.since else None
        return _hash([self.asked, self.key, stop, since], [self.limit.max_pages, self.limit.max_rows])


def _hash(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
