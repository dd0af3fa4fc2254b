"""Folders and files with names that nobody would choose: a sweep runs and goes on in them like anywhere else.

Mutation that turns these red: quote the path of a data file (`search.data.reference.absolute_reference`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.together import together
from tests.tuner.sweeps import stored

READS = """
from pathlib import Path

import numpy as np

from search.contract import Metric, Prepared, State


def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)


class Learner:
    budget = 2

    def __init__(self, params):
        self.x, self.epoch = params["train.x"], 0

    def fit_epoch(self):
        self.epoch += 1
        print("100% of", Path(__file__).parent)
        return {}

    def evaluate(self):
        return {"val_loss": self.x / self.epoch}

    def state(self):
        return State({"epoch": np.array([self.epoch])}, {})

    def load_state(self, state):
        self.epoch = int(state.arrays["epoch"][0])


class Reads:
    space = staticmethod(space)

    def data(self, source):
        return source.table("sklearn:diabetes")

    def metrics(self, dataset):
        return (Metric("val_loss", "minimize"),)

    def preprocess(self, params, train, validation, context):
        return Prepared(train, validation)

    def learner(self, params, prepared, context):
        return Learner(params)
"""


def sweep(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "search", *arguments, "--json"]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120)


NAMES = {
    "unicode": ("Größe 100%/実験 #1", "Ergebnisse [alt] 50% {x}", "Maße & Zahlen %41.csv"),
    "newline": ("two\nlines", "'quoted' \"names\" $HOME `id`", "x" * 190 + ".csv"),
}
"""Of a project's folder, its results' and its data."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[subprocess.CompletedProcess[str]]]]:
    """What the commands say in folders of these names, and the folders."""
    root = tmp_path_factory.mktemp("names")
    return together({name: partial(commands, root / project, *rest) for name, (project, *rest) in NAMES.items()})


def commands(project: Path, results: str, data: str) -> tuple[Path, list[subprocess.CompletedProcess[str]]]:
    folder = project / ("ü" * 100)  # of 200 bytes
    folder.mkdir(parents=True)
    (folder / "problem.py").write_text(READS)
    (folder / data).write_text("x,y\n" + "".join(f"{row},{row}.25\n" for row in range(60)))
    flags = ("--study", "s", "--trials", "3", "--max-epochs", "2", "--data", data, "--target", "y")
    lines = [
        ["run", "problem.py", *flags],
        ["resume", "s", "--trials", "4"],
        ["show", "s"],
        ["list"],
        ["logs", "s", "3"],
    ]
    return folder, [sweep(folder, *line, "--results", results) for line in lines]


@pytest.mark.parametrize("name", NAMES)
def test_a_sweep_runs_and_goes_on_in_folders_of_any_name(
    told: dict[str, tuple[Path, list[subprocess.CompletedProcess[str]]]], name: str
) -> None:
    folder, ended = told[name]
    assert [one.returncode for one in ended] == [0] * 5, [one.stderr for one in ended]
    _, _, shown, listed, _ = ended
    results = NAMES[name][1]
    assert len(stored(folder / results)) == 4
    assert (folder / results / "s" / "trials" / "00003" / "log.txt").read_text().startswith(f"100% of {folder}\n")
    assert json.loads(shown.stdout)["trials"]["complete"] + json.loads(shown.stdout)["trials"]["pruned"] == 4
    assert [study["study"] for study in json.loads(listed.stdout)["studies"]] == ["s"]
