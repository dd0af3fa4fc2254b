"""`sweep dashboard`: optuna-dashboard, on a copy of what is stored."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from search.cli import console, pages
from search.cli.extras import needed
from search.cli.options import Common, common, example
from search.errors import ExitCode, InputError, SurroundingsError

if TYPE_CHECKING:
    from search.paths import StudyFolder
    from search.study.copies import Copies

PORT: Final = 8077
"""Unless that is taken, and nobody named another."""


@click.command(
    "dashboard",
    short_help="optuna-dashboard, on a copy of what is stored.",
    epilog=example("sweep dashboard", "sweep dashboard tabular-2026 --open"),
)
@click.argument("study", required=False)
@click.option("--port", metavar="N", type=click.IntRange(0, 65_535), help="Port (default: 8077 or a free one; 0: any).")
@click.option("--open", "opens", is_flag=True, help="Show it in a browser.")
@common
def dashboard_command(shared: Common, *, study: str | None, port: int | None, opens: bool) -> int:
    """Serve optuna-dashboard for a STUDY (a name, the start of one, or a folder), or for all, until Ctrl-C.

    It shows a copy as of now, in memory. The dashboard can rename and delete studies, and whatever it does to the copy
    is gone when it ends: yours are only read.
    """
    folders = _folders(shared.results, study)
    with needed("dashboard", "optuna_dashboard", "bottle", what="the dashboard"):
        from search.study.dashboard import application
    from search.serving import wsgi
    from search.serving.ports import LOCAL, bind_local, url_of
    from search.study.copies import Copies

    with bind_local(port, PORT) as bound:
        copies = Copies()
        counts = _copied(copies, folders, alone=study is not None)

        def listening() -> None:
            _tell(shared, url := url_of(bound, LOCAL), counts)
            if opens:
                pages.show_beside(url)

        try:
            wsgi.serve(application(copies.storage), bound, listening=listening)
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED
    return ExitCode.DONE


def _folders(results: Path, study: str | None) -> list[StudyFolder]:
    from search.records import find

    if study is not None:
        return [find.study_folder(results, study)]
    found = find.all_studies(results)
    if not found:
        raise InputError(f"there is no study in {results}", field="study", hint="`sweep run` makes one")
    return found


def _copied(copies: Copies, folders: list[StudyFolder], *, alone: bool) -> dict[str, int]:
    """Copy studies; return how many trials each has. Of several, one that cannot be read hides none of the others.

    Raises:
        SurroundingsError: None of them can be read.
    """
    from search.records.study import read_launch

    counts: dict[str, int] = {}
    for folder in folders:
        try:
            counts[folder.name] = copies.add(folder, read_launch(folder)[1])
        except SurroundingsError as fault:
            if alone:
                raise
            console.say(f"{folder.name} is left out: {fault.message}")
    if not counts:
        raise SurroundingsError("none of the studies can be read", field="study", hint="try `sweep doctor STUDY`")
    return counts


def _tell(shared: Common, url: str, counts: dict[str, int]) -> None:
    if shared.json:
        console.out_json({"state": "listening", "url": url, "studies": counts})
        sys.stdout.flush()
        return
    name, *others = counts
    what = f"{len(counts)} studies" if others else name
    console.say(f"optuna-dashboard shows a copy of {what} at {url}; Ctrl-C ends it")
    console.say("what is changed or deleted there is so in the copy alone")
