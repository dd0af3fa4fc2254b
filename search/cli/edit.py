"""`sweep edit`: another search space or another budget for a study, running or not."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from search.choosing import BY_NAME, RESUMABLE
from search.cli import console, words
from search.cli.afar import from_afar
from search.cli.options import Common, changeable, common, example
from search.cli.resume import nothing_left, say_how_to_go_on
from search.cli.steer import ask_for
from search.errors import ExitCode

if TYPE_CHECKING:
    from search.study.edits import Edit


@click.command(
    "edit",
    short_help="Change the space or the budget of a study.",
    epilog=example(
        "sweep edit rain --trials +50",
        "sweep edit rain --dry-run",
        "sweep edit rain --space wide.py --fill model.depth=2",
    ),
)
@click.argument("study")
@click.option("--space", metavar="SPACE", help="Another search space (default: the study's own, as its file is now).")
@click.option(
    "--fill", "fills", multiple=True, metavar="NAME=VALUE", help="What earlier trials had of a new parameter."
)
@click.option("--set", "fixed", multiple=True, metavar="NAME=VALUE", help="Fix a parameter from here on.")
@click.option("--unset", "unfixed", multiple=True, metavar="NAME", help="Search a parameter that --set fixed.")
@changeable
@click.option("--accept-changes", is_flag=True, help="Go on although the objective's own code changed.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@from_afar("edit")
@common
def edit_command(
    shared: Common,
    *,
    study: str,
    space: str | None,
    fills: tuple[str, ...],
    fixed: tuple[str, ...],
    unfixed: tuple[str, ...],
    accept_changes: bool,
    dry_run: bool,
    **flags: Any,
) -> int:
    """Change the search space or the budget of a STUDY, running or not; its trials stay, and are mapped into the space.

    The space is read again from its file. --trials, --time, --epochs, --gpu-hours, --cpu-hours and --plateau are new
    totals; +N is so much more than before.
    """
    from search.editing import Wanted, propose
    from search.records import find
    from search.records import study as records

    stored = records.read(find.study_folder(shared.results, study))
    shared = shared.at(stored.folder)
    given = {name: flags[BY_NAME[name].key] for name in RESUMABLE}
    wanted = Wanted(given, space, fills, fixed, unfixed, accept_changes)
    with redirect_stdout(sys.stderr):  # what the user's code prints is talk
        proposal = propose(stored, wanted)
    edit = proposal.edit
    if dry_run:
        if shared.json:
            console.out_json({"study": stored.folder.name, "edit": edit.to_json(), "made": False})
        else:
            console.out(*lines(edit), "", "nothing was changed (--dry-run)")
        return ExitCode.DONE
    body = {name: value for name, value in edit.to_json().items() if name != "wish"}
    granted = ask_for(stored, "edit", body, space=None if proposal.space is None else proposal.space.value)
    made = next((one for one in granted.edits if one.wish == granted.wish), edit)
    if shared.json:
        console.out_json({"study": stored.folder.name, "edit": made.to_json(), "made": not granted.late})
    else:
        told = "the sweep has not answered yet; it finds this when it looks" if granted.late else "done"
        console.out(*lines(made), "", f"study {stored.folder.name} edited ({told})")
    if not granted.running:
        after = records.read(stored.folder)
        say_how_to_go_on(shared, after, nothing_left(after, after.plan))
    return ExitCode.DONE


def lines(edit: Edit) -> list[str]:
    """Return what an edit changes, for people."""
    from search.study.edits import AT_THE_NEXT_RUN

    flags = {field: BY_NAME[name].flag for name, field in RESUMABLE.items()}
    told = []
    for field, value in edit.changes.items():
        if field in ("space", "fixed"):
            continue
        later = " (from the next run on)" if field in AT_THE_NEXT_RUN else ""
        told.append(f"{flags.get(field, field)}: {_shown(edit.before[field])} -> {_shown(value)}{later}")
    if "fixed" in edit.changes:
        before, after = (words.params(one["fixed"]) or "nothing" for one in (edit.before, edit.changes))
        told.append(f"fixed: {before} -> {after}")
    if edit.space is None:
        return told or ["the code changed, and nothing else"]
    if "space" in edit.changes:
        told.append(f"space: {edit.changes['space']}")
    told += edit.space.differences or ["its parameters and ranges are as they were"]
    if edit.space.fills:
        told.append(f"filled in: {words.params(edit.space.fills)}")
    counts = edit.space.counts
    shown = [f"{count} {fit}" for fit, count in counts.items() if count or fit in ("inside", "outside")]
    return [*told, f"of {sum(counts.values())} trials: {', '.join(shown)}"]


def told_later(edit: Edit) -> list[str]:
    """Return when an edit was made, and what it changed."""
    when = datetime.fromtimestamp(edit.when).astimezone()
    return [f"edited {when:%Y-%m-%d %H:%M}, after {edit.trials} trials", *(f"  {line}" for line in lines(edit))]


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
