"""The page that shows how a model learns, live: one document, which asks nobody but its server: the `PAGE`."""

from __future__ import annotations

import gzip
import hashlib
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from search.report import theme
from search.report.html import as_json
from search.serve.reply import Reply

_SCRIPTS: Final = (
    ("search.report", "plotly-cartesian.min.js"),
    ("search.report", "page.js"),
    ("search.report", "plain.js"),
    ("search.online", "show.js"),
    ("search.online", "follow.js"),
)
"""In order: the look, the figures and their tables are those of a report."""


def reply(heads: Mapping[bytes, bytes]) -> Reply:
    """Return the page, packed for a browser that can unpack it: most of it is what draws figures.

    Args:
        heads: Of the request, by name in small letters.
    """
    return _packed() if b"gzip" in heads.get(b"accept-encoding", b"") else PAGE


@cache
def _packed() -> Reply:
    return PAGE._replace(
        body=gzip.compress(PAGE.body, mtime=0), headers=(*PAGE.headers, (b"content-encoding", b"gzip"))
    )


def _asset(package: str, name: str) -> str:
    return (files(package) / "assets" / name).read_text(encoding="utf-8")


def _payload() -> dict[str, Any]:
    """Return what the scripts begin with: a figure without data, which its server is asked for."""
    looks = {look: theme.template(look) for look in theme.SHADES}
    return {"study": "online", "templates": looks, "figures": {"scores": {"spec": None, "data": {}, "cut": ""}}}


def _page() -> Reply:
    """Return the page; it holds nothing of the model, which it asks for with the reader's token."""
    scripts = [_asset(*one) for one in _SCRIPTS]
    hashes = " ".join(f"'sha256-{b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in scripts)
    parts = {
        "style": f"{_asset('search.report', 'page.css')}\n{_asset('search.online', 'page.css')}",
        "payload": as_json(_payload()),
        "scripts": "".join(f"<script>{one}</script>" for one in scripts),
    }
    document = _asset("search.online", "page.html")
    for name, text in parts.items():
        document = document.replace(f"/*{name}*/", text)
    policy = (  # plotly sets styles as it draws
        f"default-src 'none'; style-src 'unsafe-inline'; script-src {hashes}; "
        "connect-src 'self'; img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = (
        (b"content-security-policy", policy.encode()),
        (b"x-frame-options", b"DENY"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"vary", b"accept-encoding"),
    )
    return Reply(200, document.encode(), b"text/html; charset=utf-8", headers)


PAGE: Final = _page()
