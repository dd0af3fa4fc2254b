"""A study as one page that needs no network: its `payload`, and the `html` that shows it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from search.records.history import History
from search.report import theme
from search.report.cards import LOGS, cards
from search.report.catalogue import PLOTS
from search.report.chosen import chosen, note
from search.report.columns import columns
from search.report.curves import curves
from search.report.evidence import Evidence
from search.report.head import head
from search.report.html import Markup, as_json, raw, tag
from search.report.made import made
from search.report.packing import cells
from search.report.plot import Data, Plot
from search.report.shell import shell

SECTIONS: Final = {
    "progress": "Progress",
    "mattered": "What mattered",
    "good": "Where it is good",
    "wasted": "What was wasted",
    "winner": "The winner",
    "trials": "Trials",
    "made": "How it was made",
}
"""The page's parts in order, by key, with their headings."""

MOST_CELLS: Final = 10_000
"""Cells of a figure's table that the page carries."""

_SCRIPTS: Final = ("plotly-cartesian.min.js", "page.js", "select.js", "table.js", "card.js")


def payload(history: History) -> dict[str, Any]:
    """Return all that the page shows of a study, as JSON-ready values; nothing of the study is read after that."""
    known = Evidence.of(history)
    numbers = chosen(history)
    trials = columns(history)
    notes = (note(history, numbers), LOGS, trials["note"])
    keys = {section: [plot.key for plot in PLOTS if plot.section == section] for section in SECTIONS}
    own = {"made": made(history, notes)}
    return {
        "study": history.folder.name,
        "state": history.status.state,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "head": head(known),
        "sections": [
            {"key": key, "heading": heading, "figures": keys[key], "html": own.get(key, "")}
            for key, heading in SECTIONS.items()
            if keys[key] or key in ("trials", "made")
        ],
        "figures": {plot.key: figure(plot, known) for plot in PLOTS},
        "templates": {look: theme.template(look) for look in theme.SHADES},
        "columns": trials,
        "curves": curves(history, numbers),
        "cards": cards(history, numbers),
    }


def figure(plot: Plot, known: Evidence) -> dict[str, Any]:
    """Return one figure of a study as the page takes it."""
    return shown(plot, known.infos.get(plot.key) or plot.info(known.history))


def shown(plot: Plot, info: Any) -> dict[str, Any]:
    """Return what a figure shows as the page takes it: its words, its plotly JSON without the template, its data."""
    words = plot.words(info)
    spec = None
    data: Mapping[str, list[Any]] = {}
    cut = ""
    if not words.empty:
        spec = json.loads(plot.figure(info).to_json())
        spec["layout"].pop("template", None)
        data, cut = _table(plot.data(info))
    return {
        "name": plot.name,
        "finding": words.finding,
        "note": words.note,
        "empty": words.empty,
        "wide": plot.wide,
        "spec": spec,
        "data": data,
        "cut": cut,
    }


def html(given: Mapping[str, Any], *, live: bool = False, parts: Sequence[str] = _SCRIPTS) -> str:
    """Return the page.

    Args:
        given: What `payload` returned.
        live: Whether the page is served by somebody who follows the study, and asks its server for what is new.
        parts: Names of its scripts; a page without trials has others.
    """
    scripts = [_asset(name) for name in (*parts, *(("live.js",) if live else ()))]
    top = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(scripts, live=live)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{given['study']} - sweep"),
        tag("style", raw(_asset("page.css"))),
    )
    body = tag(
        "body",
        shell(given, live=live),
        tag("script", as_json(_carried(given)), type="application/json", id="payload"),
        *(tag("script", raw(script)) for script in scripts),
    )
    return f"<!doctype html>\n{tag('html', top, body, lang='en', data_live=live)}\n"


def _carried(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the scripts need: not what stands in the page already."""
    sections = [{**section, "html": ""} for section in given["sections"]]
    return {**given, "head": "", "sections": sections}


def _table(data: Data) -> tuple[dict[str, list[Any]], str]:
    """Return a figure's table, and what is said where it is cut."""
    rows = len(next(iter(data.values()))) if data else 0
    most = MOST_CELLS // max(1, len(data))
    cut = (
        f"The page has the first {most:,} of {rows:,} rows; `sweep report STUDY --figures DIR` writes all."
        if rows > most
        else ""
    )
    return {str(name): cells(values[:most]) for name, values in data.items()}, cut


def _policy(scripts: list[Markup], *, live: bool) -> str:
    """Return the rules that the browser keeps to: no script but ours, nothing fetched, nothing sent."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    rules = {
        "default-src": "'none'",
        "script-src": " ".join(f"'sha256-{one}'" for one in hashes),
        "style-src": "'unsafe-inline'",  # plotly sets styles as it draws
        "img-src": "data: blob:",
        **({"connect-src": "'self'"} if live else {}),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


@lru_cache(maxsize=16)
def _asset(name: str) -> Markup:
    """Return a file of ours, fit to stand within the page."""
    return raw((files("search.report") / "assets" / name).read_text(encoding="utf-8"))
