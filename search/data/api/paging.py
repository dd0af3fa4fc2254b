"""What to ask next: each kind of paging as a function from an answer to the next URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from search.data.api.answers import MISSING, at_path
from search.data.api.description import Description, Paging
from search.data.web.client import Answer
from search.errors import InputError, RefusedError, SurroundingsError

_LINK: Final = re.compile(r'<([^<>]*)>((?:\s*;\s*[^\s;,="]+\s*(?:=\s*(?:"[^"]*"|[^\s;,"]*))?)*)')
_REL: Final = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)
_MAX_CURSOR: Final = 4000
_WHOLE: Final = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for.

    Attributes:
        url: With everything in it, secrets too.
        from_response: Where it leads was said by the other side.
        place: The page number or offset it stands for.
    """

    url: str
    from_response: bool = False
    place: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says about the whole: rows, pages; None where it does not."""

    total: int | None = None
    pages: int | None = None
    lost: str = ""
    """The path under which nothing was, where an answer should have said what comes next."""


def first(description: Description, url: str, query: list[tuple[str, str]]) -> Ask:
    """Return what to ask first.

    Args:
        description: Says how.
        url: Of the description, secrets filled in.
        query: Of the description, secrets filled in, and what a later pull adds.

    Raises:
        InputError: The URL is none.
    """
    paging = description.paging
    if paging.size_param and paging.size is not None:
        query = [*query, (paging.size_param, str(paging.size))]
    try:
        whole = _with_query(url, query)
    except ValueError:
        raise InputError(f"{description.name}: url is no address of the form https://HOST/PATH", field="url") from None
    if paging.kind in ("page", "offset"):
        return Ask(_with_query(whole, [(paging.param, str(paging.start))]), place=paging.start)
    return Ask(whole)


def following(paging: Paging, ask: Ask, answer: Answer, value: Any, rows: int) -> Ask | None:
    """Return what to ask after an answer, or None where it is the last.

    Args:
        paging: How pages follow each other.
        ask: What was asked.
        answer: What came.
        value: Its JSON; None if it was none.
        rows: How many rows it held, before any were left out.

    Raises:
        SurroundingsError: What the answer says about the next page is of no use.
    """
    if paging.more and not _is_true(at_path(value, paging.more)):
        return None
    match paging.kind:
        case "page":
            return Ask(_with_query(ask.url, [(paging.param, str(ask.place + 1))]), place=ask.place + 1)
        case "offset":  # by what came: where the other side caps its pages, counting what was asked for would skip rows
            place = ask.place + (rows or paging.size or 1)
            return Ask(_with_query(ask.url, [(paging.param, str(place))]), place=place)
        case "cursor":
            cursor = _cursor(paging, value)
            return None if cursor is None else Ask(_with_query(ask.url, [(paging.param, cursor)]))
        case "next":
            url = _cursor(paging, value)
            return None if url is None else leading_to(answer, url)
        case "link":
            url = next_link(answer.headers.get("link", ""))
            return None if url is None else leading_to(answer, url)
    return None


def leading_to(answer: Answer, url: str) -> Ask:
    """Return what to ask where an answer names the URL, which may be relative.

    Raises:
        RefusedError: It is of another kind than http and https.
        SurroundingsError: It is no URL.
    """
    try:
        whole = urljoin(answer.url, url.strip())
        if urlsplit(whole).scheme not in ("http", "https"):
            raise RefusedError(
                f"an answer leads to {urlsplit(whole).scheme[:20]}:, and only http and https are followed",
                field="paging",
            )
        return Ask(whole, from_response=True)
    except ValueError:
        raise SurroundingsError("an answer names a next page that is no URL", field="paging") from None


def said(paging: Paging, answer: Any) -> Said:
    """Return what an answer says about the whole."""
    lost = paging.path if paging.path and at_path(answer, paging.path) is MISSING else ""
    return Said(_count(answer, paging.total), _count(answer, paging.pages), lost)


def next_link(header: str) -> str | None:
    """Return the URL with `rel=next` in a Link header (RFC 8288), or None."""
    for url, parameters in _LINK.findall(header):
        relation = _REL.search(parameters)
        if relation and "next" in (relation[1] or relation[2] or "").lower().split():
            return str(url)
    return None


def _with_query(url: str, pairs: list[tuple[str, str]]) -> str:
    """Return a URL whose query has these pairs, in place of those of the same names."""
    parts = urlsplit(url)
    names = {name for name, _ in pairs}
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in names]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode([*kept, *pairs]), ""))


def _cursor(paging: Paging, answer: Any) -> str | None:
    value = at_path(answer, paging.path)
    if value is MISSING or value is None or value is False or value == "":
        return None
    if isinstance(value, (str, int, float)) and not isinstance(value, bool) and len(str(value)) <= _MAX_CURSOR:
        return str(value)
    raise SurroundingsError(
        f"{paging.path[:60]!r} of an answer should hold the next {paging.kind}, but is neither text nor a number",
        field="paging.path",
    )


def _is_true(value: object) -> bool:
    return value is not MISSING and value not in (None, False, 0, "", "false", "False", "0")


def _count(answer: Any, path: str) -> int | None:
    value = at_path(answer, path) if path else MISSING
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
