"""Run a sweep: Ray up, study actor up, Tune in front, the display fed; then everything down again."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from search.engine import SessionLost
from search.errors import SurroundingsError, SweepError
from search.launch import Launch
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.status import Status
from search.study.lock import wait_for_orphan
from search.study.packing import LEAST
from search.study.runs import Run
from search.trackers.following import Say
from search.trackers.hearers import Hearers, to_stderr
from search.tuner import carried, cluster, preflight, shipping, tables, unseen, watchdog
from search.tuner.capacity import of_cluster, of_this_machine
from search.tuner.keeping import freeze, tell
from search.tuner.naming import give_name_back, refuse_read_only, take_name
from search.tuner.queue import in_line
from search.tuner.reaper import Reaper
from search.tuner.shipping import Shipment
from search.tuner.signals import Family, Interruption, listening
from search.tuner.tables import Tables
from search.tuner.watcher import Watcher

_PENDING: Final = 64
"""Workers that may be started at once where a machine joins; how many trials there are is the study's decision."""


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
            made = tempfile.TemporaryDirectory(prefix="sweep-", ignore_cleanup_errors=True)
            scratch = Path(stack.enter_context(made))
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
        said = f"the Ray cluster was lost: {str(error).strip().splitlines()[0]}"
        raise SurroundingsError(said, field="ray", hint=f"`sweep resume {study}` goes on") from error


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
            watcher = Watcher(study, names["study"], interruption, seen, family, Tables(launch.folder), plan)
            watcher.start()
            try:
                with in_line(study, queues=queues):
                    _tune(plan, names, study, slots, scratch)
            finally:
                watcher.finish()
            ended = _finish(study, launch.folder)
            hearers.end(ended.status)  # before Ray goes, with all processes of the sweep: a tracker may have one
            return ended


@contextmanager
def study_actors(
    launch: Launch,
    slots: int,
    capacity: int | None = None,
    shipment: Shipment | None = None,
    *,
    gpus: float | None = None,
    queues: bool = False,
) -> Iterator[tuple[Any, dict[str, str]]]:
    """Have the study's actor and the one for its files on this node; see that the study opened.

    Yields:
        The study actor, and the names under which workers find both.

    Raises:
        SweepError: What kept the study from opening.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from search.trialfiles import TrialFiles
    from search.tuner.blobs import AT_ONCE, NICENESS, Blobs
    from search.tuner.study_actor import Orders, StudyActor, actor_options

    plan = launch.plan
    orders = Orders(
        plan=plan if shipment is None else replace(plan, objective=shipment.objective, space=shipment.space),
        shipped=shipment is not None,
        folder=launch.folder.root,
        slots=slots,
        baseline=dict(launch.baseline),
        run=Run(
            uuid.uuid4().hex,
            launch.code_hash,
            launch.data_hash,
            dict(launch.changes),
            launch.objective_hash,
            launch.edits,
        ),
        driver=os.getpid(),
        accept_changes=launch.accept_changes,
        since_ns=launch.prepared_ns,
        warm_start=tuple(launch.warm_start),
        capacity=capacity,
        frozen=freeze(launch),
        brought=launch.brought,
        space_hash=launch.space_hash,
        described=unseen.in_description(plan),
        gpus=gpus,
        queues=queues,
    )
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    mark = hashlib.sha256(str(launch.folder.root.resolve()).encode()).hexdigest()[:12]  # a name may be in two folders
    names = {
        "study": f"study-{plan.study}-{mark}",
        "files": f"files-{plan.study}-{mark}",
        "blobs": f"blobs-{plan.study}-{mark}",
        "namespace": ray.get_runtime_context().namespace,  # a Ray that was up before us has its own
    }
    if plan.address is not None:
        names["directory"] = f"directory-{plan.study}-{mark}"

    def start(kind: type, name: str, *args: object, at_once: int = 1) -> Any:
        options = {**actor_options(name), "max_concurrency": at_once}
        return ray.remote(kind).options(**options, scheduling_strategy=here).remote(*args)

    with carried.told(launch.brought):
        actors = [start(StudyActor, names["study"], orders)]
    actors.append(start(TrialFiles, names["files"], launch.folder.root))
    actors.append(start(Blobs, names["blobs"], launch.folder.root, NICENESS, at_once=2 * AT_ONCE))
    if "directory" in names:
        from search.tuner.shelves import Directory

        actors.append(start(Directory, names["directory"]))
        tell(actors[-1], launch)
    import ray.tune  # takes seconds, in which the actors start

    try:
        with carried.told(launch.brought):
            trouble: SweepError | None = ray.get(actors[0].trouble.remote())
        if trouble is not None:
            raise trouble
        yield actors[0], names
    finally:
        for actor in actors:
            ray.kill(actor)
        watchdog.forget(names["study"])


def _tune(plan: SweepPlan, names: dict[str, str], study: Any, slots: int, scratch: Path) -> None:
    """Let Tune run slots until the study has no more trials."""
    from ray import tune

    from search.tuner.idle import give_back_idle_workers
    from search.tuner.losses import Losses, take_kills_as_losses
    from search.tuner.searcher import StudySearcher
    from search.tuner.trainable import SweepTrainable

    take_kills_as_losses()
    shares = plan.address is not None
    if shares:
        give_back_idle_workers()
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(slots, _PENDING))  # else workers start one after the other

    def resources(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Return what a slot asks of Ray; its share of a GPU is the study's to say."""
        asked = {"CPU": plan.cpus, "GPU": config.get("gpus", plan.gpus), "memory": plan.memory_bytes}
        return tune.PlacementGroupFactory([{name: size for name, size in asked.items() if size}])

    tuner = tune.Tuner(
        tune.with_resources(SweepTrainable, resources),
        tune_config=tune.TuneConfig(
            search_alg=StudySearcher(study, names, shares=shares),
            num_samples=-1,
            reuse_actors=True,
            max_concurrent_trials=None,
        ),
        run_config=tune.RunConfig(
            callbacks=[Losses(study)],
            name="tune",
            storage_path=str(scratch),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=-1),  # how often is the study's decision
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )
    tuner.fit()


def _finish(study: Any, folder: StudyFolder) -> Ended:
    import ray

    notes: tuple[str, ...] = ray.get(study.notes.remote())
    status: Status | None = ray.get(study.finish.remote())
    trouble: SweepError | None = ray.get(study.trouble.remote())
    if trouble is not None:
        raise trouble
    assert status is not None
    return Ended(status, folder, notes=notes)
