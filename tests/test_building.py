"""Rows that are prepared before a trial is trained are those that it asks for, however often it is trained.

Mutations that turn these red: prepare the first unit alone (`Building.prepare`), or with another seed than
`FoldLearner.unit` gives; put the device into the key of rows.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from search.building import Building
from search.contract import Context, Learner, Metric, Params
from search.data.scheme import Scheme
from search.data.source import FileSource
from search.local import run_alone
from search.prepared import Preparations
from search.problem import Problem, open_problem
from search.session import Setting
from search.store import Store
from search.trial import TrialSpec
from tests.learners import Curve, Curves

WINE = FileSource("sklearn:wine", None, Path())
SETTING = Setting(seed=4, searched=Metric("val_loss", "minimize"), max_epochs=4)
SPEC = TrialSpec(3, {"preprocess.kind": "a", "train.x": 0.5})


def curve(params: Params, context: Context) -> Learner:
    return Curve([1.0])


def opened(folder: Path, folds: int = 0) -> tuple[Problem, Curves]:
    curves = Curves(curve)
    problem = open_problem(curves, WINE, seed=4, scheme=Scheme(folds=folds))
    return replace(problem, preparations=Preparations(Store(folder), {})), curves


def prepare(problem: Problem, setting: Setting) -> str:
    clock = time.monotonic
    return Building(problem, SPEC, setting, lambda _: nullcontext(), clock=clock, began=clock()).prepare()


@pytest.mark.parametrize(("folds", "replicates"), [(0, 1), (3, 1), (0, 2), (2, 2)])
def test_a_trial_finds_the_rows_of_all_its_trainings(tmp_path: Path, folds: int, replicates: int) -> None:
    problem, curves = opened(tmp_path, folds)
    setting = replace(SETTING, replicates=replicates)
    assert prepare(problem, setting) == ""
    made = len(curves.handed)
    assert made == max(1, folds) * replicates
    outcome = run_alone(problem, SPEC.number, SPEC.params, replace(setting, device="cuda"))
    assert outcome.reuse is not None
    assert outcome.reuse.how == "found"
    assert [len(handed) for handed in curves.handed[made:]] == [3] * made  # learners, and nothing prepared


def test_rows_that_cannot_be_kept_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    problem, _ = opened(tmp_path / "file")
    assert "could not be kept" in prepare(problem, SETTING)
