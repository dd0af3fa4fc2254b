"""`sweep data`: get a data set, and see what is in it and what looks wrong with it, before anything is learned."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from search.cli import console
from search.cli.options import Common, common, example
from search.errors import ExitCode

if TYPE_CHECKING:
    from search.data.profile import Profile
    from search.data.source import FileSource

_COLUMNS = 100  # that are shown; --json has all of them


@click.command(
    "data",
    short_help="Get a data set and see what is in it.",
    epilog=example(
        "sweep data rain.csv --target rained",
        "sweep data openml:31",
        "sweep data 'sql:sqlite:///shop.db?query=select * from orders' --json",
        "sweep data sklearn:digits --images",
    ),
)
@click.argument("reference", metavar="REF")
@click.option("--target", metavar="COLUMN", help="Column to predict; what gives it away is told.")
@click.option("--images", is_flag=True, help="Read images where it could be a table.")
@click.option("--refresh", is_flag=True, help="Ask the other side again, even if it was fetched before.")
@common
def data_command(shared: Common, *, reference: str, target: str | None, images: bool, refresh: bool) -> int:
    """Get what REF names, as `--data` of `sweep run` would, and describe it: roles, ranges, and what looks wrong."""
    from search.data.source import FileSource

    source = FileSource(reference, target, Path.cwd(), results=shared.results, refresh=refresh, say=console.say)
    found = _profile(source, images=images)
    if shared.json:
        console.out_json({**found.to_json(), "pinned": source.pinned})
        return ExitCode.DONE
    console.out(*found.lines())
    if found.columns:
        console.out("", *_table(found))
    if found.findings:
        console.out("", "look at this first", *(f"  {finding.sentence}" for finding in found.findings[:_COLUMNS]))
        if len(found.findings) > _COLUMNS:
            console.out(f"  and {len(found.findings) - _COLUMNS} more; --json has all of them")
    if found.notes:
        console.say("", *found.notes)
    console.say("", "next", f"  {_next(shared, found, reference, target)}")
    return ExitCode.DONE


def _profile(source: FileSource, *, images: bool) -> Profile:
    from search.contract import Dataset
    from search.data.profile import profile, profile_table

    data = source.images("") if images else source.look()
    if isinstance(data, Dataset):
        return profile(data, source.notes)
    return profile_table(data, source.name, source.notes)


def _table(found: Profile) -> list[str]:
    rows = [
        (
            column.name,
            column.role,
            _share(column.missing, found.about.rows),
            column.distinct,
            column.outliers or "",
            column.range,
        )
        for column in found.columns[:_COLUMNS]
    ]
    headers = ["column", "role", "missing", "distinct", "outliers", "values"]
    lines = console.table(headers, rows, columns=console.width(sys.stdout))
    hidden = len(found.columns) - len(rows)
    return [*lines, f"and {hidden} more columns; --json has all of them"] if hidden > 0 else lines


def _share(missing: int, rows: int) -> str:
    if not missing:
        return "0%"
    share = missing / rows
    return f"{share:.1%}" if share >= 0.0005 else "<0.1%"


def _next(shared: Common, found: Profile, reference: str, target: str | None) -> str:
    """Return the command that goes on from here."""
    if not found.about.task:
        return shared.command(f"data {quote(reference)} --target COLUMN")
    named = f" --target {quote(target)}" if target is not None else ""
    objective = "images" if len(found.about.shape) == 3 else "tabular"
    return shared.command(f"run {objective} --data {quote(reference)}{named}")
