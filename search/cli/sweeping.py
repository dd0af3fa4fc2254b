"""What `sweep run` and `sweep resume` share: a sweep runs, is shown meanwhile, and what came of it is said."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from search.cli import console, interrupts, progress, words
from search.cli.options import Common
from search.errors import ExitCode
from search.paths import StudyFolder

if TYPE_CHECKING:
    from search.launch import Launch
    from search.promote.confirm import Manner
    from search.records.study import StoredStudy
    from search.status import Status


def run_sweep(shared: Common, launch: Launch, *, quiet: bool) -> int:
    """Run a sweep to its end, show it meanwhile, say what came of it, and return the exit code."""
    from search.cli import stored
    from search.tuner.driver import sweep

    begins = "starting Ray ..." if launch.plan.address is None else f"joining {launch.plan.address} ..."
    if not quiet:
        console.say(f"study {launch.folder.name}: {launch.plan.objective}", *launch.notes, begins)
    with _shown(quiet=quiet) as update:
        ended = sweep(launch, view=update, say=console.say, beside=stored.beside(shared.remote))
    console.say(*ended.notes)
    shared, name = shared.at(ended.folder), ended.folder.name
    status = replace(ended.status, study=name, results=str(shared.results / name))  # as the user wrote it
    close(shared, status, quiet=quiet)
    return 128 + ended.signum if ended.signum else code_of(status)


def code_of(status: Status) -> int:
    """Return the exit code of a sweep that no signal ended."""
    if status.state in ("stopped", "interrupted"):  # what comes after it in a script is not to follow
        return ExitCode.INTERRUPTED
    return ExitCode.DONE if status.trials.get("complete") and status.state != "failed" else ExitCode.FAILED


def read_study(shared: Common, study: str) -> tuple[StoredStudy, Common]:
    """Return the study that was named, and what commands share in its place."""
    from search.records import find
    from search.records.study import read

    stored = read(find.study_folder(shared.results, study))
    return stored, shared.at(stored.folder)


def manner(*, quiet: bool, accept_changes: bool) -> Manner:
    """Return how trials of a study are trained again, and shown meanwhile."""
    from search.data.fetch import quiet as silent
    from search.promote.confirm import Manner

    return Manner(silent if quiet else console.say, lambda: _shown(quiet=quiet), accept_changes)


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Callable[[Status], None]]:
    """Show a sweep while it runs."""
    with progress.view(quiet=quiet) as update:
        interrupts.raise_from_here()  # when the sweep, which listens itself, has ended
        yield update


def close(shared: Common, status: Status, *, quiet: bool) -> None:
    """Print what came of it; on stderr what to type next."""
    from search.records import study
    from search.records.failures import in_common
    from search.records.leaderboard import leaders

    if shared.json:
        console.out_json(status.to_json())
        if not quiet and status.state in ("interrupted", "stopped"):
            _say_next(shared, status)
        return
    stored = study.read(StudyFolder(shared.results / status.study))
    console.out("", *words.summary(status))
    if board := words.leaderboard(leaders(stored, 5), status.metrics, columns=console.width(sys.stdout)):
        console.out("", *board)
    if status.best is not None:
        console.out("", f"best parameters (trial {status.best.number})")
        console.out(*(f"  {name} = {words.param(value)}" for name, value in status.best.params.items()))
        checkpoint = stored.folder.trial(status.best.number).checkpoint
        if checkpoint.exists():
            console.out("", f"its checkpoint  {checkpoint}")
    elif not status.trials.get("complete") and (failed := in_common(stored.records)):
        console.out("", "no trial completed", *(f"  {line}" for line in failed))
    if not quiet:
        _say_next(shared, status)


def _say_next(shared: Common, status: Status) -> None:
    console.say("", "next", *(f"  {shared.command(text)}" for text in what_next(status)))


def what_next(status: Status) -> list[str]:
    """Return what to type next."""
    unheard = status.state == "failed" and status.failures and not status.epochs_run  # of what every report must hold
    if (status.trials.get("paused") and not unheard) or status.state in ("interrupted", "stopped"):
        return [words.resume(status)]
    if status.best is None:
        return [f"show {status.study} --trial last"]
    return [
        f"show {status.study} --trial best",
        f"confirm {status.study}",
        f"table {status.study} -o {status.study}.csv",
    ]
