"""The body of the page: its header, its sections with the places of the figures, the table and the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search.report.html import Markup, raw, tag


def shell(given: Mapping[str, Any], *, live: bool) -> Markup:
    """Return what stands in the body, but for the data and the scripts; a live page needs its server."""
    sections = given["sections"]
    links = [tag("li", tag("a", one["heading"], href=f"#{one['key']}")) for one in sections]
    first = "trials" if any(one["key"] == "trials" for one in sections) else sections[0]["key"]
    theme = tag("button", "Dark", type="button", id="theme")
    return tag(
        "div",
        tag("a", f"Skip to the {first}", href=f"#{first}", class_="skip"),
        tag("nav", tag("ul", *links), theme, aria_label="Sections"),
        tag("header", raw(given["head"]), id="head"),
        tag("main", *(_section(place, one, given["figures"]) for place, one in enumerate(sections, 1))),
        tag("footer", tag("p", f"Made by sweep on {given['made']}.{'' if live else ' This page needs no network.'}")),
        _picked(),
        _card(),
        id="page",
    )


def _section(place: int, section: Mapping[str, Any], figures: Mapping[str, Any]) -> Markup:
    key = section["key"]
    return tag(
        "section",
        tag("h2", tag("span", place, class_="place"), section["heading"], id=f"{key}-title"),
        tag("div", *_figures(section["figures"], figures), class_="figures"),
        _trials() if key == "trials" else None,
        tag("div", raw(section["html"]), class_="own", data_section=key),
        id=key,
        aria_labelledby=f"{key}-title",
    )


def _figures(keys: Sequence[str], figures: Mapping[str, Any]) -> list[Markup]:
    """Return the figures of a section; where narrow ones do not make pairs, the last of them is wide."""
    narrow = [key for key in keys if not figures[key]["empty"] and not figures[key]["wide"]]
    alone = narrow[-1] if len(narrow) % 2 else ""
    return [_figure(key, figures[key], wide=figures[key]["wide"] or key == alone) for key in keys]


def _figure(key: str, shown: Mapping[str, Any], *, wide: bool) -> Markup:
    """Return a figure's place; what it has not is there, hidden, so that it can come while the page is open."""
    is_empty = bool(shown["empty"])
    told = " ".join(part for part in (shown["name"], shown["finding"], shown["note"]) if part)
    high = 0 if shown["spec"] is None else shown["spec"]["layout"].get("height", 340)  # so that nothing jumps later
    data = tag(
        "details",
        tag("summary", "Data", tag("span", f" of the figure {shown['name']}", class_="unseen")),
        tag("button", "CSV", type="button", class_="csv", aria_label=f"CSV of the data of the figure {shown['name']}"),
        tag("div", class_="data"),
        hidden=is_empty,
    )
    return tag(
        "figure",
        tag("p", shown["name"], class_="name"),
        tag("h3", shown["finding"], id=f"finding-{key}"),
        tag("p", shown["empty"], class_="empty", hidden=not is_empty),
        tag(
            "div",
            tag("div", class_="plot", role="group", aria_label=told, hidden=is_empty, style=f"min-height:{high}px"),
            class_="port",
        ),
        tag("figcaption", shown["note"], class_="note", hidden=not shown["note"]),
        data,
        id=f"figure-{key}",
        data_key=key,
        class_="wide panels" if shown["wide"] else "wide" if wide else None,
        aria_labelledby=f"finding-{key}",
    )


def _trials() -> Markup:
    hint = "words, state:fail, lr<0.01, -state:pruned, #12"
    return tag(
        "div",
        tag(
            "div",
            tag("label", "Filter", for_="filter"),
            tag("input", type="search", id="filter", placeholder=hint, autocomplete="off", spellcheck="false"),
            tag("span", id="count", role="status", aria_live="polite"),
            tag("details", tag("summary", "Columns"), tag("div"), id="columns"),
            tag("button", "CSV", type="button", id="export", aria_label="CSV of the trials that are shown"),
            class_="tools",
        ),
        tag(
            "div",
            tag("table", tag("caption", "All trials", class_="unseen"), tag("thead"), tag("tbody"), id="rows"),
            id="rows-port",
        ),
        tag(
            "p",
            "Click a row for its card; Ctrl or Shift picks several; Enter, Space and the arrow keys do as well.",
            class_="quiet",
        ),
        tag(
            "p", "On paper the table has its first rows and columns; the page has all of them.", class_="on-paper quiet"
        ),
        class_="trials",
    )


def _picked() -> Markup:
    return tag(
        "div",
        tag("span", role="status", aria_live="polite"),
        tag("button", "Card", type="button", id="show-picked"),
        tag("button", "Clear (Esc)", type="button", id="unpick"),
        id="picked",
        hidden=True,
    )


def _card() -> Markup:
    buttons = [("before", "‹", "Trial before"), ("after", "›", "Trial after"), ("close", "×", "Close the card")]
    return tag(
        "dialog",
        tag(
            "div",
            tag("h2", id="card-title", tabindex="-1"),
            *(tag("button", sign, type="button", class_=name, aria_label=told) for name, sign, told in buttons),
            class_="bar-top",
        ),
        tag("div", class_="body"),
        id="card",
        aria_labelledby="card-title",
    )
