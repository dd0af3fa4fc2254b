"""One training on several devices: the other ranks' processes (`Crew`), and what makes them train as one would.

Rank 0 is the trial's own process. Each rank draws the same batches, takes its part of each, and the gradients of all
are summed (`DistributedDataParallel`), so that every rank makes the same step as one process with the whole batch.
"""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing import Pipe, current_process
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from search.contract import Context, Part, Prepared, State

from . import rank as rank_file

if TYPE_CHECKING:
    from .training import Training

TIMEOUT_S: Final = 300.0
"""Longest that ranks wait for each other, at the start and at each batch."""

_END_S: Final = 5.0
_LOOK_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process stands among those that train together."""

    rank: int = 0
    world: int = 1

    def parts(self, rows: int, micro_batches: int) -> list[slice]:
        """Return this rank's rows of a batch, part by part, with rows of each part for every rank."""
        if rows < self.world:
            return [slice(0, rows)]  # too few to share out: every rank takes all of them
        count = min(micro_batches, rows // self.world)
        bounds = [rows * one // (count * self.world) for one in range(count * self.world + 1)]
        mine = range(self.rank, count * self.world, self.world)
        return [slice(bounds[one], bounds[one + 1]) for one in mine]

    def joined(self, net: nn.Module, device: torch.device) -> DistributedDataParallel:
        """Return a network whose gradients are those of all ranks together; it starts with rank 0's weights."""
        return DistributedDataParallel(net, device_ids=[device.index] if device.type == "cuda" else None)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What a rank needs to build the learner that rank 0 has; sent as a process is sent its arguments."""

    net: nn.Module
    training: Training
    context: Context
    more: dict[str, Any]
    place: Place
    state: State
    folder: str = ""


class Crew:
    """The processes of all ranks but the first.

    Args:
        job: Of rank 0; its folder is not known yet.
        train: The training rows.

    Raises:
        RuntimeError: A rank did not start; the text says why.
    """

    def __init__(self, job: Job, train: Part) -> None:
        self._folder = tempfile.mkdtemp(prefix="sweep-ranks-")  # for this user alone
        self._ranks: list[tuple[subprocess.Popen[bytes], Connection]] = []
        life, self._life = os.pipe()
        self._closing = threading.Event()
        self._end = weakref.finalize(self, _end, self._ranks, self._folder, self._life, self._closing)
        self._world = job.place.world
        try:
            _write(train, Path(self._folder))
            for number in range(1, self._world):
                own = replace(job, folder=self._folder, place=Place(number, self._world))
                self._ranks.append(_start(own, life))
            for number, (_, connection) in enumerate(self._ranks, start=1):
                self._heard(number, connection)
            join(self._folder, job.place, device_of(job.context, job.place))
            if job.context.device == "cuda":
                threading.Thread(target=_abort_if_lost, args=(self._ranks, self._closing), daemon=True).start()
        except BaseException:
            self.close()
            raise
        finally:
            os.close(life)

    def begin_epoch(self) -> None:
        """Tell the ranks to train an epoch."""
        for number, (_, connection) in enumerate(self._ranks, start=1):
            try:
                connection.send("epoch")
            except OSError as error:
                raise RuntimeError(self._ended(number)) from error

    def end_epoch(self) -> None:
        """Wait until all ranks have trained it.

        Raises:
            RuntimeError: One failed or is gone; the text says which, and why.
        """
        for number, (_, connection) in enumerate(self._ranks, start=1):
            self._heard(number, connection)

    def fault(self, error: Exception) -> Exception:
        """Return why rank 0 failed in an epoch: by another rank's fault, or its own."""
        wait_for([connection for _, connection in self._ranks], timeout=1.0)
        for number, (_, connection) in enumerate(self._ranks, start=1):
            if connection.poll():
                try:
                    self._heard(number, connection)
                except RuntimeError as theirs:
                    if "Connection closed by peer" not in str(theirs):
                        return theirs
        return error

    def close(self) -> None:
        """End the ranks."""
        if self._end.alive:
            self._closing.set()  # first: ranks that end from here on are not lost
            for _, connection in self._ranks:
                connection.close()
            if distributed.is_initialized():
                distributed.destroy_process_group()
            self._end()

    def _heard(self, number: int, connection: Connection) -> None:
        if not connection.poll(TIMEOUT_S):
            raise RuntimeError(f"rank {number} of {self._world} gave no sign for {TIMEOUT_S:.0f} s")
        try:
            said: str = connection.recv()
        except (EOFError, OSError) as error:
            raise RuntimeError(self._ended(number)) from error
        if said:
            raise RuntimeError(f"rank {number} of {self._world} failed: {said}")

    def _ended(self, number: int) -> str:
        process = self._ranks[number - 1][0]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
        code = process.poll()
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        return f"rank {number} of {self._world} ended ({how}): the trial cannot go on without it"


def _abort_if_lost(ranks: list[tuple[subprocess.Popen[bytes], Connection]], closing: threading.Event) -> None:
    """End what waits for a rank that is gone: on GPUs, unlike sockets, nothing else would."""
    while not closing.wait(_LOOK_S):
        if any(process.poll() is not None for process, _ in ranks):
            if not closing.is_set() and (together := distributed.group.WORLD) is not None:
                together.abort()
            return


def device_of(context: Context, place: Place) -> torch.device:
    """Return the device of a rank."""
    if context.device != "cuda" or place.world == 1:
        return torch.device(context.device)
    return torch.device("cuda", place.rank)


def join(folder: str, place: Place, device: torch.device) -> None:
    """Make this process one of those that train together.

    They find each other by a file, and talk over the loopback interface: nothing listens to the network.
    """
    name, hook = _loopback(), sys.excepthook
    with _environment(GLOO_SOCKET_IFNAME=name, NCCL_SOCKET_IFNAME=name):
        distributed.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=distributed.FileStore(str(Path(folder) / "store"), place.world),  # type: ignore[attr-defined]
            rank=place.rank,
            world_size=place.world,
            timeout=timedelta(seconds=TIMEOUT_S),
            device_id=device if device.type == "cuda" else None,
        )
    sys.excepthook = hook  # torch would have every later traceback of this process begin with a rank


def serve(connection: Connection) -> None:
    """Train as rank 0 tells, to the end of this process."""
    try:
        job: Job = connection.recv()
        learner = _learner(job, connection)
        while connection.recv() == "epoch":
            learner.fit_epoch()
            connection.send("")
    except EOFError:
        pass  # the trial has ended
    except Exception as error:
        said = str(error).strip().splitlines() or [""]
        with contextlib.suppress(OSError):
            connection.send(f"{type(error).__name__}: {said[0]:.150}")
    os._exit(0)  # a group of processes of which one is gone would wait for it


def _learner(job: Job, connection: Connection) -> Any:
    from .torch_learner import TorchLearner

    features, target = (np.load(Path(job.folder) / f"{one}.npy", mmap_mode="r") for one in ("features", "target"))
    train = Part(features, target)
    prepared = Prepared(train, Part(features[:1], target[:1]))
    # a copy: what arrives lies in memory that both processes have
    learner = TorchLearner(
        lambda: copy.deepcopy(job.net), job.training, prepared, job.context, place=job.place, **job.more
    )
    learner.load_state(job.state)
    connection.send("")
    join(job.folder, job.place, device_of(job.context, job.place))
    learner.begin()
    return learner


def _start(job: Job, life: int) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a rank and hand it its job."""
    ours, theirs = Pipe()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", rank_file.__file__, str(theirs.fileno()), str(life)],
            pass_fds=(theirs.fileno(), life),
            stdin=subprocess.DEVNULL,
        )
    packages = {
        name: [*module.__path__]
        for name, module in list(sys.modules.items())
        if "." not in name and hasattr(module, "__path__") and getattr(module.__spec__, "loader", module) is None
    }
    ours.send((sys.path, packages, __name__, bytes(current_process().authkey)))
    try:
        ours.send(job)
    except OSError:
        pass  # it ended already: who waits for its answer says so
    except Exception as error:
        process.kill()
        process.wait()
        said = "its network and augmentation must be of classes at the top of a module"
        raise RuntimeError(f"a trial on {job.place.world} devices cannot start its ranks: {said} ({error})") from error
    return process, ours


def _write(train: Part, folder: Path) -> None:
    """Write rows where ranks map them into their memory, which they then share."""
    np.save(folder / "features.npy", train.features, allow_pickle=False)
    np.save(folder / "target.npy", train.target, allow_pickle=False)


def _end(
    ranks: list[tuple[subprocess.Popen[bytes], Connection]], folder: str, life: int, closing: threading.Event
) -> None:
    closing.set()
    os.close(life)
    for process, connection in ranks:
        connection.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _loopback() -> str:
    return next(name for _, name in socket.if_nameindex() if name.startswith("lo"))


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
