"""The page that tries a model by hand: one document, which loads nothing from anywhere: `PAGE`."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from importlib.resources import files
from typing import Final

from search.serve.reply import Reply


def _asset(name: str) -> str:
    return (files("search.serve") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _page() -> Reply:
    """Return the page; it holds nothing of the model, which it asks for with the reader's token."""
    style, script = _asset("page.css"), _asset("page.js")
    document = _asset("page.html").replace("/*style*/", style).replace("/*script*/", script)
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; connect-src 'self'; "
        "img-src blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = (
        (b"content-security-policy", policy.encode()),
        (b"x-frame-options", b"DENY"),
        (b"cross-origin-opener-policy", b"same-origin"),
    )
    return Reply(200, document.encode(), b"text/html; charset=utf-8", headers)


PAGE: Final = _page()
