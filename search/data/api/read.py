"""A description, a TOML file, read and checked: every fault in it is told at once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from search.data.api.description import MAX_MB, Description, Limit, Paging, Since, Stop, Until
from search.data.api.fields import Fields, raise_all
from search.data.api.secret import is_open_header, is_open_parameter
from search.data.api.selector import xpath_of
from search.data.secrets import has_secret
from search.errors import InputError

Source = Literal["api", "html"]

_KNOWN: Final[dict[str, tuple[str, ...]]] = {
    "both": (
        *("url", "method", "query", "headers", "columns", "key", "allow", "timeout_s", "total_s"),
        *("paging", "limit", "stop", "since"),
    ),
    "api": ("records",),
    "html": ("table", "match", "decimal"),
}
_PAGING: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "api": {
        "none": ("total",),
        "page": ("param", "start", "size_param", "size", "total", "pages", "more"),
        "offset": ("param", "start", "size_param", "size", "total", "more"),
        "cursor": ("path", "param", "size_param", "size", "total", "more"),
        "link": ("size_param", "size", "total"),
        "next": ("path", "size_param", "size", "total", "more"),
    },
    "html": {
        "none": (),
        "page": ("param", "start", "size_param", "size"),
        "offset": ("param", "start", "size_param", "size"),
        "link": ("size_param", "size"),
        "next": ("selector", "size_param", "size"),
    },
}
_RATE: Final = {"api": 10.0, "html": 1.0}


def read_description(path: Path, source: Source) -> Description:
    """Read and check a description.

    Raises:
        InputError: It is missing or not TOML, or has faults: each is told in a sentence of its own.
    """
    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        said = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise InputError(f"description {str(path)[-120:]!r} {said}", field="data") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path.name}: not TOML: {str(error)[:100]}", field="data") from error
    faults: list[InputError] = []
    made = _describe(Fields(found, file=path.name, faults=faults), path.name, source)
    raise_all(faults)
    return made


def _describe(top: Fields, name: str, source: Source) -> Description:
    top.only((*_KNOWN["both"], *_KNOWN[source]))
    if top.text("method", "GET").upper() != "GET":
        top.wrong("method", "GET, the only one that changes nothing on the other side")
    url = top.filled("url", "the address to ask")
    if url and not url.startswith(("http://", "https://")):
        top.fault("url", "url must start with https:// or http://")
    query, headers = top.pairs("query"), top.mapping("headers")
    _refuse_secrets(top, url, query, headers)
    columns = _columns(top)
    return Description(
        name=name,
        url=url,
        query=query,
        headers=headers,
        records=top.text("records"),
        table=_table(top),
        match=top.text("match"),
        decimal=top.choice("decimal", ".", (".", ",")),
        columns=columns,
        key=_known_columns(top, "key", top.texts("key"), columns),
        allow=top.texts("allow"),
        timeout_s=top.number("timeout_s", 30.0),
        total_s=top.number("total_s", 600.0),
        paging=_paging(top, source),
        limit=_limit(top, source),
        stop=_stop(top, columns),
        since=_since(top, columns),
    )


def _refuse_secrets(top: Fields, url: str, query: tuple[tuple[str, str], ...], headers: Mapping[str, str]) -> None:
    """Note each field that holds a secret itself: the file is kept and passed on with the project."""
    found = ["url"] if has_secret(url) else []
    found += [f"query.{name[:60]}" for name, value in query if is_open_parameter(name, value)]
    found += [f"headers.{name[:60]}" for name, value in headers.items() if is_open_header(name, value)]
    for name in found:
        hint = "write it as ${NAME} and put it in the environment"
        top.fault(name, f"a password or key stands in {name}", hint=hint)


def _columns(top: Fields) -> dict[str, str]:
    """Return the path of each column by the name it gets: `columns` is a list of paths, or a table of them."""
    if "columns" in top and isinstance(top.values["columns"], dict):
        return top.mapping("columns")
    return {path: path for path in top.texts("columns")}


def _known_columns(fields: Fields, name: str, used: tuple[str, ...], columns: Mapping[str, str]) -> tuple[str, ...]:
    for column in used:
        if columns and column not in columns:
            fields.fault(name, f"{column[:60]!r} of {name} is not among columns; it has to be pulled as well")
    return used


def _table(top: Fields) -> int | str | None:
    if "table" in top and isinstance(top.values["table"], str):
        return top.text("table").removeprefix("#")
    return top.whole("table", None, least=0)


def _paging(top: Fields, source: Source) -> Paging:
    fields = top.table("paging")
    kinds = _PAGING[source]
    if "kind" not in fields and top.has_table("paging"):
        fields.fault("kind", f"paging.kind is missing: one of {', '.join(kinds)}")
        return Paging()
    kind = fields.choice("kind", "none", kinds)
    fields.only(("kind", *kinds[kind]), f" for kind = {kind!r}" if kind != "none" else "")
    if "size" in fields and "size_param" not in fields and kind != "offset" and kind != "page":
        fields.fault("size", "paging.size needs paging.size_param, the parameter that carries it")
    if "size_param" in fields and "size" not in fields:
        fields.fault("size_param", "paging.size_param needs paging.size, the rows to ask for")
    default = {"page": "page", "offset": "offset"}.get(kind, "")
    param = fields.filled("param", "the parameter that carries the cursor") if kind == "cursor" else ""
    if fields.text("selector") and xpath_of(fields.text("selector")) is None:
        fields.fault(
            "selector", "paging.selector may hold tags, .class, #id, [attribute=value] and >, as in li.next > a"
        )
    path = fields.filled("path", f"where the answer holds the next {kind}") if "path" in kinds[kind] else ""
    return Paging(
        kind=kind,
        param=param or fields.text("param", default),
        start=fields.whole("start", 0 if kind == "offset" else 1, least=0) or 0,
        size_param=fields.text("size_param"),
        size=fields.whole("size", None),
        path=path,
        selector=fields.filled("selector", "the link to the next page, as in a.next")
        if "selector" in kinds[kind]
        else "",
        total=fields.text("total"),
        pages=fields.text("pages"),
        more=fields.text("more"),
    )


def _limit(top: Fields, source: Source) -> Limit:
    fields = top.table("limit")
    fields.only(("requests_per_s", "max_pages", "max_rows", "max_mb"))
    return Limit(
        fields.number("requests_per_s", _RATE[source]),
        fields.whole("max_pages", None),
        fields.whole("max_rows", None),
        fields.number("max_mb", MAX_MB),
    )


def _stop(top: Fields, columns: Mapping[str, str]) -> Stop:
    fields = top.table("stop")
    fields.only(("empty", "short", "not_found", "until"))
    until = None
    if "until" in fields:
        bound = fields.table("until")
        bound.only(("column", "below", "above"))
        column = bound.filled("column", "whose value ends the pull")
        _known_columns(top, "stop.until", (column,), columns)
        if ("below" in bound) == ("above" in bound):
            fields.fault("until", "stop.until needs either below or above, the bound of its column")
        until = Until(column, bound.scalar("below"), bound.scalar("above"))
    short = fields.flag("short", False)
    if short and "size" not in top.table("paging"):
        fields.fault("short", "stop.short needs paging.size: shorter than what?")
    # Where the other side says what comes next, it also says when that is nothing.
    counts = top.table("paging").text("kind", "none") in ("none", "page", "offset")
    return Stop(fields.flag("empty", counts), short, fields.flag("not_found", False), until)


def _since(top: Fields, columns: Mapping[str, str]) -> Since | None:
    if "since" not in top:
        return None
    fields = top.table("since")
    fields.only(("param", "column", "start"))
    column = fields.filled("column", "whose greatest value the next pull starts from")
    _known_columns(top, "since", (column,), columns)
    return Since(fields.filled("param", "the query parameter that asks for newer rows"), column, fields.scalar("start"))
