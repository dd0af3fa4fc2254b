"""Run a sweep: Ray up, study actor up, Tune in front, the display fed; then everything down again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.errors import SurroundingsError, SweepError
from search.launch import Launch
from search.paths import StudyFolder
from search.session import SessionLost
from search.status import Status
from search.study.lock import wait_for_orphan
from search.study.packing import LEAST
from search.trackers.following import Say
from search.trackers.hearers import Hearers, to_stderr
from search.tuner import cluster, preflight, shipping, tables, temporary
from search.tuner.actors import study_actors
from search.tuner.capacity import of_cluster, of_this_machine
from search.tuner.naming import give_name_back, refuse_read_only, take_name
from search.tuner.preparing import preparers
from search.tuner.queue import in_line
from search.tuner.reaper import Reaper
from search.tuner.signals import Family, Interruption, listening
from search.tuner.tables import Tables
from search.tuner.tuning import tune_slots
from search.tuner.watcher import Watcher


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of a sweep ended.

    Attributes:
        status: Where the study stands.
        folder: Where it lies.
        signum: The signal that ended it; 0 for none.
        notes: What was repaired in the storage when it was opened, a sentence each.
    """

    status: Status
    folder: StudyFolder
    signum: int = 0
    notes: tuple[str, ...] = ()


def sweep(
    launch: Launch,
    *,
    view: Callable[[Status], None],
    embedded: bool = False,
    say: Say = to_stderr,
    beside: Callable[[StudyFolder], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> Ended:
    """Run a sweep to its end.

    Args:
        launch: What to run.
        view: Called with where the sweep stands, about four times a second.
        embedded: Whether this process is somebody else's program: a signal that would end it raises instead.
        say: Hears of a tracker, or of a notification, that did not come through.
        beside: Called with the study's folder, which has its name by then, for what is to be open while it runs.

    Raises:
        SurroundingsError: The cluster, the disk or the storage is not as needed.
        RefusedError: Another process runs this study.
    """
    plan = launch.plan
    refuse_read_only(launch)
    with listening(embedded=embedded) as interruption, _scratch(plan.address, interruption) as (scratch, family):
        if plan.address is None and not cluster.is_up():
            # what can never be met is refused before Ray starts
            of_this_machine(plan.cpus, plan.gpus, plan.memory_bytes)
        if launch.resumed:
            wait_for_orphan(launch.folder.root)
        with interruption.put_off():
            launch = take_name(launch)
            interruption.folder = launch.folder.root
            interruption.last_acts.insert(0, lambda: give_name_back(launch))  # when Ray has let go of its lock
        try:
            with beside(launch.folder):
                with Hearers(plan, launch.folder, say) as hearers:
                    ended = _run(launch, view, hearers, scratch, family, interruption, say)
                if not interruption.asked.is_set():
                    tables.finish(launch.folder)
        except BaseException:
            give_name_back(launch)
            raise
    return replace(ended, signum=interruption.signum)  # it may have come while Ray was taken down


@contextmanager
def _scratch(address: str | None, interruption: Interruption) -> Iterator[tuple[Path, Family | None]]:
    """Have a temporary folder and, for a Ray of our own, a token and the family of its processes.

    All of it ends with this process, whatever way that ends: the reaper is there before anything that it removes.
    """
    with ExitStack() as stack:
        with interruption.put_off():
            reaper = None
            if address is None and not cluster.is_up():
                reaper = stack.enter_context(closing(Reaper()))
            scratch = stack.enter_context(temporary.folder())
            interruption.last_acts.append(lambda: shutil.rmtree(scratch, ignore_errors=True))
            token = cluster.set_environment(address)
            family = None
            if reaper is not None:
                for one in (scratch, token):
                    if one is not None:
                        reaper.know_folder(one)
                family = Family(reaper)
                interruption.last_acts.append(family.end)
        yield scratch, family


@contextmanager
def _told(study: str) -> Iterator[None]:
    """Turn the loss of Ray, or of the study's server for good, into a sentence.

    Raises:
        SurroundingsError: In place of Ray's own errors.
    """
    import ray

    try:
        yield
    except ray.exceptions.RayTaskError:
        raise  # an error of ours
    except (ray.exceptions.RayError, SessionLost) as error:
        if isinstance(error.__cause__, ray.exceptions.RayTaskError):  # of ours, too
            raise
        lines = str(error).strip().splitlines()
        said, hint = f"the Ray cluster was lost: {lines[0]}", f"`sweep resume {study}` goes on"
        if "in its creation task" in lines[0]:
            said, hint = f"a process of the sweep could not begin: {lines[-1].strip()}", f"mend that, then {hint}"
        raise SurroundingsError(said, field="ray", hint=hint) from error


def _run(
    launch: Launch,
    view: Callable[[Status], None],
    hearers: Hearers,
    scratch: Path,
    family: Family | None,
    interruption: Interruption,
    say: Say,
) -> Ended:
    plan, seen = launch.plan, hearers.heard(view)
    shipment = None
    if plan.address is not None and not cluster.is_up():  # a program that is connected has seen to that itself
        shipment = shipping.pack(plan, scratch / "shipment")
    code = shipment.folder if shipment is not None else None
    with cluster.connected(plan.address, family, code=code), _told(launch.folder.name):
        interruption.listen()
        if shipment is not None:
            for note in (*shipment.notes, *preflight.check(plan)):
                say(note)
        have = of_cluster(plan.cpus, plan.gpus, plan.memory_bytes)
        if plan.pack:
            have = replace(have, slots=of_cluster(plan.cpus, LEAST, plan.memory_bytes).slots)
        slots = min(have.slots, plan.concurrency or have.slots)
        gpus, queues = have.gpus if plan.gpus else None, plan.address is not None
        made = study_actors(launch, slots, have.slots, shipment, gpus=gpus, queues=queues)
        with made as (study, names):
            interruption.can_pause = True
            ahead, near = preparers(study, names, plan), Tables(launch.folder)
            watcher = Watcher(study, names["study"], interruption, seen, family, near, plan, ahead)
            watcher.start()
            try:
                with in_line(study, queues=queues, heed=ahead.allow if ahead is not None else None):
                    tune_slots(plan, names, study, slots, scratch)
            finally:
                watcher.finish()
                if ahead is not None:
                    ahead.end()
            ended = _finish(study, launch.folder)
            hearers.end(ended.status)  # before Ray goes, with all processes of the sweep: a tracker may have one
            return ended


def _finish(study: Any, folder: StudyFolder) -> Ended:
    import ray

    notes: tuple[str, ...] = ray.get(study.notes.remote())
    status: Status | None = ray.get(study.finish.remote())
    trouble: SweepError | None = ray.get(study.trouble.remote())
    if trouble is not None:
        raise trouble
    assert status is not None
    return Ended(status, folder, notes=notes)
