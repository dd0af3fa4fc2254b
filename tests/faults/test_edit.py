"""An edit is made once or not at all, whatever is killed meanwhile, and holds for whoever comes after.

Mutations that turn these red: take the wish away before the edit is recorded; record an edit without looking for its
wish; leave `as_edited` out of `StudyOwner`, `with_edits` out of `sweep resume`, or the edits out of
`StudyActor.orders`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from search.cli.main import main
from search.local import run_here, setting_of
from search.paths import StudyFolder
from search.records.study import StoredStudy, read
from search.repeat import repeat
from search.resume import prepare
from search.study import edits, wishes
from search.study.owner import StudyOwner
from search.study.peek import Peek
from search.study.runs import Run
from tests.tuner.sweeps import launch_of, stored, write

ROOT = Path(__file__).parents[2]

LEARNS = """
import time

def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)
    trial.suggest_categorical("model.kind", ["a", "b"])

@objective(space=space, metrics={"val_loss": "minimize"})
def learns(run):
    for epoch in run.epochs:
        time.sleep(PAUSE_S)
        yield {"val_loss": run.params["train.x"] / epoch}
"""


def learns(folder: Path, pause_s: float) -> Path:
    return write(folder, LEARNS.replace("PAUSE_S", str(pause_s)))


def widen(path: Path) -> None:
    """Change the space: nothing that it allowed below 2 is allowed any more."""
    text = path.read_text()
    path.write_text(text.replace("0.0, 1.0", "2.0, 3.0").replace('["a", "b"]', '["c", "b"]'))


def begun(folder: Path, storage: str | None) -> Path:
    """Make a study of four trials whose first run has not ended, and change its space; return its results folder."""
    path = learns(folder, 0)
    launch = launch_of(path, folder, trials=4, pruner="none", storage=storage)
    launch.folder.root.mkdir()
    launch.folder.plan.write_text(json.dumps(launch.record()))
    run = Run("first", launch.code_hash, launch.data_hash, {}, launch.objective_hash)
    owner = StudyOwner.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=run)
    owner.prepare({})
    run_here(owner, launch.problem, setting_of(launch.plan, launch.problem))
    owner.close()
    widen(path)
    return folder


def killed(when: str, *command: str) -> None:
    """Run a command that is killed on the way."""
    ended = subprocess.run([sys.executable, "-m", "tests.faults.edited", when, *command], cwd=ROOT, timeout=60)
    assert ended.returncode == -signal.SIGKILL


def study(results: Path) -> StoredStudy:
    return read(StudyFolder(results / "s"))


KILLS = [
    ("unwished", "journal", 0),
    ("wished", "journal", 1),
    ("recorded", "sqlite", 1),
]


@pytest.mark.parametrize(("when", "storage", "made"), KILLS)
def test_an_edit_whose_command_is_killed_is_made_once_or_not_at_all(
    when: str, storage: str, made: int, tmp_path: Path
) -> None:
    begun(tmp_path, f"sqlite:///{tmp_path}/study.db" if storage == "sqlite" else None)
    given = ["s", "--results", str(tmp_path)]
    killed(when, "edit", *given, "--trials", "+3")
    before = study(tmp_path)
    assert len(edits.stored(before.attributes)) == (when not in ("unwished", "wished"))
    assert bool(wishes.pending_edits(before.folder)) == (when in ("wished", "recorded"))
    assert main(["enqueue", *given, "train.x=2.5"] if made else ["edit", *given, "--trials", "+3"]) == 0
    after = study(tmp_path)
    assert [edit.changes for edit in edits.stored(after.attributes)] == [{"trials": 7}]
    assert not wishes.pending_edits(after.folder)
    assert after.plan.trials == 7


@pytest.mark.parametrize(("when", "storage"), [("wished", "sqlite"), ("recorded", "journal"), ("granted", "journal")])
def test_an_edit_whose_study_server_is_killed_is_made_once_and_holds_when_it_is_back(
    when: str, storage: str, tmp_path: Path
) -> None:
    begun(tmp_path, f"sqlite:///{tmp_path}/study.db" if storage == "sqlite" else None)
    launched = study(tmp_path)
    killed("wished", "edit", "s", "--results", str(tmp_path), "--trials", "7")  # which leaves the wish
    killed(when, "owner", str(tmp_path))
    assert len(edits.stored(study(tmp_path).attributes)) == (when != "wished")
    owner = StudyOwner.open(launched.plan, launched.folder.root, lambda _: None, slots=1, run=Run("first"))
    wishes.grant(launched.folder, owner)
    assert [edit.changes for edit in owner.steering.edited] == [{"trials": 7}]
    assert owner.plan.trials == 7
    spec = owner.ask("slot:0").spec
    assert spec is not None
    assert 2 <= float(str(spec.params["train.x"])) <= 3
    owner.close()
    assert not [*launched.folder.wishes.iterdir()]


def wait_for(results: Path, count: int) -> None:
    deadline = time.monotonic() + 90
    folder = StudyFolder(results / "s")
    while not folder.plan.exists() or Peek(folder).count() < count:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_running_sweep_takes_an_edit_up_and_keeps_it_when_its_server_and_a_worker_are_killed(tmp_path: Path) -> None:
    path, where = learns(tmp_path, 0.1), ["--results", str(tmp_path)]
    flags = ["--study", "s", "--trials", "60", "--max-epochs", "3", "--concurrency", "1", "--pruner", "none"]
    command = [sys.executable, "-m", "search", "run", str(path), *flags, *where, "--json", "--quiet"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_for(tmp_path, 3)
            widen(path)
            assert main(["edit", "s", *where, "--trials", "12", "--concurrency", "2"]) == 0
            (edit,) = edits.stored(study(tmp_path).attributes)
            for name in ("StudyActor", "Trainable"):
                parts = [one for one in psutil.Process(process.pid).children(recursive=True) if name in _title(one)]
                parts[0].kill()
            wait_for(tmp_path, edit.trials + 2)
            assert main(["enqueue", "s", "train.x=2.25", "model.kind=c", *where]) == 0
            out, _ = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0
    assert json.loads(out)["why_stopped"] == "12 of 12 trials"
    trials, at = stored(tmp_path), edit.trials
    assert edit.space is not None
    assert edit.space.counts["outside"] == at
    assert {trial.params["train.x"] >= 2 for trial in trials[:at]} == {False}
    assert {trial.params["train.x"] >= 2 for trial in trials[at:] if trial.params} == {True}
    assert {"train.x": 2.25, "model.kind": "c"} in [trial.params for trial in trials]
    assert {trial.state.name for trial in trials[:at]} == {"COMPLETE"}  # those that ran went on as they were
    ended = study(tmp_path)
    assert [one.changes for one in edits.stored(ended.attributes)] == [{"trials": 12, "concurrency": 2}]
    prepare(ended, ended.plan, accept_changes=False)  # the code is what the edit took
    for number in (0, len(trials) - 1):
        again = repeat(ended, ended.records[number])
        assert again.equal
        assert not again.code_changed


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
