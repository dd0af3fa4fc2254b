"""`sweep resume`: go on with a study where it was, or extend one that has finished."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import click

from search.choosing import BY_NAME, RESUMABLE
from search.cli import console, words
from search.cli.afar import address_of_environment, ask
from search.cli.options import Common, changeable, common, example, insecure_cluster
from search.cli.sweeping import run_sweep
from search.errors import ExitCode, InputError

if TYPE_CHECKING:
    from search.plan import SweepPlan
    from search.records.study import StoredStudy


@click.command(
    "resume",
    short_help="Go on with a study, or extend it.",
    epilog=example(
        "sweep resume rain-20260102-1500", "sweep resume rain --trials +50", "sweep resume rain --time 4h --json"
    ),
)
@click.argument("study")
@changeable
@click.option("--accept-changes", is_flag=True, help="Go on although code or data changed since the launch.")
@click.option("--quiet", is_flag=True, help="Show nothing while the sweep runs.")
@insecure_cluster
@click.option("--detach", is_flag=True, help="Leave the study to the cluster that it was sent to, and return.")
@common
def resume_command(shared: Common, *, study: str, accept_changes: bool, quiet: bool, detach: bool, **flags: Any) -> int:
    """Go on with a STUDY after a crash, a stop or its end: ended trials stay, begun ones go on from their checkpoints.

    --trials, --time, --epochs, --gpu-hours, --cpu-hours and --plateau are new totals; +N is so much more than before.
    """
    from search import copied
    from search.records import find
    from search.records import study as records
    from search.resume import changed, prepare, settle, with_edits
    from search.study.lock import refuse_running
    from search.tuner.cluster import is_outside

    address = flags["address"]
    if is_outside(address):
        return ask(address, "resume")
    try:
        folder = find.study_folder(shared.results, study)
    except InputError:
        elsewhere = address or address_of_environment()
        if elsewhere in (None, "local"):
            raise
        return ask(elsewhere, "resume")  # it was sent there, and is not here
    shared = shared.at(folder)
    if copied.origin(folder) is not None:
        if address is None:
            copied.refuse(folder, doing="resume", adopts=True)
        if address != "local":
            return ask(address, "resume")
        copied.adopt(folder)
        console.say(f"study {folder.name} goes on here by itself; the one that it is a copy of stays as it is")
    if detach:
        hint = "name it: --address ray://HOST:10001; a sweep that runs here ends with its terminal"
        raise InputError(f"study {folder.name!r} lies here, on no cluster to leave it to", field="--detach", hint=hint)
    refuse_running(folder.root, study=folder.name)
    stored = with_edits(records.read(folder))
    plan = changed(stored.plan, {name: flags[BY_NAME[name].key] for name in RESUMABLE})
    if (why := nothing_left(stored, plan)) is not None:
        settle(stored, plan)
        return _say_nothing_left(shared, records.read(folder), why)
    with redirect_stdout(sys.stderr):  # what the user's code prints is talk
        launch = prepare(stored, plan, accept_changes=accept_changes, say=console.say)
    return run_sweep(shared, launch, quiet=quiet)


def nothing_left(stored: StoredStudy, plan: SweepPlan) -> str | None:
    """Say which budget is used up already, if one is."""
    from search.records.study import status as status_of
    from search.study.budget import Budget, Spent, exhausted
    from search.study.spending import why_exhausted

    status = status_of(stored)
    best = status.best.values[0] if status.best else None
    most = Spent(words.ended(status), status.seconds, status.epochs_run, since_best=status.best_age, best=best)
    if plan.cpu_hours is plan.gpu_hours is None and exhausted(Budget.of(plan), most, cpus=plan.cpus, gpus=0) is None:
        return None  # without a look at each trial
    return why_exhausted(stored.folder, plan)


def _say_nothing_left(shared: Common, stored: StoredStudy, why: str) -> int:
    from search.records.study import status as status_of

    status = status_of(stored)
    if shared.json:
        console.out_json(status.to_json())
    else:
        console.out(*words.summary(status))
    say_how_to_go_on(shared, stored, why)
    return ExitCode.DONE if status.trials.get("complete") else ExitCode.FAILED


def say_how_to_go_on(shared: Common, stored: StoredStudy, why: str | None) -> None:
    """Say on stderr what to type next; `why` is why nothing is left to do, if nothing is."""
    from search.records.study import status as status_of

    if why is None:
        console.say("", "next", f"  {shared.command(f'resume {stored.folder.name}')}")
        return
    more = words.raised(why, words.ended(status_of(stored)), stored.plan.trials)
    goes_on = shared.command(f"resume {stored.folder.name} {more}".rstrip())
    console.say("", f"nothing is left to do: {why}", "next", f"  {goes_on}")
