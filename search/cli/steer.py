"""`sweep stop`, `sweep enqueue` and `sweep retry`: what a user wants of a study, running or not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from search.cli import console, words
from search.cli.afar import from_afar
from search.cli.options import Common, common, example
from search.errors import ExitCode, InputError, SurroundingsError, SweepError

if TYPE_CHECKING:
    from search.contract import Space
    from search.paths import StudyFolder
    from search.records.study import StoredStudy
    from search.status import Status
    from search.study.edits import Edit
    from search.study.wishes import Kind

_HEARD_S: Final = 15.0
"""How long a running sweep may take to grant a wish; it looks several times a second."""

_STOP_S: Final = 60.0
"""How long a sweep may take to stop, beyond the time that its trials get."""


@click.command(
    "stop",
    short_help="Ask a running sweep to stop.",
    epilog=example("sweep stop rain-20260102-1500", "sweep stop rain --now"),
)
@click.argument("study")
@click.option("--now", is_flag=True, help="End it at once; trials are left as they last reported.")
@from_afar("stop")
@common
def stop_command(shared: Common, *, study: str, now: bool) -> int:
    """Ask the sweep of a STUDY to stop, from any terminal that sees the results folder, and wait until it has.

    No trial is begun any more; running ones save their state at their next epoch and are paused.
    """
    from search.records import find
    from search.records import study as records
    from search.study.lock import living_holder
    from search.study.wishes import post

    folder = find.study_folder(shared.results, study)
    shared = shared.at(folder)
    deadline = time.monotonic() + _STOP_S
    while (holder := living_holder(folder.root)) is None and folder.held.exists() and time.monotonic() < deadline:
        time.sleep(0.1)  # a cluster's home has begun its driver, which takes the lock in seconds
    if holder is None:
        console.say(f"nobody runs study {folder.name!r}: there is nothing to stop")
    else:
        _, plan = records.read_launch(folder)  # it may not be open yet
        post(folder, "stop", now=now)
        deadline = time.monotonic() + plan.grace_s + _STOP_S
        while living_holder(folder.root) is not None:
            if time.monotonic() > deadline:
                raise SurroundingsError(
                    f"study {folder.name!r} has not stopped: its sweep is pid {holder.known_as} on {holder.host}",
                    field="study",
                    hint="end that process; `sweep resume` goes on all the same",
                )
            time.sleep(0.1)
    status = records.status(records.read(folder))
    if shared.json:
        console.out_json(status.to_json())
    else:
        console.out(*words.summary(status))
    console.say("", "next", f"  {shared.command(f'resume {folder.name}')}")
    return ExitCode.DONE


@click.command(
    "enqueue",
    short_help="Have a point tried next.",
    epilog=example("sweep enqueue rain train.lr=0.01 model.width=64", "sweep enqueue rain model.family=mlp --json"),
)
@click.argument("study")
@click.argument("point", nargs=-1, metavar="NAME=VALUE...")
@from_afar("enqueue")
@common
def enqueue_command(shared: Common, *, study: str, point: tuple[str, ...]) -> int:
    """Have this point of the search space tried next in a STUDY, running or not; what it leaves open is suggested."""
    from search import reloading
    from search.adopt.optuna_choices import literal
    from search.choosing import BY_NAME
    from search.records import find
    from search.records import study as records
    from search.study.space import check_fixed, check_point, describe
    from search.study.suggested import suggested

    stored = records.read(find.study_folder(shared.results, study))
    shared = shared.at(stored.folder)
    if not point:
        raise InputError("`sweep enqueue` needs NAME=VALUE", field="NAME=VALUE", hint="try train.lr=0.01")
    pairs = [BY_NAME["set"].parse("a point", text) for text in point]
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name} is given twice", field=name, hint="keep one of them")
    if stored.plan.by_hand:  # its space is what its trials have suggested
        described = suggested(stored.plan.storage or stored.folder.journal, stored.plan.study)
        values = {name: literal(name, text, described) for name, text in pairs}
    else:
        space = reloading.load_anew(stored.plan.space, kind="space", folder=Path.cwd())
        described = describe(space.value, seed=stored.plan.seed)
        values = {name: check_fixed(name, text, described) for name, text in pairs}
        check_point(space.value, values, fixed=stored.plan.fixed, seed=stored.plan.seed)
    return _wish(shared, stored, "enqueue", f"enqueued {words.params(values)}", points=[values])


@click.command(
    "retry",
    short_help="Run failed trials again.",
    epilog=example("sweep retry rain --failed", "sweep retry rain 7 12"),
)
@click.argument("study")
@click.argument("numbers", nargs=-1, metavar="[N...]")
@click.option("--failed", is_flag=True, help="All trials that failed and were not run again yet.")
@from_afar("retry")
@common
def retry_command(shared: Common, *, study: str, numbers: tuple[str, ...], failed: bool) -> int:
    """Run failed trials of a STUDY again, by number or all, each with its parameters as a new trial.

    The failed one stays in the record and no longer counts towards --trials.
    """
    from search.records import find
    from search.records import study as records

    stored = records.read(find.study_folder(shared.results, study))
    shared = shared.at(stored.folder)
    if failed == bool(numbers):
        raise InputError(
            "`sweep retry` takes numbers of failed trials or --failed",
            field="N",
            hint="try `sweep retry STUDY --failed`",
        )
    if failed:
        chosen = [record.number for record in stored.records if record.state == "fail"]
        if not chosen:
            raise InputError(f"no trial of study {stored.plan.study!r} has failed", field="--failed")
    else:
        chosen = [_failed(stored, text) for text in numbers]
    return _wish(shared, stored, "retry", "failed trials that were not run again yet are enqueued", numbers=chosen)


def _failed(stored: StoredStudy, text: str) -> int:
    """Return the number of a trial that can be run again."""
    from search.records.study import trial

    if not (text.isascii() and text.isdecimal()):
        raise InputError(f"`sweep retry` takes numbers of trials, got {text!r}", field="N", hint="or --failed for all")
    record = trial(stored, text)
    if record.state != "fail":
        raise InputError(
            f"trial {record.number} of study {stored.plan.study!r} is {record.state}",
            field="N",
            hint="only failed trials are run again; `sweep enqueue` tries a point once more",
        )
    return record.number


@dataclass(frozen=True, slots=True)
class Granted:
    """What became of a wish.

    Attributes:
        wish: Its id.
        status: Where the study stands since.
        edits: Those of the study.
        running: Whether a sweep was asked, and not granted here.
        late: Whether that has not answered yet.
    """

    wish: str
    status: Status
    edits: tuple[Edit, ...]
    running: bool
    late: bool


def ask_for(stored: StoredStudy, kind: Kind, body: Mapping[str, Any], *, space: Space | None = None) -> Granted:
    """Have a wish granted, by the sweep that runs or else here.

    Args:
        stored: The study.
        kind: Of the wish.
        body: Of the wish.
        space: Of the study from here on, if that is not its plan's.

    Raises:
        RefusedError: It could not be granted.
    """
    from search import copied
    from search.records import study as records
    from search.study import edits
    from search.study.lock import living_holder
    from search.study.wishes import is_pending, post, take_back, take_refusal

    folder = stored.folder
    copied.refuse(folder, doing=kind)
    wish = post(folder, kind, **body)
    running = living_holder(folder.root) is not None
    deadline = time.monotonic() + _HEARD_S
    while running and is_pending(folder, wish) and time.monotonic() < deadline:
        time.sleep(0.05)
        running = living_holder(folder.root) is not None
    if not running:
        try:
            _grant_here(folder, stored, space)
        except SweepError:
            take_back(folder, wish)  # or a second try would make it twice
            raise
    refusal = take_refusal(folder, wish)
    if refusal is not None:
        raise refusal
    late, after = is_pending(folder, wish), records.read(folder)
    return Granted(wish, records.status(after), edits.stored(after.attributes), running, late)


def _wish(shared: Common, stored: StoredStudy, kind: Kind, said: str, **body: Any) -> int:
    """Have a wish granted, and say so."""
    from search.records import study as records

    folder, before = stored.folder, records.status(stored)
    granted = ask_for(stored, kind, body)
    status, running, late = granted.status, granted.running, granted.late
    if shared.json:
        console.out_json({**status.to_json(), "wish": granted.wish, "granted": not late})
    else:
        told = "the sweep has not answered yet; it finds this when it looks" if late else "granted"
        added = status.trials.get("waiting", 0) - before.trials.get("waiting", 0)
        if kind == "retry" and not running and not late:
            said = f"{added} of {len(body['numbers'])} failed trials enqueued; the others are run again already"
        console.out(f"{said} ({told}); {status.trials.get('waiting', 0)} waiting in {folder.name}")
    if not running:
        full = status.target_trials is not None and words.ended(status) >= status.target_trials
        waiting = status.trials.get("waiting", 0)
        more = f" --trials +{waiting}" if full and kind == "enqueue" else ""
        console.say("", "next", f"  {shared.command(f'resume {folder.name}{more}')}")
    return ExitCode.DONE


def _grant_here(folder: StudyFolder, stored: StoredStudy, space: Space | None) -> None:
    """Open the study without running it, and grant what is wished."""
    from search.resume import space_of_visit
    from search.study.wishes import grant_here

    grant_here(folder, stored.plan, space_of_visit(stored.plan) if space is None else space)
