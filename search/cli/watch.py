"""`sweep watch`: a running sweep, or a model that keeps learning, live, wherever the results folder is seen."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

import click

from search.cli import console, progress, watch_online, words
from search.cli.afar import from_afar
from search.cli.options import Common, common, example
from search.errors import ExitCode, InputError

if TYPE_CHECKING:
    from search.records.following import Following
    from search.status import Status

_EVERY_S: Final = 0.5
"""Seconds between two looks at a journal."""

_EVERY_DATABASE_S: Final = 2.0
"""Seconds between two looks at a database, which reads all of it."""


@click.command(
    "watch",
    short_help="A running sweep, live, from any terminal.",
    epilog=example(
        "sweep watch tabular-2026",
        "sweep watch tab --web --open",
        "sweep watch tab --json --from-start > events.jsonl",
        "sweep watch rain",
    ),
)
@click.argument("study")
@click.option("--from-start", is_flag=True, help="With --json: begin with everything that has happened so far.")
@click.option("--web", is_flag=True, help="Serve the report's page, live, to browsers of this machine.")
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65_535),
    help="With --web: port (default: 8076 or a free one; 0: any).",
)
@click.option("--open", "opens", is_flag=True, help="With --web: show the page in a browser.")
@from_afar("watch")
@common
def watch_command(shared: Common, *, study: str, from_start: bool, web: bool, port: int | None, opens: bool) -> int:
    """Show a STUDY (a name, the start of one, or a folder) while somebody runs it; Ctrl-C leaves the sweep alone.

    Ends when nobody runs the study any more. With --json: one JSON object a line for whatever happens. With --web it
    serves a page that follows the study, running or not, until Ctrl-C. The name of a model that `sweep online` serves
    shows how that learns, until Ctrl-C.
    """
    _check(web, from_start=from_start, port=port, opens=opens)
    if (model := watch_online.meant(shared.results, study)) is not None:
        watch_online.refuse_flags(model, from_start=from_start, web=web)
        try:
            watch_online.watch(shared, model)
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED
    from search.records import find
    from search.records.following import Following

    folder = find.study_folder(shared.results, study)
    if web:
        from search.cli import live_page

        try:
            live_page.serve(shared, folder, port=port, opens=opens)
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED
        return ExitCode.DONE
    following = Following(folder, from_start=from_start and shared.json)
    try:
        if shared.json:
            _tell(following)
        else:
            _show(following)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    status = _status(following)
    if shared.json:
        console.out_json({"event": "ended", "study": status.study, "status": status.to_json()})
        return ExitCode.DONE
    console.out(*words.summary(status))
    console.say("", "next", *(f"  {shared.command(text)}" for text in _next(status)))
    return ExitCode.DONE


def _check(web: bool, *, from_start: bool, port: int | None, opens: bool) -> None:
    """Refuse flags that do not go together.

    Raises:
        InputError: They do not.
    """
    if web and from_start:
        raise InputError("--from-start is for the events of --json, and --web has none", field="--from-start")
    if not web and (opens or port is not None):
        flag = "--open" if opens else "--port"
        raise InputError(f"{flag} is for the page of --web", field=flag, hint="add --web")


def _show(following: Following) -> None:
    with progress.view(quiet=following.is_over) as update:
        while not following.is_over:
            for _ in following.look():
                pass
            update(_status(following))
            if not following.is_over:
                _wait(following)


def _tell(following: Following) -> None:
    """Print what happens; the first look may tell of the past."""
    while True:
        for event in following.look():
            console.out_json(event.to_json(following.study.plan.study))
        sys.stdout.flush()
        if following.is_over:
            return
        _wait(following)


def _wait(following: Following) -> None:
    time.sleep(_EVERY_S if following.is_cheap else _EVERY_DATABASE_S)


def _status(following: Following) -> Status:
    from search.records.study import status

    return status(following.study)


def _next(status: Status) -> list[str]:
    if status.state in ("interrupted", "stopped") or status.trials.get("paused"):
        return [words.resume(status)]
    number = "best" if status.best else "last"
    return [f"show {status.study} --trial {number}" if words.ended(status) else f"show {status.study}"]
