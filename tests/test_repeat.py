"""A trial run again, and what is said of it; no Ray, and a study as the owner leaves it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from search.choosing import choose
from search.launch import prepare
from search.local import run_here, setting_of
from search.paths import StudyFolder
from search.records import study
from search.repeat import RepeatResult, repeat
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.usermodules import UserFile

STAGES = """
import numpy as np
from search.contract import REPLAY, Dataset, Metric, Prepared, Task

def space(trial):
    trial.suggest_categorical("train.way", ["well", "raise", "nan"])

class Learner:
    budget = 2
    def __init__(self, way, rows): self.way, self.rows = way, rows
    def fit_epoch(self):
        if self.way == "raise":
            raise ValueError("of this trial")
        return {}
    def evaluate(self): return {"val_loss": float("nan") if self.way == "nan" else float(self.rows.mean())}
    def state(self): return REPLAY

class Rows:
    space = staticmethod(space)
    def data(self, source):
        rows = np.loadtxt("rows.txt")
        return Dataset("rows", Task.REGRESSION, rows.reshape(-1, 1), rows)
    def metrics(self, dataset): return [Metric("val_loss", "minimize")]
    def preprocess(self, params, train, validation, context): return Prepared(train, validation)
    def learner(self, params, prepared, context): return Learner(params["train.way"], prepared.validation.target)
"""
WAYS = ("well", "raise", "nan")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study with a trial for each way to end."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows_again.py").write_text(STAGES)
    write_rows(tmp_path, first=0)
    (tmp_path / "points").write_text("\n".join(json.dumps({"train.way": way}) for way in WAYS))
    flags = {"study": "s", "seed": 1, "trials": 3, "enqueue": "points", "pruner": "none", "max-epochs": 2}
    launch = prepare("rows_again.py:Rows", choose(flags), results=tmp_path, folder=tmp_path)
    folder = launch.folder
    folder.root.mkdir()
    folder.plan.write_text(json.dumps(launch.record()))
    owner = StudyOwner.open(launch.plan, folder.root, launch.loaded_space.value, slots=1, run=Run("run"))
    owner.prepare(launch.baseline)
    run_here(owner, launch.problem, setting_of(launch.plan, launch.problem))
    owner.close()
    return tmp_path


def write_rows(project: Path, *, first: int) -> None:
    (project / "rows.txt").write_text("\n".join(str(first + row) for row in range(40)))


def again(project: Path, number: int) -> RepeatResult:
    stored = study.read(StudyFolder(project / "s"))
    return repeat(stored, study.trial(stored, str(number)))


def test_a_trial_that_scored_scores_again(project: Path) -> None:
    result = again(project, 0)
    assert result.equal
    assert result.lines()[-1] == "the same score again"
    assert (result.to_json()["values"], result.to_json()["data_changed"]) == (result.to_json()["recorded"], False)


@pytest.mark.parametrize(
    ("number", "reason", "text"), [(1, "exception", "ValueError: of this trial"), (2, "nan", "metric ")]
)
def test_a_trial_that_failed_fails_again_for_the_same_reason(
    project: Path, number: int, reason: str, text: str
) -> None:
    result = again(project, number)
    assert result.equal
    first, recorded, verdict = result.lines()
    assert first.startswith(f"trial {number} of s: fail ({reason}), {text}")
    assert recorded.startswith(f"recorded: fail ({reason}), {text}")
    assert verdict == "the same failure again"
    assert json.loads(json.dumps(result.to_json()))["reason"] == result.to_json()["recorded_reason"] == reason


def test_another_reason_is_another_end(project: Path) -> None:
    (project / "rows_again.py").write_text(STAGES.replace("raise ValueError", "raise MemoryError"))
    result = _fresh(project, 1)
    assert not result.equal
    assert result.lines()[-1] == "not the same end; the code changed since the study was launched"


def test_a_repeat_says_that_the_data_changed(project: Path) -> None:
    write_rows(project, first=7)
    result = again(project, 0)
    assert (result.equal, result.data_changed, result.code_changed) == (False, True, False)
    assert result.lines()[-1] == "not the same score; the data changed since the study was launched"


def _fresh(project: Path, number: int) -> RepeatResult:
    """Run a trial again with the objective as it is on disk now."""
    sys.modules.pop(UserFile.of(project / "rows_again.py").module_name)
    return again(project, number)
