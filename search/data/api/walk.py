"""`Walk`: page after page until the last, each kept before the next is asked for; circles and lies are told."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Final

from search.data.api.answers import Scalar
from search.data.api.columns import Columns
from search.data.api.description import MAX_PAGES, Description, Until
from search.data.api.paging import Ask
from search.data.api.partial import Page, Partial
from search.data.api.reading import Pace, Read, Reader
from search.data.fetch import Say
from search.data.web.client import Web
from search.errors import InputError, SurroundingsError, SweepError, did_you_mean

_MOST_EMPTY: Final = 50
"""Pages without a row, one after the other, before a pull gives up on more."""
_SHORT: Final = 20
"""Characters of a hint that leaves room for another."""
_TOLD: Final = 5
"""Notes on pages that are told; the others are counted."""
_GONE: Final = (400, 404, 410, 422)
"""How a cursor of yesterday may be answered."""


class Walk:
    """One pull.

    Args:
        description: Says where to stop.
        partial: Holds the pages.
        columns: Learns from each page.
        say: Hears of progress.

    Attributes:
        rows: So far.
        pages: So far.
        notes: One sentence for each thing that people should know, so far.
        end: Why the last page is the last; "" before.
        offered: The paths of what could be chosen as columns, of the pages that came in this process.
    """

    def __init__(self, description: Description, partial: Partial, columns: Columns, say: Say) -> None:
        self._description = description
        self._partial = partial
        self._columns = columns
        self._say = say
        self._asked: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._keys: set[int] = set()
        self._stale = self._empty = self._size = 0
        self._totals: list[int] = []
        self._last_pages: int | None = None
        self._following: Ask | None = None
        self.rows = self.pages = 0
        self.offered: set[str] = set()
        self.notes: list[str] = []
        self.end = ""

    def resume(self) -> None:
        """Take in the pages that are there."""
        for page in self._partial.pages():
            self._columns.see(page.number, page.rows, page.objects)
            self._take(page)
        most = self._description.limit.max_pages
        if most is not None and self.pages >= most and not self.end:
            self.end = "limit.max_pages"

    def go(self, web: Web, start: Ask, reader: Reader, pace: Pace) -> None:
        """Ask for page after page, from where it is.

        Raises:
            InputError: What the description says of the answers is wrong.
            RefusedError: An answer leads where it may not.
            SurroundingsError: The other side fails, lies, or leads in a circle; what came is kept.
            StaleError: It went on from an earlier page, which the other side no longer knows.
        """
        ask = self._following if self.pages else start
        resumed = self.pages > 0
        said_at = float("-inf")
        while not self.end:
            assert ask is not None, "a page without an end has a next one"
            try:
                page = self._page(web, ask, reader, pace, resumed=resumed)
                self._take(page)
            except SweepError as error:
                raise _with_kept(error, self.pages) from error
            ask, resumed = page.following, False
            if monotonic() - said_at > 1 or self.end:
                self._say(f"page {self.pages}: {self.rows} rows so far")
                said_at = monotonic()

    def told(self) -> list[str]:
        """Return notes on the whole."""
        notes = self.notes[:_TOLD]
        if len(self.notes) > _TOLD:
            notes.append(f"{len(self.notes) - _TOLD} more notes of that kind are left out")
        if self.end.startswith("limit"):
            notes.append(f"stopped after {self.end.replace('.', ' ')} = {self._bound()}: there may be more")
        if any(later < earlier for earlier, later in zip(self._totals, self._totals[1:], strict=False)):
            notes.append(
                f"the total shrank from {max(self._totals)} to {min(self._totals)} during the pull: "
                "rows may have been skipped"
            )
        beyond = self.end in ("an empty page", "not found")
        whole = beyond or self.end == "the last page"
        if whole and self._totals and self._totals[-1] != self.rows:
            notes.append(f"the answers speak of {self._totals[-1]} rows in all, {self.rows} came")
        pages = self.pages - beyond
        if whole and self._last_pages is not None and self._last_pages != pages:
            notes.append(f"the answers speak of {self._last_pages} pages in all, {pages} came")
        return notes

    def _bound(self) -> object:
        limit = self._description.limit
        return limit.max_pages if self.end == "limit.max_pages" else limit.max_rows

    def _page(self, web: Web, ask: Ask, reader: Reader, pace: Pace, *, resumed: bool) -> Page:
        """Ask for one page and keep it."""
        number = self.pages + 1
        self._check_before(ask, number)
        by_number = self._description.paging.kind in ("page", "offset")
        may_be_over = by_number and number > 1 and (self._description.stop.not_found or self._is_all())
        accept = (404,) if may_be_over else _GONE if resumed and not by_number else ()
        pace.wait()
        answer = web.get(ask.url, from_response=ask.from_response, accept=accept)
        identity = self._partial.identity(ask)
        if answer.status in accept:
            if not may_be_over:
                raise StaleError
            page = Page(number, identity, [], [], 0, 0, None, None, [], None, "not found")
            self._partial.add(page)
            return page
        where = f"page {number} of {self._partial.shown(ask)}"
        read = reader(answer, ask, number, where)
        self.offered |= read.flat.offered
        rows, end = self._cut(self._partial.hidden(read.flat.rows), where)
        page = Page(
            number=number,
            asked=identity,
            rows=rows,
            objects=self._partial.hidden_names(read.flat.objects),
            came=len(read.flat.rows),
            size=len(answer.body),
            total=read.said.total,
            pages=read.said.pages,
            notes=[*read.notes, *self._notes_of_first(read, number)],
            following=None if end else read.following,
            end=end or self._end(read, number),
        )
        self._check_after(page, where)
        self._columns.see(page.number, page.rows, page.objects)  # may refuse it: then it is not kept
        self._partial.add(page)
        return page

    def _check_before(self, ask: Ask, number: int) -> None:
        earlier = self._asked.get(self._partial.identity(ask))
        if earlier is not None:
            raise SurroundingsError(
                f"paging goes in a circle: page {number - 1} leads back to page {earlier}", field="paging"
            )
        if number > MAX_PAGES and self._description.limit.max_pages is None:
            raise SurroundingsError(
                f"{MAX_PAGES} pages came and there is no end",
                field="paging",
                hint="set limit.max_pages if there really are more",
            )

    def _check_after(self, page: Page, where: str) -> None:
        """Make sure that a page brings something new, and what the description needs."""
        earlier = self._seen.get(page.digest) if page.rows else None
        if earlier is not None:
            raise SurroundingsError(
                f"page {page.number} holds the same {len(page.rows)} rows as page {earlier}: paging goes in a circle",
                field="paging",
                hint=self._blame(),
            )
        if self._size + page.size > self._description.limit.max_mb * (1 << 20):
            raise SurroundingsError(
                f"more than {self._description.limit.max_mb:g} MB came by page {page.number}",
                field="limit.max_mb",
                hint="raise limit.max_mb, or ask for less",
            )
        if not page.came and self._empty + 1 >= _MOST_EMPTY and not page.end:
            raise SurroundingsError(f"{_MOST_EMPTY} pages in a row hold no row, and there is no end", field="paging")
        for position, row in enumerate(page.rows, start=1):
            for name in self._description.key:
                if row.get(name) is None:
                    fresh = self.rows == 0 and not any(name in one for one in page.rows)
                    hint = did_you_mean(name, {key for one in page.rows for key in one}) if fresh else ""
                    kind = InputError if fresh else SurroundingsError
                    raise kind(f"{where}: row {position} has no value in the key {name[:60]!r}", field="key", hint=hint)
        new = {hash(tuple(row[name] for name in self._description.key)) for row in page.rows}
        if self._description.key and page.rows and new <= self._keys and self._stale:
            raise SurroundingsError(
                f"pages {page.number - 1} and {page.number} hold only rows that were there before: "
                "paging goes in a circle",
                field="paging",
                hint=self._blame(),
            )

    def _take(self, page: Page) -> None:
        self._asked[page.asked] = page.number
        if page.rows:
            self._seen.setdefault(page.digest, page.number)
        if self._description.key:
            new = {hash(tuple(row[name] for name in self._description.key)) for row in page.rows}
            self._stale = self._stale + 1 if page.rows and new <= self._keys else 0
            self._keys |= new
        self._empty = 0 if page.came else self._empty + 1
        self._size += page.size
        self._totals += [page.total] if page.total is not None else []
        self._last_pages = page.pages if page.pages is not None else self._last_pages
        self.pages, self.rows = page.number, self.rows + len(page.rows)
        self.notes += page.notes
        self.end, self._following = page.end, page.following

    def _is_all(self) -> bool:
        """Tell whether as much came as the answers speak of."""
        rows = bool(self._totals) and self.rows >= self._totals[-1]
        return rows or (self._last_pages is not None and self.pages >= self._last_pages)

    def _cut(self, rows: list[dict[str, Scalar]], where: str) -> tuple[list[dict[str, Scalar]], str]:
        """Leave out what comes after a stop rule, and say which it was."""
        until, most = self._description.stop.until, self._description.limit.max_rows
        end = ""
        if until is not None:
            if rows and self.rows == 0 and not any(until.column in row for row in rows):
                raise InputError(
                    f"{where} has no column {until.column[:60]!r}",
                    field="stop.until",
                    hint=did_you_mean(until.column, {name for row in rows for name in row}),
                )
            beyond = next((at for at, row in enumerate(rows) if _is_beyond(row.get(until.column), until)), None)
            if beyond is not None:
                rows, end = rows[:beyond], "stop.until"
        if most is not None and self.rows + len(rows) >= most:
            end = "limit.max_rows" if self.rows + len(rows) > most else end or "limit.max_rows"
            rows = rows[: most - self.rows]
        return rows, end

    def _end(self, read: Read, number: int) -> str:
        came, stop, limit = len(read.flat.rows), self._description.stop, self._description.limit
        if not came and (stop.empty or read.following is None):
            return "an empty page"
        if read.following is None:
            return "the last page"
        if stop.short and came < (self._description.paging.size or 0):
            return "a short page"
        return "limit.max_pages" if number == limit.max_pages else ""

    def _notes_of_first(self, read: Read, number: int) -> Sequence[str]:
        if number > 1:
            return ()
        size, came = self._description.paging.size or 0, len(read.flat.rows)
        if read.said.lost and came:
            return (f"the first answer has no {read.said.lost[:60]!r}: it was taken for the only page",)
        if read.following is not None and 0 < came < size and not self._description.stop.short:
            return (f"{size} rows a page were asked for, {came} came on the first",)
        return ()

    def _blame(self) -> str:
        paging = self._description.paging
        return f"does it know the parameter {paging.param[:40]!r}?" if paging.param else "is paging right?"


class StaleError(Exception):
    """The other side no longer knows the page from which an unfinished pull would go on."""


def _is_beyond(value: Scalar, until: Until) -> bool:
    bound = until.below if until.below is not None else until.above
    if isinstance(value, str) and isinstance(bound, str):
        return value < bound if until.below is not None else value > bound
    if isinstance(value, (int, float)) and isinstance(bound, (int, float)):
        return value < bound if until.below is not None else value > bound
    return False


def _with_kept(error: SweepError, pages: int) -> SweepError:
    if not isinstance(error, SurroundingsError) or len(error.hint) > _SHORT or not pages or error.field == "paging":
        return error
    kept = "the page before it is kept" if pages == 1 else f"the {pages} pages before it are kept"
    return SurroundingsError(
        error.message,
        field=error.field,
        hint=f"{f'{error.hint}; ' if error.hint else ''}{kept}, and the same command goes on from there",
    )
