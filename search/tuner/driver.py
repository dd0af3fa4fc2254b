"""Run a sweep: Ray up, study actor up, Tune in front, the display fed; then everything down again."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from search.errors import RefusedError, SurroundingsError, SweepError
from search.launch import Launch
from search.paths import write_atomic
from search.plan import SweepPlan
from search.status import Status
from search.tuner import cluster
from search.tuner.signals import GRACE_S, Interruption, end_tune, listening

VIEW_EVERY_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of a sweep ended.

    Attributes:
        status: Where the study stands.
        signum: The signal that ended it; 0 for none.
        notes: What was repaired in the storage when it was opened, a sentence each.
    """

    status: Status
    signum: int = 0
    notes: tuple[str, ...] = ()


def sweep(launch: Launch, *, view: Callable[[Status], None]) -> Ended:
    """Run a sweep to its end.

    Args:
        launch: What to run.
        view: Called with where the sweep stands, about four times a second.

    Raises:
        SurroundingsError: The cluster, the disk or the storage is not as needed.
        RefusedError: Another process runs this study.
    """
    plan = launch.plan
    cluster.set_environment(plan.address)
    if plan.address is None and not cluster.is_up():
        cluster.this_machine(plan.cpus, plan.gpus)  # what can never be met is refused before Ray starts
    launch = _take_name(launch)
    try:
        return _run(launch, view)
    except SweepError:
        _give_name_back(launch)
        raise


def _run(launch: Launch, view: Callable[[Status], None]) -> Ended:
    plan = launch.plan
    with (
        tempfile.TemporaryDirectory(prefix="sweep-", ignore_cleanup_errors=True) as scratch,
        cluster.connected(plan.address) as family,
        listening(family) as interruption,
    ):
        have = cluster.capacity(plan.cpus, plan.gpus)
        slots = min(have.slots, plan.concurrency or have.slots)
        with study_actors(launch, slots) as (study, names):
            watcher = _Watcher(study, interruption, view)
            watcher.start()
            try:
                _tune(plan, names, study, slots, Path(scratch))
            finally:
                watcher.finish()
            return _finish(study, interruption)


def _take_name(launch: Launch) -> Launch:
    """Write the plan, which takes the study's name; one that the user did not choose may be taken meanwhile.

    Raises:
        RefusedError: There is such a study.
        SurroundingsError: The folder cannot be written.
    """
    name = launch.plan.study
    for count in range(2, 100):
        try:
            write_atomic(launch.folder.plan, json.dumps(launch.record(), indent=1, default=str), new=True)
        except FileExistsError as error:
            if launch.plan.origins.get("study") != "default":
                raise RefusedError(f"study {name!r} exists already", hint="choose another --study") from error
            launch = replace(launch, plan=replace(launch.plan, study=f"{name}-{count}"))
        except OSError as error:
            said = f"{launch.folder.root} cannot be written: {error.strerror}"
            raise SurroundingsError(said, field="--results") from error
        else:
            return launch
    raise RefusedError(f"study {name!r} exists already", hint="choose another --study")


def _give_name_back(launch: Launch) -> None:
    """Take the plan away again if the study never opened: it has left nothing else in its folder."""
    if [path for path in launch.folder.root.iterdir() if path != launch.folder.plan]:
        return
    with suppress(OSError):
        launch.folder.plan.unlink()
        launch.folder.root.rmdir()


@contextmanager
def study_actors(launch: Launch, slots: int) -> Iterator[tuple[Any, dict[str, str]]]:
    """Have the study's actor and the one for its files on this node; see that the study opened.

    Yields:
        The study actor, and the names under which workers find both.

    Raises:
        SweepError: What kept the study from opening.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from search.trialfiles import TrialFiles
    from search.tuner.study_actor import StudyActor, actor_options

    plan = launch.plan
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    mark = hashlib.sha256(str(launch.folder.root.resolve()).encode()).hexdigest()[:12]  # a name may be in two folders
    names = {
        "study": f"study-{plan.study}-{mark}",
        "files": f"files-{plan.study}-{mark}",
        "namespace": cluster.NAMESPACE,
    }

    def start(kind: type, name: str, *args: object) -> Any:
        return ray.remote(kind).options(**actor_options(name), scheduling_strategy=here).remote(*args)

    actors = [
        start(StudyActor, names["study"], plan, launch.folder.root, slots, dict(launch.baseline)),
        start(TrialFiles, names["files"], launch.folder.root),
    ]
    import ray.tune  # takes seconds, in which the actors start

    try:
        trouble: SweepError | None = ray.get(actors[0].trouble.remote())
        if trouble is not None:
            raise trouble
        yield actors[0], names
    finally:
        for actor in actors:
            ray.kill(actor)


def _tune(plan: SweepPlan, names: dict[str, str], study: Any, slots: int, scratch: Path) -> None:
    """Let Tune run slots until the study has no more trials."""
    from ray import tune

    from search.tuner.searcher import StudySearcher
    from search.tuner.trainable import SweepTrainable

    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots)  # else workers start one after the other
    resources = {"cpu": plan.cpus, "gpu": plan.gpus} if plan.gpus else {"cpu": plan.cpus}
    tuner = tune.Tuner(
        tune.with_resources(SweepTrainable, resources),
        tune_config=tune.TuneConfig(
            search_alg=StudySearcher(study, names), num_samples=-1, reuse_actors=True, max_concurrent_trials=None
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(scratch),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=-1),  # how often is the study's decision
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )
    tuner.fit()


class _Watcher(threading.Thread):
    """Shows where the sweep stands, and passes the user's signals on to the study."""

    def __init__(self, study: Any, interruption: Interruption, view: Callable[[Status], None]) -> None:
        super().__init__(name="sweep-watcher", daemon=True)
        self._study, self._interruption, self._view = study, interruption, view
        self._over = threading.Event()
        self._stopping_since: float | None = None
        self._ended = False

    def run(self) -> None:
        import ray

        while not self._over.wait(VIEW_EVERY_S):
            if self._interruption.asked.is_set() and self._stopping_since is None:
                name = signal.Signals(self._interruption.signum).name
                self._study.stop.remote("interrupted", f"{name} was received")
            try:
                status: Status | None = ray.get(self._study.status.remote(), timeout=10)
            except ray.exceptions.RayError:  # the study restarts, or Ray goes down
                continue
            if status is None:
                continue
            self._view(status)
            self._end_after_grace(status)

    def _end_after_grace(self, status: Status) -> None:
        """End trials that have not paused in time once the sweep is stopping."""
        if status.state == "running" or self._ended:
            return
        now = time.monotonic()
        self._stopping_since = self._stopping_since or now
        if now - self._stopping_since > GRACE_S and not self._over.is_set():
            self._ended = True
            end_tune()

    def finish(self) -> None:
        self._over.set()
        self.join()


def _finish(study: Any, interruption: Interruption) -> Ended:
    import ray

    notes: tuple[str, ...] = ray.get(study.notes.remote())
    status: Status | None = ray.get(study.finish.remote())
    trouble: SweepError | None = ray.get(study.trouble.remote())
    if trouble is not None:
        raise trouble
    assert status is not None
    return Ended(status, interruption.signum, notes)
