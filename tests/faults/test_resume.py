"""`sweep resume` after Ctrl-C and kill -9, from the command line: the same trials as without, and nothing left behind.

Mutations that turn these red: start no reaper; ignore the study's stored attempts in `reopening.take_up`; keep
`STOPPED` of the run before; count a driver's death as the loss of a worker.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest

from tests.tuner.sweeps import stored

LEARNS = """
import time
import numpy as np
from search.contract import Dataset, Metric, Prepared, State, Task


class Learner:
    budget = 9

    def __init__(self, params, context):
        self.x, self.rng, self.weights, self.epoch = params["train.x"], context.seed, np.zeros(3), 0

    def fit_epoch(self):
        time.sleep(0.05)
        self.epoch += 1
        self.weights += np.random.normal(self.x, 1.0, 3) / self.epoch  # of the global generator, on purpose
        return {"train_loss": float(self.weights.sum())}

    def evaluate(self):
        return {"val_loss": float((self.weights**2).sum())}

    def state(self):
        return State({"weights": self.weights}, {"epoch": self.epoch})

    def load_state(self, state):
        self.weights, self.epoch = state.arrays["weights"].copy(), state.meta["epoch"]


def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)


class Learns:
    space = staticmethod(space)

    def data(self, source):
        rows = np.arange(60.0).reshape(60, 1)
        return Dataset("rows", Task.REGRESSION, rows, rows[:, 0])

    def metrics(self, dataset):
        return (Metric("val_loss", "minimize"),)

    def preprocess(self, params, train, validation, context):
        return Prepared(train, validation)

    def learner(self, params, prepared, context):
        return Learner(params, context)
"""

RUN = ("--trials", "10", "--max-epochs", "9", "--concurrency", "1", "--seed", "3", "--study", "s", "--patience", "0")


def sweep(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "search", *arguments, "--results", str(folder), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder.parent,
    )


def reports(folder: Path) -> int:
    journal = folder / "s" / "study.journal"
    return journal.read_text().count('"intermediate_value"') if journal.exists() else 0


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while not what():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def family_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def survivors(family: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    alive = psutil.wait_procs(family, timeout=timeout_s)[1]
    return [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def what_happened(folder: Path) -> list[tuple[Any, ...]]:
    return [
        (trial.number, trial.state, trial.params, trial.intermediate_values, trial.values) for trial in stored(folder)
    ]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "learns.py").write_text(LEARNS)
    return folder


def test_ctrl_c_then_kill_9_then_resume_gives_the_trials_of_an_uninterrupted_sweep(project: Path) -> None:
    whole, broken = project / "whole", project / "broken"
    undisturbed = sweep(whole, "run", "learns.py", *RUN)  # meanwhile
    process = sweep(broken, "run", "learns.py", *RUN)
    wait_for(lambda: reports(broken) >= 7, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "sweep resume s" in err
    left = [trial for trial in stored(broken) if trial.state is optuna.trial.TrialState.RUNNING]
    assert all(trial.system_attrs["sweep:lease"]["held"] is False for trial in left)

    process = sweep(broken, "resume", "s")
    wait_for(lambda: reports(broken) >= 20, process)
    family, begun = family_of(process), time.monotonic()
    process.kill()
    process.communicate()
    assert not survivors(family, 30)
    assert time.monotonic() - begun < 30

    process = sweep(broken, "resume", "s")
    resumed, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    out, err = undisturbed.communicate(timeout=120)
    assert undisturbed.returncode == 0, err
    assert what_happened(broken) == what_happened(whole)
    first, last = json.loads(out), json.loads(resumed)
    assert {key: last[key] for key in ("trials", "best", "epochs", "state", "why_stopped")} == {
        key: first[key] for key in ("trials", "best", "epochs", "state", "why_stopped")
    }
    assert {trial.system_attrs["sweep:end"]["lost"] for trial in stored(broken)} == {0}


def test_a_finished_sweep_is_extended_and_otherwise_left_alone(project: Path) -> None:
    folder = project / "whole"
    before = what_happened(folder)
    process = sweep(folder, "resume", "s")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "nothing is left to do: 10 of 10 trials" in err
    assert what_happened(folder) == before
    process = sweep(folder, "resume", "s", "--trials", "+2")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["why_stopped"] == "12 of 12 trials"
    assert what_happened(folder)[:10] == before
    assert len(what_happened(folder)) == 12


def test_changed_code_is_refused_with_both_hashes_unless_accepted(project: Path) -> None:
    folder = project / "whole"
    (project / "learns.py").write_text(LEARNS + "\n# another word\n")
    process = sweep(folder, "resume", "s", "--trials", "14")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 4
    said = json.loads(err.splitlines()[-1])["error"]
    assert said["message"].startswith("the code changed since the study's last run began (")
    assert said["hint"] == f"`sweep resume s --accept-changes --results {folder}` goes on with it"
    process = sweep(folder, "resume", "s", "--trials", "14", "--accept-changes")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["trials"]["complete"] + json.loads(out)["trials"]["pruned"] == 14
    process = sweep(folder, "resume", "s", "--trials", "15")  # what was accepted is what the study is now
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
