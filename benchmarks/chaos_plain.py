"""The same objective on plain Optuna, for comparison: one process, its journal, kill -9 and start again.

    python benchmarks/chaos_plain.py FOLDER TRIALS        # the worker; the harness starts it

It logs what it asked, reported and told as our workers do, so the same rules are held against its storage.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import chaos_check as check  # noqa: E402
from benchmarks.chaos_hooks import ROUND, Round  # noqa: E402

MAX_EPOCHS: Final = 27
REDUCTION: Final = 3


def work(folder: Path, trials: int) -> None:
    """Go on with the study until so many trials have ended."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    here = Round(Path(os.environ[ROUND]))
    _strike_writes(JournalFileBackend, here)
    problem = _problem()
    here.log("up", "optuna")
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(folder / "study.journal"))),
        study_name=check.NAME,
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION),
    )
    while sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False)) < trials:
        _one(study, problem, here)


def _problem() -> Any:
    from benchmarks.chaos_problem import Noise
    from search.data.source import FileSource
    from search.problem import open_problem

    return open_problem(Noise(), FileSource(None, None, ROOT), seed=0)


def _one(study: Any, problem: Any, here: Round) -> None:
    """Ask for a trial, train it, and tell how it ended."""
    import optuna

    from benchmarks.chaos_problem import Logistic, chaos_space
    from search.contract import Context

    here.event("ask", "call")
    trial = study.ask()
    chaos_space(trial)
    spec = {"number": trial.number, "params": trial.params}
    here.log("answer", "ask", args=[str(trial.number)], answer={"spec": spec})
    here.event("ask", "answer")
    context = Context(seed=trial.number, max_epochs=MAX_EPOCHS)
    lr, momentum = trial.params["train.lr"], trial.params["train.momentum"]
    learner = Logistic(lr, momentum, problem.train, problem.validation, context)
    values: dict[int, float] = {}
    pruned = False
    for step in range(1, MAX_EPOCHS + 1):
        learner.fit_epoch()
        values[step] = learner.evaluate()["val_loss"]
        here.event("report", "call")
        trial.report(values[step], step)
        pruned = step < MAX_EPOCHS and trial.should_prune()
        answer = "prune" if pruned else "continue"
        here.log(
            "answer",
            "report",
            args=[trial.number, "", {"step": step, "metrics": {"val_loss": values[step]}}],
            answer=answer,
        )
        here.event("report", "answer")
        if pruned or step - min(values, key=lambda one: values[one]) >= 8:
            break
    ending, value = ("pruned", values[max(values)]) if pruned else ("complete", min(values.values()))
    outcome = {"ending": ending, "metrics": {"val_loss": value}}
    here.log("call", "tell", args=[trial.number, "", outcome])
    here.event("tell", "call")
    study.tell(trial, None if pruned else value, optuna.trial.TrialState.PRUNED if pruned else None)
    here.log("answer", "tell", args=[trial.number, "", outcome])
    here.event("tell", "answer")


def _strike_writes(backend: Any, here: Round) -> None:
    """Strike before a write, after it while the lock is still held, and when it is done."""
    append, sync = backend.append_logs, os.fsync

    def synced(fd: Any) -> None:
        sync(fd)
        here.event("write", "locked")

    def struck(self: Any, logs: Any) -> None:
        here.event("write", "enter")
        os.fsync = synced
        try:
            append(self, logs)
        finally:
            os.fsync = sync
        here.event("write", "exit")

    backend.append_logs = struck


@dataclass(frozen=True, slots=True)
class PlainRan:
    """One life of the process: its exit code, None if it hung, and the end of what it said."""

    code: int | None
    said: str


def start(folder: Path, round_: Path, trials: int, most_s: float) -> PlainRan:
    """Run the process until it is killed, fails, or is done."""
    command = [sys.executable, __file__, str(folder), str(trials)]
    environment: Mapping[str, str] = {**os.environ, ROUND: str(round_)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=most_s)
    except subprocess.TimeoutExpired:
        return PlainRan(None, "")
    return PlainRan(done.returncode, done.stderr[-300:])


def tear(journal: Path) -> bool:
    """Leave the beginning of a record at the end, as a full disk or a power cut does; tell whether there was one."""
    lines = journal.read_bytes().splitlines() if journal.exists() else []
    if not lines or not lines[-1].endswith(b"}"):
        return False
    with journal.open("ab") as file:
        file.write(lines[-1][: len(lines[-1]) // 2])
    return True


def waited_s(history: check.History) -> list[float]:
    """Return for each life how long it took from the open storage to its first trial."""
    up = {event.round: event.t for event in history.of("up", "optuna")}
    first: dict[str, float] = {}
    for event in history.of("answer", "ask"):
        first.setdefault(event.round, event.t)
    return [first[round_] - up[round_] for round_ in first if round_ in up]


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))
