"""Data or code that changes under a sweep is noticed by the next worker and the next run; it goes on only if told to.

Mutation that turns these red: leave `check_unchanged` out of `search.tuner.slot.Bench.open`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(("what", "file"), [("data", "rows.csv"), ("code", "problem.py")])
def test_what_changes_in_the_middle_of_a_sweep_ends_it_and_goes_on_only_when_accepted(
    tmp_path: Path, what: str, file: str
) -> None:
    (tmp_path / "problem.py").write_text(CHANGES)
    (tmp_path / "rows.csv").write_text("x,y\n" + "".join(f"{row},{row}.25\n" for row in range(60)))
    (tmp_path / "change").write_text(file)
    flags = ("--study", "s", "--trials", "6", "--max-epochs", "3", "--concurrency", "1", "--pruner", "none")
    data = ("--data", "rows.csv", "--target", "y")
    ended = sweep(tmp_path, "run", "problem.py", *flags, *data)
    before = json.loads((tmp_path / "results" / "s" / "plan.json").read_text())[f"{what}_hash"]
    said = f"the {what} changed since the study's last run began \\({before[:12]} then, ([0-9a-f]{{12}}) now\\)"

    assert ended.returncode == 4, ended.stderr
    found = re.fullmatch(said, error_of(ended)["message"])
    assert found is not None
    assert found[1] != before[:12]
    elsewhere = ("", f" --results {tmp_path / 'results'}")
    for error in (error_of(ended), error_of(again := sweep(tmp_path, "resume", "s"))):
        assert error["message"] == found[0]
        assert error["hint"] in {f"`sweep resume s --accept-changes{where}` goes on with it" for where in elsewhere}
    assert again.returncode == 4
    assert not any(trial.state.is_finished() for trial in stored(tmp_path / "results"))

    ended = sweep(tmp_path, "resume", "s", "--accept-changes")
    assert ended.returncode == 0, ended.stderr
    assert f"the {what} changed since the last run, and that was accepted" in ended.stderr
    assert json.loads(ended.stdout)["trials"]["complete"] == 6
    assert sweep(tmp_path, "resume", "s").returncode == 0  # what was accepted is what the study is now
