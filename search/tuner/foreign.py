"""Runs a trainable of Ray Tune's inside a process of ours, one after the other: the `Guest`.

Ray expects a process of its own for each function trainable: its session is global, and its thread may outlive the
trial. So whoever was here before is always sent away first, and a thread that does not go can report to nobody.
"""

from __future__ import annotations

import inspect
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from ray.train._internal.session import get_session, shutdown_session
from ray.train._internal.storage import StorageContext
from ray.tune import PlacementGroupFactory
from ray.tune.result import DONE, RESULT_DUPLICATE, TRIAL_INFO
from ray.tune.trainable.function_trainable import wrap_function

from search.adopt.tune_numbers import numbers_of

_LEAVE: Final = ("TUNE_FUNCTION_THREAD_TIMEOUT_S", "2")
"""How many seconds a function that is stopped may take to end: Ray's own setting, and its default."""

_present: list[Guest] = []
_lingering: set[threading.Thread] = set()


def run(
    trainable: Any, config: dict[str, Any], *, searched: frozenset[str], seed: int, cpus: int, stays: bool
) -> Generator[dict[str, float], None, None]:
    """Run a trainable and yield what it reports, until it is done.

    Args:
        trainable: A function of a config, or a subclass of Tune's `Trainable`.
        config: Its own; may be changed.
        searched: Metrics that are yielded whatever they are.
        seed: Of the trial, from which its name is made.
        cpus: That it may use.
        stays: Whether it runs in the folder where this process is; else in one of its own, as under Tune.

    Yields:
        The numbers of each result; those of nested dicts by `outer/inner`.
    """
    leave()
    guest = Guest(trainable, config, name=f"{seed:08x}", cpus=cpus, stays=stays)
    _present.append(guest)
    try:
        while (result := guest.next()) is not None:
            yield numbers_of(result, searched)
            if result.get(DONE):
                return
    finally:
        if guest in _present:  # or a later trial has sent it away before
            leave()


def leave() -> None:
    """Send away whoever is here."""
    while _present:
        _present.pop().leave()


def is_clean() -> bool:
    """Tell whether every function that ran here has ended; else this process is fit for nothing more."""
    _lingering.difference_update([thread for thread in _lingering if not thread.is_alive()])
    return not _lingering


class Guest:
    """A trainable that runs.

    Args:
        trainable: As in `run`, like `config`, `cpus` and `stays`.
        name: Unique to the trial; what the trainable is told as its id.
    """

    def __init__(self, trainable: Any, config: dict[str, Any], *, name: str, cpus: int, stays: bool) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sweep-tune-", dir=_session_folder()))
        self._stays = stays
        self._session: Any = None
        make: Any = trainable if inspect.isclass(trainable) else wrap_function(trainable)
        about = SimpleNamespace(
            trial_id=name,
            trial_name=f"{getattr(make, '_name', make.__name__)}_{name}",
            trial_resources=PlacementGroupFactory([{"CPU": cpus}]),
            experiment_name="sweep",
        )
        storage = _Storage(self._folder)
        try:
            with self._inside():
                self._trainable = make(config={**config, TRIAL_INFO: about}, storage=storage)
        except BaseException:
            shutdown_session()
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        if not inspect.isclass(trainable):
            self._session = get_session()
            self._session.report = _unless_lingering(self._session.report)

    def next(self) -> dict[str, Any] | None:
        """Run up to the next result; None where it has ended."""
        with self._inside():
            try:
                result: dict[str, Any] = self._trainable.train()
            except RuntimeError:
                if self._has_ended():  # by `sys.exit()`, which Ray does not expect
                    return None
                raise
        self._forget_checkpoints(result)
        return None if RESULT_DUPLICATE in result else result

    def leave(self) -> None:
        """End it: a function at its report, where it waits."""
        thread = self._session.training_thread if self._session is not None else None
        with suppress(Exception, SystemExit), self._inside():  # of its own cleaning up: the trial has ended by now
            self._trainable.stop()
        if thread is not None:
            shutdown_session()
            if thread.is_alive():
                thread.join(float(os.environ.get(*_LEAVE)))
            if thread.is_alive():
                _lingering.add(thread)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _has_ended(self) -> bool:
        session = self._session
        return session is not None and not session.training_thread.is_alive() and session.error_queue.empty()

    def _forget_checkpoints(self, result: Mapping[str, Any]) -> None:
        """Remove all checkpoints but the last: a trial that is run again starts anew."""
        kept = result.get("checkpoint_dir_name")
        if kept:
            for folder in (self._folder / "trial").glob("checkpoint_*"):
                if folder.name != kept:
                    shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """Be in the trial's folder meanwhile; Ray may go there on its own account."""
        before = Path.cwd()
        if not self._stays:
            work = self._folder / "work"
            work.mkdir(exist_ok=True)
            os.chdir(work)
        try:
            yield
        finally:
            os.chdir(before)


class _Storage(StorageContext):  # type: ignore[misc]
    """Where Ray keeps what belongs to a trial: a folder that goes with it. Needs no Ray that runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__(storage_path=str(folder.parent), experiment_dir_name=folder.name, trial_dir_name="trial")

    @property
    def trial_working_directory(self) -> str:
        return str(self._folder / "work")

    @property
    def trial_driver_staging_path(self) -> str:
        return str(self._folder / "work")


def _unless_lingering(report: Callable[..., None]) -> Callable[..., None]:
    """Let no function of an earlier trial report to this one: Ray asks for the session of the process."""

    def guarded(metrics: dict[str, Any], checkpoint: Any = None) -> None:
        if threading.current_thread() in _lingering:
            sys.exit(0)
        report(metrics, checkpoint=checkpoint)

    return guarded


def _session_folder() -> str | None:
    """Return the folder of the Ray that runs, which goes with it; None where there is none."""
    import ray

    node = ray._private.worker._global_node if ray.is_initialized() else None
    return None if node is None else str(node.get_session_dir_path())
