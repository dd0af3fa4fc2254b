"""How a study was made: its plan with where each choice came from, versions, fingerprints, runs and edits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from search.choosing import OPTIONS
from search.notify import host
from search.records.history import History
from search.report.commands import Commands, as_typed, value_of
from search.report.html import Markup, command, tag
from search.report.thinning import MOST, RULE

_IMPORTED: Final = ("metric", "direction", "max-epochs")
"""What is known of a study that was imported to be looked at."""


def made(history: History, notes: Sequence[str]) -> Markup:
    """Return the section's own part.

    Args:
        history: The study.
        notes: What of it the page leaves out, by which rule.
    """
    commands = Commands.of(history)
    thinned = f"Figures draw at most about {MOST:,} points: {RULE}. Each figure says how many of how many it draws."
    return tag(
        "div",
        _launched(history, commands),
        _part("Choices", _plan(history)),
        _part("Search space at the launch", _space(history)),
        _part("Versions and fingerprints", _facts(history)),
        _part("Runs and edits", _runs(history)),
        tag("h3", "What the page leaves out"),
        tag("ul", *(tag("li", note) for note in (thinned, *notes) if note)),
        class_="made",
    )


def _launched(history: History, commands: Commands) -> Markup:
    at = history.launch.get("launched")
    imported = history.launch.get("imported")
    told = f"Launched {at}." if at else "Launched at an unknown time."
    if imported:
        told = f"Imported {at or 'at an unknown time'} from {imported['tool']}: {imported['source']}."
    again = command(commands.launch, "launch it again") if commands.launch else tag("p", commands.launch_note)
    return tag("div", tag("p", told), again)


def _part(heading: str, child: Markup | None) -> Markup | None:
    return None if child is None else tag("details", tag("summary", tag("h3", heading)), child)


def _plan(history: History) -> Markup:
    plan = history.plan
    rows = [("objective", plan.objective, ""), ("space", plan.space, plan.origins.get("space", ""))]
    for option in OPTIONS:
        if option.name == "space" or not (plan.objective or option.name in _IMPORTED):
            continue
        value = value_of(plan, option.name)
        if option.name == "enqueue":
            shown = f"{len(value)} points" if value else ""
        elif option.name == "notify":
            shown = host(value) if value else ""
        else:
            shown = ", ".join(as_typed(option.name, value))
        rows.append((option.name, shown or "none", plan.origins.get(option.name, "default")))
    return _table(("choice", "value", "from"), rows)


def _space(history: History) -> Markup | None:
    found: Mapping[str, Any] = history.launch.get("parameters") or {}
    return _table(("parameter", "distribution"), [*found.items()]) if found else None


def _facts(history: History) -> Markup:
    versions = [(name, version) for name, version in (history.launch.get("versions") or {}).items()]
    hashes = [
        (name.replace("_hash", " (sha256)"), text)
        for name in ("data_hash", "code_hash", "objective_hash")
        if (text := history.launch.get(name))
    ]
    return _table(("what", "version or fingerprint"), [*versions, *hashes])


def _runs(history: History) -> Markup | None:
    listed = [*_listed(history)]
    return tag("ol", *(tag("li", text) for text in listed)) if listed else None


def _listed(history: History) -> Iterator[str]:
    for run in history.attributes.get("sweep:runs", ()):
        at = datetime.fromtimestamp(run["started"], UTC).isoformat(sep=" ", timespec="seconds")
        code = f", code {run['code_hash'][:12]}" if run.get("code_hash") else ""
        yield f"{at}: a run began, {run.get('at_s', 0.0):.0f} s into the study{code}"
    for edit in history.attributes.get("sweep:edits", ()):
        changes = ", ".join(
            f"{name}={host(value) if name == 'notify' and value else value}"
            for name, value in (edit.get("changes") or {}).items()
        )
        space = "; ".join((edit.get("space") or {}).get("differences", ()))
        told = "; ".join(part for part in (changes, space) if part) or "nothing that the plan holds"
        yield f"after {edit.get('trials', 0)} trials it was edited: {told}"
    for source in history.plan.warm_start:
        yield f"it began from the good trials of {source}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Markup:
    head = tag("thead", tag("tr", *(tag("th", one, scope="col") for one in heads)))
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    return tag(
        "div",
        tag("table", head, tag("tbody", *body)),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=heads[0],
    )
