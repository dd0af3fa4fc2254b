"""What is made of a user's choices before anything runs: the plan, and the objective that it is for."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Self

import optuna
import pytest

from search.choosing import choose
from search.errors import InputError, RefusedError
from search.launch import Launch, describe_launch, prepare
from search.paths import StudyFolder
from search.study.storage import open_for_writing

STAGES = """
import numpy as np
from search.contract import Dataset, Metric, Prepared, Task

class Rows:
    def data(self, source):
        return Dataset("rows", Task.REGRESSION, np.arange(40.0).reshape(40, 1), np.arange(40.0))
    def metrics(self, dataset): return [Metric("val_loss", "minimize"), Metric("val_error", "minimize")]
    def preprocess(self, params, train, validation, context): return Prepared(train, validation)
    def learner(self, params, prepared, context): ...
"""
SPACE = "def narrow(trial):\n    trial.suggest_float('train.x', 0, 1)\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.py").write_text(STAGES)
    (tmp_path / "narrow.py").write_text(SPACE)
    return tmp_path


def launch(project: Path, reference: str = "rows.py", **flags: Any) -> Launch:
    given = {"space": "narrow.py", "seed": 1, **{name.replace("_", "-"): flag for name, flag in flags.items()}}
    return prepare(reference, choose(given), results=project / "results", folder=project)


def test_a_class_with_neither_space_nor_baseline_is_an_objective_when_a_space_is_given(project: Path) -> None:
    prepared = launch(project)
    assert (prepared.baseline, list(prepared.space)) == ({}, ["train.x"])
    assert describe_launch(prepared)["baseline"] == {}
    with pytest.raises(InputError, match=r"rows\.py:Rows names no search space$"):
        launch(project, space=None)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (None, None),
        ("journal", None),
        ("sqlite:///a.db", "sqlite:///{folder}/a.db"),
    ],
)
def test_a_plan_holds_the_storage_as_it_will_be_used(project: Path, given: str | None, stored: str | None) -> None:
    expected = stored and stored.format(folder=project)
    assert launch(project, storage=given).plan.storage == expected


def test_a_study_of_the_database_is_refused_and_a_made_name_avoids_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.launch.datetime", _OneMinute)
    url = f"sqlite:///{project}/a.db"
    storage = open_for_writing(url, study="a", folder=project)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for name in ("taken", "rows-20260102-0304"):
        optuna.create_study(storage=storage.optuna, study_name=name)
    storage.close()
    with pytest.raises(RefusedError, match=r"^study 'taken' already has 0 trials in sqlite:///\S+/a\.db$"):
        launch(project, study="taken", storage=url)
    assert launch(project, storage=url).plan.study == "rows-20260102-0304-2"
    assert launch(project, study="taken").plan.study == "taken"  # a journal of its own
    assert launch(project, study="free", storage=url).plan.study == "free"


class _OneMinute(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2026, 1, 2, 3, 4, tzinfo=tz)


@pytest.mark.parametrize(
    ("stem", "name"),
    [("größe", "gr-e"), ("実験", "sweep"), ("a" * 150, "a" * 80), ("__x__y__", "x-y"), ("x1", "x1")],
)
def test_a_made_name_is_one_that_a_study_may_have(project: Path, stem: str, name: str) -> None:
    (project / f"{stem}.py").write_text(STAGES)
    made = launch(project, f"{stem}.py").plan.study
    assert re.fullmatch(rf"{name}-\d{{8}}-\d{{4}}", made)
    assert StudyFolder.of(project / "results", made).name == made


@pytest.mark.parametrize(
    ("flags", "pruner"),
    [
        ({}, "auto"),
        ({"metric": ("val_error",)}, "auto"),
        ({"metric": ("val_loss", "val_error")}, "auto"),
        ({"metric": ("val_loss", "val_error"), "pruner": "asha"}, "asha"),
        ({"metric": ("val_loss", "val_error"), "pruner": "none"}, "none"),
    ],
)
def test_a_plan_names_the_pruner_that_prunes(project: Path, flags: dict[str, Any], pruner: str) -> None:
    assert launch(project, **flags).plan.pruner == pruner


@pytest.mark.parametrize("seed", ["0", str(2**32 - 1)])
def test_every_seed_that_is_taken_can_be_used(project: Path, seed: str) -> None:
    prepared = launch(project, seed=seed)
    assert prepared.plan.seed == int(seed)
    assert describe_launch(prepared)["example"]
