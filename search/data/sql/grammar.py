"""`sql:URL?query=SELECT ...` taken apart: the database's URL, and our options."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final
from urllib.parse import quote_plus

from search.errors import InputError, did_you_mean

_SQLITE: Final = re.compile(r"(sqlite(?:\+\w+)?:///)(?!file:|:memory:)([^/].*)", re.DOTALL)
_PARAMETER: Final = re.compile(r"[A-Za-z_][\w.-]*=[^@]*")
_AFTER_QUERY: Final = re.compile(r"&((?:drop|snapshot|task)=[^&]*)\Z")


def take_apart(rest: str, ours: Collection[str], folder: Path) -> tuple[str, str]:
    """Return the URL of the database with its own parameters, a SQLite file made absolute; and our options.

    What stands after `?` is read as in any URL if there is no blank in it. Else `query=` holds all the rest as it is,
    but for options of ours at its end: SQL may have `&`, `+` and `%` in it.

    Args:
        rest: What stands after `sql:`.
        ours: The names of our options.
        folder: What the path of a SQLite file is relative to.

    Raises:
        InputError: There is no query, or something after the `?` is no parameter.
    """
    url, _, tail = rest.partition("?")
    pairs = [pair for pair in _pairs(tail) if pair]
    own = [pair for pair in pairs if pair.partition("=")[0] in ours]
    theirs = [re.sub(r"\s", "+", pair) for pair in pairs if pair.partition("=")[0] not in ours]
    if not all(map(_PARAMETER.fullmatch, theirs)):
        raise InputError("what stands after the ? of a database's URL is NAME=VALUE, joined by &", field="data")
    if not any(re.match("query=.", pair) for pair in own):
        near = [name for name in (pair.partition("=")[0] for pair in theirs) if "did" in did_you_mean(name, ["query"])]
        hint = f"{near[0]}= is no query=" if near else "try 'sql:postgresql://me@host/db?query=SELECT ...'"
        raise InputError("sql: needs a query", field="data", hint=hint)
    if local := _SQLITE.fullmatch(url):
        # unlike Path's own, it leaves a home that there is not as it is written
        url = local[1] + str((folder / os.path.expanduser(local[2])).absolute())  # noqa: PTH111
    return "?".join(filter(None, [url, "&".join(theirs)])), "&".join(own)


def _pairs(tail: str) -> list[str]:
    """Return the parameters after the `?`, encoded."""
    query = re.search(r"(?:\A|&)query=", tail) if re.search(r"\s", tail) else None
    if query is None:
        return tail.split("&")
    sql, after = tail[query.end() :], list[str]()
    while own := _AFTER_QUERY.search(sql):
        sql = sql[: own.start()]
        after.insert(0, own[1])
    return [*tail[: query.start()].split("&"), f"query={quote_plus(sql.strip())}", *after]
