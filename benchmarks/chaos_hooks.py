"""What the chaos harness puts into every process of a sweep from outside: a side log, faults, and mutations.

A `sitecustomize.py` that the harness leaves on PYTHONPATH loads this file and calls `install`. From then on each
module named in `_PATCHES`, or by a mutation, is changed right after its import; everything else is the real code.
Only the standard library is imported here: this runs at the start of every Python process of the sweep.

A *point* is where a fault can strike, `<what>.<when>`: of a worker's calls `call` (before it is made) and `answer`
(received and logged), of the study server's methods `enter` and `exit` (done, not yet answered), of writes (`write` to
the journal, `file` to a trial's folder) and of the start of Ray (`ray`) `enter` and `exit`. What is a method's name,
or `any`.
"""

from __future__ import annotations

import functools
import importlib.machinery
import itertools
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal

from benchmarks.chaos_mutations import MUTATIONS

ROUND: Final = "CHAOS_ROUND"
"""Environment variable: folder of the round that a process belongs to."""

MUTATION: Final = "CHAOS_MUTATION"
"""Environment variable: how the code is to be broken."""

CHECKPOINT_EVERY_S: Final = 0.05

Target = Literal["driver", "worker", "server", "files", "disk"]


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault: at the `n`-th event at `point` in a round, counted over all processes, `target` is hit.

    All targets are killed with SIGKILL but `disk`, whose next write to the journal is cut short and fails.
    The point `time` is the harness's: `n` milliseconds after the start.
    """

    target: Target
    point: str
    n: int


class Round:
    """This process's part in a round.

    Args:
        folder: Of the round: `plan.json`, process ids, counts. The side log stands beside it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = os.open(folder.parent / "log.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        strikes = [Strike(**one) for one in json.loads((folder / "plan.json").read_text())]
        self._strikes: dict[str, list[Strike]] = {}
        for strike in strikes:
            self._strikes.setdefault(strike.point, []).append(strike)
        self._ids = itertools.count()
        self.failing_write = False

    def log(self, at: str, op: str, **more: Any) -> None:
        """Add one line, by one call: a kill leaves at most its beginning."""
        record = {"t": time.monotonic(), "pid": os.getpid(), "round": self.folder.name, "at": at, "op": op, **more}
        os.write(self._log, json.dumps(record, default=plain).encode() + b"\n")

    def new_id(self) -> str:
        return f"{os.getpid()}-{next(self._ids)}"

    def event(self, what: str, when: str) -> None:
        """Count this event, and strike if its time has come."""
        for point in (f"{what}.{when}", *((f"any.{when}",) if what not in ("write", "file", "ray") else ())):
            strikes = self._strikes.get(point)
            if strikes:
                number = self._count(point)
                for strike in strikes:
                    if strike.n == number:
                        self._hit(strike)

    def register(self, name: str) -> None:
        """Leave this process's id where others find it."""
        (self.folder / f"{name}.pid").write_text(str(os.getpid()))

    def _count(self, point: str) -> int:
        fd = os.open(self.folder / f"{point}.count", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, b".")
            return os.lseek(fd, 0, os.SEEK_CUR)  # where this very byte ends, whoever else appends
        finally:
            os.close(fd)

    def _hit(self, strike: Strike) -> None:
        if strike.target == "disk":
            self.log("strike", strike.target, point=strike.point, n=strike.n)
            self.failing_write = True
            return
        mine = strike.target in ("worker", "files")  # which are hit at points of their own alone
        pid = os.getpid() if mine else int((self.folder / f"{strike.target}.pid").read_text())
        if not self._has(pid):
            return
        self.log("strike", strike.target, point=strike.point, n=strike.n)
        os.kill(pid, signal.SIGKILL)

    def _has(self, pid: int) -> bool:
        """Tell whether a process is still there, and of this round: its id may be another's by now."""
        try:
            return f"{ROUND}={self.folder}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False


def plain(value: Any) -> Any:
    """Return a value as JSON knows it."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes):
        return len(value)
    return str(value)


def install(folder: str) -> None:
    """Have modules changed when this process imports them."""
    here = Round(Path(folder))
    sys.meta_path.insert(0, _Finder(here, os.environ.get(MUTATION, "")))


class _Finder:
    """Finds the modules to change as Python would, and changes them once they have run."""

    def __init__(self, here: Round, mutation: str) -> None:
        self._here = here
        self._mutated, self._mutate = MUTATIONS.get(mutation, ("", lambda _: None))

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in _PATCHES and name != self._mutated:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            if name == self._mutated:
                self._mutate(module)
            if name in _PATCHES:
                _PATCHES[name](module, self._here)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


# --- the side log and the points of strikes ---


def _patch_ray(ray: Any, here: Round) -> None:
    init = ray.init

    @functools.wraps(init)
    def logged(*args: Any, **kwargs: Any) -> Any:
        here.event("ray", "enter")
        answer = init(*args, **kwargs)
        here.log("up", "ray")
        here.event("ray", "exit")
        return answer

    ray.init = logged


def _patch_engine(engine: Any, _: Round) -> None:
    engine.CHECKPOINT_EVERY_S = CHECKPOINT_EVERY_S


def _patch_slot(slot: Any, here: Round) -> None:
    """Log every call that a worker makes, and what it was answered."""
    original = slot.call

    @functools.wraps(original)
    def call(method: Any, *arguments: Any) -> Any:
        op, mark = method._method_name, here.new_id()
        if op == "orders":
            return original(method, *arguments)
        here.log("call", op, id=mark, args=arguments)
        here.event(op, "call")
        answer = original(method, *arguments)
        kept = _step_of(answer) if op == "load" else answer
        here.log("answer", op, id=mark, args=arguments, answer=kept)
        here.event(op, "answer")
        return answer

    slot.call = call


def _step_of(parts: Any) -> int | None:
    return None if parts is None else json.loads(parts[1])["step"]


_SERVED: Final = ("ask", "begin", "report", "tell", "release", "stop", "finish", "give_up", "refuse")


def _patch_study_actor(module: Any, here: Round) -> None:
    """Log what the study server does, and what it holds when it has opened."""
    actor = module.StudyActor
    for name in _SERVED:
        setattr(actor, name, _served(name, getattr(actor, name), here))
    open_ = actor.__init__

    @functools.wraps(open_)
    def opened(self: Any, orders: Any) -> None:
        here.register("server")
        here.log("enter", "open", run=orders.run.id)
        here.event("open", "enter")
        open_(self, orders)
        trouble = self._trouble.message if self._trouble else None
        notes = list(self._owner.notes) if self._owner else []
        here.log("exit", "open", run=orders.run.id, trouble=trouble, states=_states(self._owner), notes=notes)
        here.event("open", "exit")

    actor.__init__ = opened


def _served(name: str, method: Callable[..., Any], here: Round) -> Callable[..., Any]:
    @functools.wraps(method)
    def served(self: Any, *args: Any, **kwargs: Any) -> Any:
        mark = here.new_id()
        here.log("enter", name, id=mark, args=args)
        here.event(name, "enter")
        answer = method(self, *args, **kwargs)
        here.log("exit", name, id=mark, args=args, answer=None if name == "finish" else answer)
        here.event(name, "exit")
        return answer

    return served


def _states(owner: Any) -> dict[int, tuple[str, int]]:
    """Return state and last step of every trial in the storage of an owner."""
    if owner is None:
        return {}
    from search.study.record import from_frozen

    study_id = owner._parts.study._study_id
    trials = owner._parts.storage.optuna.get_all_trials(study_id, deepcopy=False)
    return {record.number: (record.state, record.last_step) for record in map(from_frozen, trials)}


def _patch_journal(journal: Any, here: Round) -> None:
    """Strike before and after a write to the journal, or have it fall short as a full disk does."""
    write = journal.JournalWriter._write

    @functools.wraps(write)
    def struck(self: Any, data: bytes) -> None:
        here.event("write", "enter")
        if here.failing_write:
            here.failing_write = False
            _fall_short(lambda: write(self, data), os.fstat(self._fd).st_size + len(data) // 2)
        else:
            write(self, data)
        here.event("write", "exit")

    journal.JournalWriter._write = struck


def _fall_short(write: Callable[[], None], size: int) -> None:
    """Write while no file of this process may grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _patch_trialfiles(module: Any, here: Round) -> None:
    """Strike before and after each of the two files of a checkpoint is written."""
    write = module.write_atomic

    @functools.wraps(write)
    def struck(*args: Any, **kwargs: Any) -> Any:
        here.event("file", "enter")
        answer = write(*args, **kwargs)
        here.event("file", "exit")
        return answer

    module.write_atomic = struck


_PATCHES: Final[dict[str, Callable[[Any, Round], None]]] = {
    "ray": _patch_ray,
    "search.engine": _patch_engine,
    "search.tuner.slot": _patch_slot,
    "search.tuner.study_actor": _patch_study_actor,
    "search.study.journal": _patch_journal,
    "search.trialfiles": _patch_trialfiles,
}
