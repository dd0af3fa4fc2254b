"""One rule says what a callable needs, for objectives, trainables and spaces alike."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from search import loading
from search.adopt.arguments import the_argument
from tests.adopt.projects import load, write

CASES: list[tuple[Callable[..., Any] | int, str | None]] = [
    (lambda trial: 0, "trial"),
    (lambda trial, size=1, *rest, deep=True, **more: 0, "trial"),
    (lambda trial, data: 0, None),
    (lambda *trial: 0, None),
    (lambda *, trial: 0, None),
    (lambda trial, *, data: 0, None),
    (lambda: 0, None),
    (partial(lambda trial, data: 0, data=1), "trial"),
    (3, None),
]


@pytest.mark.parametrize(("function", "name"), CASES)
def test_what_may_be_left_out_is_not_needed(function: Callable[..., Any], name: str | None) -> None:
    assert the_argument(function) == name


KINDS = {
    "space": "def space(trial, *rest, **more): ...\n",
    "optuna": "def objective(trial, *rest, **more):\n    return 0.0\n",
    "estimator": "from sklearn.svm import SVC\nmodel = SVC()\ndef mine(trial, *rest, **more): ...\n",
    "trainable": "from ray import tune\nparam_space = {}\ndef train(config, *rest, **more):\n    tune.report({})\n",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_takes_more_is_found_as_what_takes_one(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, KINDS[kind], f"{kind}_file.py")
    if kind == "space":
        assert loading.load(str(path), kind="space", folder=tmp_path).reference.endswith(":space")
        return
    found = load(path)
    assert type(found).__name__ == {"optuna": "OptunaObjective", "estimator": "EstimatorObjective"}.get(
        kind, "TrainableObjective"
    )
    if kind == "estimator":
        assert found.space.__name__ == "mine"
