"""Optuna objectives over real Ray: the same trials as alone at one trial at a time, in a project as a user has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from optuna.pruners import MedianPruner
from optuna.trial import TrialState

from search.paths import StudyFolder
from tests.adopt.optunas import facts, function, launched, plain, project
from tests.tuner.sweeps import run, stored


@pytest.mark.usefixtures("ray_session")
def test_one_trial_at_a_time_over_ray_is_plain_optuna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = project("sklearn_pruning", tmp_path)
    flags: dict[str, Any] = {"trials": 8, "concurrency": 1, "seed": 1}
    ended = run(path, tmp_path / "results", **{**flags, "max-epochs": None})
    assert ended.status.state == "finished"
    launch = launched(str(path), tmp_path / "alone", **flags)
    ours, theirs = stored(tmp_path / "results"), plain(function(path), launch, MedianPruner())
    assert [facts(trial) for trial in ours] == [facts(trial) for trial in theirs]


TRAIN = """
    import optuna
    import optuna_config
    from objectives.scale import SCALE
    from spaces.mine import LOW

    def objective(trial):
        x = trial.suggest_float("x", LOW, 1)
        trial.set_user_attr("title", optuna_config.TITLE)
        print("of trial", trial.number)
        if trial.number == 5:  # before it may be pruned, which is up to chance
            trial.study.stop()
        for step in range(5):
            trial.report(x**2 * SCALE + step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x**2 * SCALE
"""


@pytest.mark.parametrize("taken", [["search"], ["six", "queue"]])
def test_a_project_with_folders_and_files_of_our_names_or_of_libraries_runs_on_two_workers(
    taken: list[str], tmp_path: Path
) -> None:
    for name, text in {
        **{f"{one}.py": "raise RuntimeError('the project, not the library')" for one in taken},
        "optuna_config.py": "TITLE = 'of the user'",
        "objectives/__init__.py": "",
        "objectives/scale.py": "SCALE = 3",
        "spaces/__init__.py": "",
        "spaces/mine.py": "LOW = -1",
        "train.py": dedent(TRAIN),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    sweep = [str(Path(sys.executable).with_name("sweep")), "run", "train.py", "--trials", "30", "--concurrency", "2"]
    done = subprocess.run(
        [*sweep, "--study", "s", "--json", "--results", "out", "--quiet"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["why_stopped"] == "the objective called study.stop() in trial 5"
    trials = stored(tmp_path / "out")
    assert 6 <= len(trials) <= 8
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert {trial.user_attrs["title"] for trial in trials} == {"of the user"}
    assert "of trial 0" in StudyFolder(tmp_path / "out" / "s").trial(0).log.read_text()
