"""Code that changes under a sweep is noticed by the next worker, data by the next run; both go on only if told to.

Mutations that turn these red: leave `check_unchanged` out of `search.tuner.slot.Bench.open`, or out of
`search.resume.prepare`; let workers read the data themselves (`search.tuner.keeping.freeze` returning "").
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

from tests.together import together
from tests.tuner.sweeps import stored

CHANGES = '''
import os
import signal
from pathlib import Path

import numpy as np

from search.contract import Metric, Prepared, State

HERE = Path(__file__).parent


def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)


class Learner:
    """Changes what a file called `change` names, in the middle of a trial, and ends its worker."""

    budget = 3

    def __init__(self, params, prepared):
        self.x, self.mean, self.epoch = params["train.x"], float(np.mean(prepared.train.target)), 0

    def fit_epoch(self):
        self.epoch += 1
        order = HERE / "change"
        if self.epoch == 2 and order.exists():
            path = HERE / order.read_text()
            order.unlink()
            text = path.read_text()
            path.write_text(text.replace("3.25", "3.75") if path.suffix == ".csv" else f"{text}# another word\\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return {}

    def evaluate(self):
        return {"val_loss": self.mean + self.x / self.epoch}

    def state(self):
        return State({"epoch": np.array([self.epoch])}, {})

    def load_state(self, state):
        self.epoch = int(state.arrays["epoch"][0])


class Changes:
    space = staticmethod(space)

    def data(self, source):
        return source.table("sklearn:diabetes")

    def metrics(self, dataset):
        return (Metric("val_loss", "minimize"),)

    def preprocess(self, params, train, validation, context):
        return Prepared(train, validation)

    def learner(self, params, prepared, context):
        return Learner(params, prepared)
'''


def sweep(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "search", *arguments, "--results", "results", "--json"]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120)


def error_of(ended: subprocess.CompletedProcess[str]) -> dict[str, str]:
    error: dict[str, str] = json.loads(ended.stderr.splitlines()[-1])["error"]
    return error


FLAGS = ("--study", "s", "--trials", "6", "--max-epochs", "3", "--concurrency", "1", "--pruner", "none")


def laid_out(folder: Path, change: str) -> tuple[str, ...]:
    """Write an objective, its data, and what it is to change; return the flags of its data."""
    folder.mkdir()
    (folder / "problem.py").write_text(CHANGES)
    (folder / "rows.csv").write_text("x,y\n" + "".join(f"{row},{row}.25\n" for row in range(60)))
    (folder / "change").write_text(change)
    return "--data", "rows.csv", "--target", "y"


def changed(ended: subprocess.CompletedProcess[str], folder: Path, what: str) -> str:
    """See that a run was refused since something changed, and return the sentence, which has both hashes."""
    before = json.loads((folder / "results" / "s" / "plan.json").read_text())[f"{what}_hash"]
    said = f"the {what} changed since the study's last run began \\({before[:12]} then, ([0-9a-f]{{12}}) now\\)"
    assert ended.returncode == 4, ended.stderr
    error = error_of(ended)
    found = re.fullmatch(said, error["message"])
    assert found is not None
    assert found[1] != before[:12]
    elsewhere = ("", f" --results {folder / 'results'}")
    assert error["hint"] in {f"`sweep resume s --accept-changes{where}` goes on with it" for where in elsewhere}
    return found[0]


def test_code_and_data_that_change_in_the_middle_of_a_sweep_are_noticed_and_gone_on_with_only_when_accepted(
    tmp_path: Path,
) -> None:
    together({what: partial(what, tmp_path / what.__name__) for what in (changes_its_code, changes_its_data)})


def changes_its_code(folder: Path) -> None:
    """See that the next worker notices, and that no trial has ended by then."""
    data = laid_out(folder, "problem.py")
    ended = sweep(folder, "run", "problem.py", *FLAGS, *data)
    assert changed(ended, folder, "code") == changed(sweep(folder, "resume", "s"), folder, "code")
    assert not any(trial.state.is_finished() for trial in stored(folder / "results"))
    is_accepted(folder, "code", "6")


def changes_its_data(folder: Path) -> None:
    """See that no trial is disturbed, and that the next run notices."""
    data = laid_out(folder, "rows.csv")
    ended = sweep(folder, "run", "problem.py", *FLAGS, *data)
    assert ended.returncode == 0, ended.stderr
    assert "3.75" in (folder / "rows.csv").read_text()  # by the first trial, whose worker ended
    trials = [trial for trial in stored(folder / "results") if trial.values]
    assert len({round(trial.values[0] - trial.params["train.x"] / 3, 9) for trial in trials}) == 1  # mean of the target
    changed(sweep(folder, "resume", "s", "--trials", "8"), folder, "data")
    is_accepted(folder, "data", "8")


def is_accepted(folder: Path, what: str, trials: str) -> None:
    ended = sweep(folder, "resume", "s", "--trials", trials, "--accept-changes")
    assert ended.returncode == 0, ended.stderr
    assert f"the {what} changed since the last run, and that was accepted" in ended.stderr
    assert json.loads(ended.stdout)["trials"]["complete"] == int(trials)
    assert sweep(folder, "resume", "s").returncode == 0  # what was accepted is what the study is now
