"""`sweep run` over real Ray: what is printed, what is stored, and what the other commands make of it agree."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.together import together

OBJECTIVE = """
import time
from search.contract import objective

def space(trial):
    trial.suggest_float("train.lr", 1e-5, 0.1, log=True)
    if trial.suggest_categorical("model.family", ["linear", "deep"]) == "deep":
        trial.suggest_int("model.depth", 1, 4)

@objective(space=space, metrics={"val_loss": "minimize", "val_accuracy": "maximize"})
def quick(run):
    print("training", run.params["train.lr"])
    for epoch in run.epochs:
        yield {"val_loss": run.params["train.lr"] + 1 / epoch, "val_accuracy": epoch / 100}

@objective(space=space, metrics={"val_loss": "minimize"})
def slow(run):
    for epoch in run.epochs:
        time.sleep(0.2)
        yield {"val_loss": run.params["train.lr"] + 1 / epoch}

@objective(space=space, metrics={"val_loss": "minimize"})
def nothing(run):
    yield from ()
"""
SWEEP = [sys.executable, "-m", "search"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "mine.py").write_text(OBJECTIVE)
    return folder


def sweep(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command line in the project's folder."""
    environment = {name: value for name, value in os.environ.items() if name != "SWEEP_RESULTS"}
    return subprocess.run([*SWEEP, *arguments], cwd=project, capture_output=True, text=True, env=environment)


def answer(project: Path, *arguments: str, code: int = 0) -> Any:
    """Return the one JSON object that a command prints."""
    told = sweep(project, *arguments, "--json")
    assert told.returncode == code, told.stderr
    assert told.stdout.count("\n") == 1
    return json.loads(told.stdout)


RUNS = {
    "finished": ["mine.py:quick", "--study", "quick", "--trials", "8", "--seed", "3", "--json"],
    "plain": ["mine.py:quick", "--study", "plain", "--trials", "4", "--seed", "1"],
    "no report": ["mine.py:nothing", "--trials", "2", "--quiet"],
    # of two at once, either may be the first to report
    "never reported": ["mine.py:quick", "--metric", "vloss", "--concurrency", "1"],
}


@pytest.fixture(scope="module")
def runs(project: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    """What these sweeps, which ran at once, told."""
    return together({name: partial(sweep, project, "run", *arguments) for name, arguments in RUNS.items()})


@pytest.fixture(scope="module")
def finished(runs: dict[str, subprocess.CompletedProcess[str]]) -> Any:
    """A sweep of eight trials, as `run --json` told of it."""
    told = runs["finished"]
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("\n") == 1
    assert not re.search(r"ray|tune|Traceback", told.stderr.replace("starting Ray", ""), re.IGNORECASE), told.stderr
    return json.loads(told.stdout)


def test_the_result_is_the_json_that_scripts_rely_on(finished: Any) -> None:
    assert (finished["study"], finished["state"], finished["why_stopped"]) == ("quick", "finished", "8 of 8 trials")
    assert (finished["metrics"], finished["directions"]) == (["val_loss"], ["minimize"])
    assert sum(finished["trials"].values()) == 8
    assert finished["best"]["value"] == finished["best"]["values"][0]
    assert set(finished["best"]["params"]) >= {"train.lr", "model.family"}
    assert finished["epochs"]["run"] > 8


def test_show_and_list_tell_the_same_as_run(project: Path, finished: Any) -> None:
    differs = (
        "seconds",
        "importances",
        "importances_intervals",
        "importances_by_chance",
        "edits",
    )  # time goes on until the lock is let go; `show` alone tells the others
    exact = {key: value for key, value in finished.items() if key not in differs}
    (listed,) = [one for one in answer(project, "list")["studies"] if one["study"] == "quick"]
    for told in (answer(project, "show", "qui"), listed):
        assert {key: value for key, value in told.items() if key not in differs} == exact


def test_the_best_trial_has_its_log_and_repeats_to_the_same_score(project: Path, finished: Any) -> None:
    best = answer(project, "show", "quick", "--trial", "best")
    assert {*best["log"]} == {f"training {best['params']['train.lr']}"}  # once more each time that it was taken on
    assert best["number"] == finished["best"]["number"]
    again = answer(project, *best["repeat"].split()[1:])
    assert (again["equal"], again["values"]) == (True, finished["best"]["values"])


def test_a_table_has_every_trial(project: Path, finished: Any) -> None:
    assert answer(project, "table", finished["study"], "-o", "trials.csv")["rows"] == 8


def test_a_name_that_is_taken_is_refused(project: Path, finished: Any) -> None:
    told = sweep(project, "run", "mine.py:quick", "--study", finished["study"])
    assert (told.returncode, told.stdout) == (4, "")


def test_plain_lines_end_with_best_reason_and_next_commands(
    project: Path, runs: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    told = runs["plain"]
    assert told.returncode == 0, told.stderr
    assert "stopped  4 of 4 trials" in told.stdout
    assert "best parameters (trial " in told.stdout
    assert "\x1b" not in told.stdout + told.stderr
    *_, last = re.findall(r"^  sweep (.+)$", told.stderr, re.MULTILINE)
    assert last == "table plain -o plain.csv"
    assert sweep(project, *last.split()).returncode == 0


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("no report", "ended without one report; yield or return at least one metric"),
        ("never reported", "trial 0 reported no 'vloss'; it reported val_accuracy, val_loss"),
    ],
    ids=["row 33: no report", "row 11: a metric that is never reported"],
)
def test_a_sweep_in_which_nothing_completes_says_what_the_failures_share(
    runs: dict[str, subprocess.CompletedProcess[str]], run: str, said: str
) -> None:
    told = runs[run]
    assert told.returncode == 1, told.stderr
    assert said in told.stdout
    assert "no trial completed" in told.stdout
    assert "--quiet" not in RUNS[run] or told.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gpus", "10000"], "a trial asks 10000 GPUs, the cluster has "),
        (["--address", "127.0.0.1:1"], "no Ray cluster answers at 127.0.0.1:1"),
    ],
    ids=["row 15", "row 17"],
)
def test_surroundings_that_do_not_fit_are_exit_3_before_anything_is_written(
    project: Path, arguments: list[str], said: str
) -> None:
    told = sweep(project, "run", "mine.py:quick", "--study", "unfit", *arguments)
    assert (told.returncode, told.stdout) == (3, "")
    assert told.stderr.splitlines()[-1].startswith(f"error: {said}")
    assert not (project / "results" / "unfit").exists()


def test_ctrl_c_pauses_the_sweep_and_restores_the_terminal(project: Path) -> None:
    child = pexpect.spawn(
        sys.executable,
        ["-m", "search", "run", "mine.py:slow", "--study", "paused", "--trials", "50"],
        cwd=str(project),
        encoding="utf-8",
        dimensions=(24, 80),
        timeout=90,
    )
    child.expect("epoch 2 of 27")
    shown = str(child.before)
    child.kill(signal.SIGINT)
    child.expect(pexpect.EOF)
    shown += str(child.before)
    child.close()
    assert child.exitstatus == 130
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0  # the cursor is hidden and shown again
    assert "Traceback" not in shown
    told = answer(project, "show", "paused")
    assert told["state"] == "interrupted"
    assert told["trials"]["running"] == 0
    assert told["trials"]["paused"] > 0
