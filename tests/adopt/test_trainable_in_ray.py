"""Trainables of Ray Tune in a sweep over real Ray: processes are used again, and no trial is in another's way."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from search.choosing import choose
from search.launch import prepare
from search.tuner.driver import Ended, sweep
from tests.adopt.projects import write
from tests.tuner.sweeps import stored

pytestmark = pytest.mark.usefixtures("ray_session")

TRAIN = """
import os
from ray import tune

LOG = {log!r}
param_space = {{"opt": {{"lr": tune.loguniform(1e-4, 1e-1)}}, "units": tune.choice([16, 32]), "fixed": [1, 2]}}

def say(word):
    with open(LOG, "a") as file:
        file.write(f"{{word}} {{os.getpid()}}\\n")

def train(config):
    assert config["fixed"] == [1, 2]
    say("begins")
    for i in range(6):
        tune.report({{"loss": config["opt"]["lr"] * config["units"] - i / 1000}})
    say("ends")

def stubborn(config):
    say("begins")
    for i in range(6):
        try:
            tune.report({{"loss": config["opt"]["lr"] - i / 1000}})
        except SystemExit:
            say("stays")
            while True:
                try:
                    tune.report({{"loss": -99.0}})
                except BaseException:
                    pass

if __name__ == "__main__":
    tune.Tuner(train, param_space=param_space, tune_config=tune.TuneConfig(metric="loss", mode="min")).fit()
"""


def run(folder: Path, name: str, **flags: object) -> tuple[Ended, Counter[str], int]:
    """Run a sweep; return its end, how often each word was said, and by how many processes."""
    log = folder / "said.txt"
    path = write(folder, TRAIN.format(log=str(log)))
    given = {"seed": 0, "study": "s", "trials": 10, "max-epochs": 6, "pruner": "asha", **flags}
    launch = prepare(f"{path}:{name}", choose(given), results=folder / "results", folder=folder)
    ended = sweep(launch, view=lambda status: None)
    said = [line.split() for line in log.read_text().splitlines()]
    return ended, Counter(word for word, _ in said), len({pid for _, pid in said})


def test_a_function_runs_in_processes_that_are_used_again(tmp_path: Path) -> None:
    ended, said, processes = run(tmp_path, "train")
    trials = stored(tmp_path / "results")
    assert Counter(trial.state.name for trial in trials) == {
        "COMPLETE": ended.status.trials["complete"],
        "PRUNED": ended.status.trials["pruned"],
    }
    assert said["begins"] == len(trials) == 10
    assert processes <= 2
    for trial in trials:
        first = trial.params["opt.lr"] * trial.params["units"]
        assert trial.intermediate_values == {
            step: pytest.approx(first - (step - 1) / 1000) for step in trial.intermediate_values
        }
    assert ended.status.metrics == ("loss",)


def test_a_function_that_will_not_end_goes_with_its_process(tmp_path: Path) -> None:
    _, said, processes = run(tmp_path, "stubborn", trials=2, concurrency=1)
    trials = stored(tmp_path / "results")
    assert said == {"begins": 2, "stays": 2}
    assert processes == 2
    assert min(value for trial in trials for value in trial.intermediate_values.values()) > -1
    assert all(trial.system_attrs["sweep:end"]["lost"] == 0 for trial in trials)
