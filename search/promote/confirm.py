"""Trains the best trials of a study again with fresh seeds, as a study of its own beside it: `confirm`."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from typing import Final

from search import resume
from search.byvalue import Brought
from search.data.fetch import Say, quiet
from search.errors import ExitCode, InputError, RefusedError, SweepError
from search.launch import Launch
from search.opening import NOTHING
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.promote.candidates import Keep, candidates
from search.promote.confirmation import Confirmation, is_over, read_confirmation
from search.records import find
from search.records.study import StoredStudy, read, read_launch
from search.status import Status
from search.study.lock import refuse_running
from search.study.record import TrialRecord

Showing = Callable[[], AbstractContextManager[Callable[[Status], None]]]
"""Entered when the sweep begins, and left at its end; gives what takes each new status."""

_ALIKE: Final = ("confirms", "candidates", "enqueued", "seed", "split_seed", "replicates", "metrics", "max_epochs")


class Interrupted(SweepError):
    """A confirmation was interrupted: what it has done stays, and it can be gone on with."""

    code = ExitCode.INTERRUPTED


class Terminated(Interrupted):
    """A confirmation was ended by SIGTERM."""

    code = ExitCode.TERMINATED


@contextmanager
def unseen() -> Iterator[Callable[[Status], None]]:
    """Show nothing of a sweep."""
    yield lambda _: None


@dataclass(frozen=True, slots=True)
class Manner:
    """How trials of a study are trained again.

    Attributes:
        say: Hears what happens.
        showing: Shows the sweep while it runs.
        accept_changes: Train them though code or data changed since the study's last run.
        brought: What of objective and space no file holds.
    """

    say: Say = quiet
    showing: Showing = unseen
    accept_changes: bool = False
    brought: Brought = field(default_factory=lambda: NOTHING)


PLAIN: Final = Manner()


def confirm(
    stored: StoredStudy, top: int, seeds: int, manner: Manner = PLAIN, keep: Keep = lambda _: True
) -> Confirmation:
    """Train the best trials of a study again, each with fresh seeds, on the rows that they were trained on.

    What has been done of it before is not done again: a confirmation of the same trials with as many seeds is read if
    it is over, and gone on with if it is not.

    Args:
        stored: The study; nobody may run it.
        top: How many of its best trials.
        seeds: Trainings of each.
        manner: How.
        keep: Leaves out the others.

    Raises:
        NoCandidate: No trial of the study could win, or none could be trained again.
        InputError: The study is a confirmation itself, or what it trains cannot be loaded any more.
        RefusedError: Somebody runs the study, or code, data or split have changed.
        SurroundingsError: The cluster, the disk or the storage is not as needed.
        Interrupted: A signal, or `sweep stop`, came before it was over.
    """
    if stored.plan.confirms is not None:
        said = f"{stored.folder.name!r} is itself a confirmation of {stored.plan.confirms!r}"
        raise InputError(said, field="study", hint=f"`sweep confirm {stored.plan.confirms}`, with more --seeds")
    refuse_running(stored.folder.root, study=stored.folder.name)
    chosen = candidates(stored, top, keep)
    if not manner.accept_changes:
        last = resume.last_run(stored)
        again = _existing(stored, chosen, seeds, code=last.code_hash, data=last.data_hash)
        if again is not None:
            return _ended(again, stored, chosen, top, manner)
    launch = prepare(stored, chosen, seeds, manner)
    again = _existing(stored, chosen, seeds, code=launch.code_hash, data=launch.data_hash)
    if again is not None:
        return _ended(again, stored, chosen, top, manner)
    return _read(_run(launch, stored, manner), stored, chosen, top)


def prepare(stored: StoredStudy, chosen: Sequence[TrialRecord], seeds: int, manner: Manner = PLAIN) -> Launch:
    """Return the launch of a new confirmation, with code, data and split as the study's last run had them.

    Args:
        stored: The study.
        chosen: Its trials to confirm, the best first.
        seeds: Trainings of each.
        manner: How.

    Raises:
        InputError: Objective, space or data cannot be loaded any more.
        RefusedError: Code, data or split have changed.
    """
    plan = replace(stored.plan, track=(), notify=None)  # which concern nobody here
    with _hinted(), redirect_stdout(sys.stderr):  # what the user's code prints is talk
        prepared = _resumed(stored, plan, manner)
    planned = plan_of(prepared.plan, stored.folder.name, chosen, seeds)
    return replace(
        prepared,
        plan=replace(planned, study=_free_name(stored)),
        resumed=False,
        changes={},
        edits=0,
        place=None,
    )


def plan_of(plan: SweepPlan, study: str, chosen: Sequence[TrialRecord], seeds: int) -> SweepPlan:
    """Return the plan that trains these trials again, without a name yet.

    The rows, the length of a training and what a trial gets stay; whatever steers a search, or ends it, is left out.

    Args:
        plan: Of their study.
        study: That one's name.
        chosen: The trials, the best first.
        seeds: Trainings of each.
    """
    copies = seeds if plan.by_hand else 1  # an objective that suggests by itself knows no replicates
    points = tuple(dict(record.params) for record in chosen)
    limit = plan.trial_timeout_s
    if limit is not None and not plan.by_hand:
        limit *= max(1, seeds / plan.replicates)  # the trainings of a trial share it
    return replace(
        plan,
        seed=_fresh_seed(plan, chosen),
        split_seed=plan.rows_seed,
        trials=len(points) * copies,
        time_s=None,
        epochs=None,
        gpu_hours=None,
        cpu_hours=None,
        max_failures=None,
        plateau=None,
        sampler="random",
        pruner="none",
        trial_timeout_s=limit,
        keep_checkpoints="all",  # each holds what every one of its trainings came to
        fixed={},
        enqueued=points * copies,
        replicates=1 if plan.by_hand else seeds,
        until=None,
        min_gain=None,
        until_confident=None,
        warm_start=(),
        storage=None,
        track=(),
        notify=None,
        confirms=study,
        candidates=tuple(record.number for record in chosen),
        origins={},
    )


def _fresh_seed(plan: SweepPlan, chosen: Sequence[TrialRecord]) -> int:
    """Return the seed of a confirmation, which is the same whenever these trials are confirmed."""
    basis = [plan.seed, "confirm", [[record.number, sorted(record.params.items())] for record in chosen]]
    digest = hashlib.sha256(json.dumps(basis).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _existing(
    stored: StoredStudy, chosen: Sequence[TrialRecord], seeds: int, *, code: str, data: str
) -> StoredStudy | None:
    """Return the confirmation of these trials with as many seeds, by the same code and data, if there is one."""
    wanted = plan_of(stored.plan, stored.folder.name, chosen, seeds)
    for folder in find.all_studies(stored.folder.root.parent):
        if not folder.name.startswith(find.confirmation_stem(stored.folder.name)):
            continue
        launch, plan = read_launch(folder)
        if (launch.get("code_hash"), launch.get("data_hash")) != (code, data):
            continue
        if all(getattr(plan, name) == getattr(wanted, name) for name in _ALIKE):
            return read(folder)
    return None


def _ended(
    again: StoredStudy,
    stored: StoredStudy,
    chosen: Sequence[TrialRecord],
    top: int,
    manner: Manner,
) -> Confirmation:
    """Return what a confirmation that was begun before came to; it is brought to its end first."""
    if not is_over(again):
        refuse_running(again.folder.root, study=again.folder.name)
        with _hinted(), redirect_stdout(sys.stderr):
            launch = _resumed(again, again.plan, manner)
        again = _run(launch, stored, manner)
    return _read(again, stored, chosen, top)


def _resumed(stored: StoredStudy, plan: SweepPlan, manner: Manner) -> Launch:
    return resume.prepare(stored, plan, accept_changes=manner.accept_changes, say=manner.say, brought=manner.brought)


def _run(launch: Launch, stored: StoredStudy, manner: Manner) -> StoredStudy:
    """Run a confirmation to its end.

    Raises:
        Interrupted: It did not come to it.
    """
    from search.tuner.driver import sweep

    plan = launch.plan
    trials, seeds = len(plan.candidates), len(plan.enqueued) // len(plan.candidates) * plan.replicates
    what = f"{trials} trial{'s'[: trials != 1]} of {stored.folder.name}, {seeds} seed{'s'[: seeds != 1]} each"
    for line in (f"study {launch.folder.name}: {what}", *launch.notes, "starting Ray ..."):
        manner.say(line)
    with manner.showing() as view:
        ended = sweep(launch, view=view, say=manner.say)
    for line in ended.notes:
        manner.say(line)
    again = read(ended.folder)
    if ended.signum or (not is_over(again) and ended.status.state != "failed"):  # who interrupts wants nothing after it
        kind = Terminated if ended.signum == ExitCode.TERMINATED - 128 else Interrupted
        done = sum(record.state == "complete" for record in again.records[: len(plan.enqueued)])
        said = f"the confirmation was interrupted: {done} of {len(plan.enqueued)} trials are trained again"
        raise kind(said, field="study", hint="the same command goes on from there")
    return again


def _read(again: StoredStudy, stored: StoredStudy, chosen: Sequence[TrialRecord], top: int) -> Confirmation:
    return replace(read_confirmation(again, chosen, top=top), study=stored.folder.name)


def _free_name(stored: StoredStudy) -> str:
    stem, results = find.confirmation_stem(stored.folder.name), stored.folder.root.parent
    name, count = stem, 1
    while StudyFolder.of(results, name).root.exists():
        count += 1
        name = f"{stem}-{count}"
    return name


@contextmanager
def _hinted() -> Iterator[None]:
    """Have a refusal of changed code or data say what goes on here."""
    try:
        yield
    except RefusedError as error:
        if error.field == "--accept-changes":
            error.hint = "--accept-changes trains with what is there now"
        raise
