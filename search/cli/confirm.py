"""`sweep confirm`: train the best trials of a study again with fresh seeds, and say who really wins."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from search import parsers
from search.cli import console, sweeping, words
from search.cli.options import Common, common, example
from search.durations import duration
from search.errors import ExitCode

if TYPE_CHECKING:
    from search.promote.confirmation import Confirmation
    from search.promote.standings import Row
    from search.records.study import StoredStudy

_MOST = 100


@click.command(
    "confirm",
    short_help="Train the best trials again with fresh seeds.",
    epilog=example("sweep confirm tabular-2026", "sweep confirm tabular-2026 --top 5 --seeds 5 --json"),
)
@click.argument("study")
@click.option("--top", metavar="K", default="3", help="How many of the best trials are trained again (default 3).")
@click.option("--seeds", metavar="S", default="3", help="Trainings of each, with fresh seeds (default 3).")
@click.option("--accept-changes", is_flag=True, help="Go on although code or data changed since the study's last run.")
@click.option("--quiet", is_flag=True, help="Show nothing while the sweep runs.")
@common
def confirm_command(shared: Common, *, study: str, top: str, seeds: str, accept_changes: bool, quiet: bool) -> int:
    """Train the best trials of a STUDY again with fresh seeds, as a study of its own, and say who really wins.

    A confirmation that is over is shown again; one that was interrupted goes on.
    """
    best, each = parsers.whole(1, _MOST)("--top", top), parsers.whole(1, _MOST)("--seeds", seeds)
    from search.promote.confirm import confirm

    stored, shared = sweeping.read_study(shared, study)
    found = confirm(stored, best, each, sweeping.manner(quiet=quiet, accept_changes=accept_changes))
    if shared.json:
        console.out_json(found.to_json())
    else:
        console.out(*lines(found, stored, columns=console.width(sys.stdout)))
    if not quiet and not shared.json:
        name = stored.folder.name
        texts = [f"promote {name} --as NAME", f"show {name} --trial {found.winner}", f"show {found.confirmation}"]
        console.say("", "next", *(f"  {shared.command(text)}" for text in texts))
    return ExitCode.DONE


def lines(found: Confirmation, stored: StoredStudy, *, columns: int | None = None) -> list[str]:
    """Return a confirmation as text."""
    rows = found.standings.rows
    several, misses = found.seeds > 1, not all(row.feasible for row in rows)
    heads = ["trial", f"{found.metric} searched", "confirmed"]
    heads += ["deviation", "95% interval", "p(best)"] if several else []
    heads += ["s a training", *([""] if several or misses else [])]
    cells = [
        [
            f"#{row.number}",
            words.number(row.searched),
            words.number(row.mean),
            *([words.number(row.deviation), _interval(row), _share(row)] if several else []),
            "-" if row.cost_s is None else f"{row.cost_s:.3g}",
            *([_verdict(row, found)] if several or misses else []),
        ]
        for row in rows
    ]
    told = [f"study    {found.confirmation}   {found.seeds} seed{'s'[: found.seeds != 1]}   {duration(found.seconds)}"]
    told += ["", *console.table(heads, cells, columns=columns), "", *found.sentences()]
    told += ["", f"parameters of trial {found.winner}"]
    params = stored.records[found.winner].params
    return [*told, *(f"  {name} = {words.param(value)}" for name, value in params.items())]


def _interval(row: Row) -> str:
    return "-" if row.low is None else f"{words.number(row.low)} to {words.number(row.high)}"


def _share(row: Row) -> str:
    return "-" if row.best is None else f"{row.best:.2f}"


def _verdict(row: Row, found: Confirmation) -> str:
    if not row.feasible:
        return "misses a constraint"
    if row.number == found.winner:
        return "winner"
    return "equal within noise" if row.equal else ""
