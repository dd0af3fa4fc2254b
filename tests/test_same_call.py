"""The call that began a study goes on with it, and one that gives something else is refused.

Mutations that turn these red: compare a metric, a storage or a split as it was typed; leave `data`, `set` or `enqueue`
out of what is compared; settle a study without what the call brings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import search
from search.choosing import BY_NAME, OPTIONS, RESUMABLE, choose
from search.contract import Run as TrialsRun
from search.contract import objective
from search.data import frames
from search.errors import RefusedError
from search.launch import prepare
from search.local import run_here, setting_of
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.unchanged import COMPARED

ROWS = np.arange(120.0).reshape(60, 2) % 7
CLASSES = np.arange(60) % 3
MODEL = LogisticRegression(max_iter=50)


def model_space(trial: Any) -> None:
    trial.suggest_float("C", 0.01, 10, log=True)


def began(
    results: Path, given: Any, space: object = None, data: Any = None, *, end: bool = True, **options: Any
) -> None:
    """Run a sweep of one trial in this process, as `search.sweep` would on Ray."""
    points = options.pop("enqueue", ())
    if isinstance(points, str):
        options["enqueue"], points = points, ()
    choices = choose({option.name: options.get(option.key) for option in OPTIONS})
    if data is not None:
        reference, target = frames.keep(data, None, results)
        choices = choices.having(data=reference, target=target)
    launch = prepare(given, choices, results=results, folder=Path.cwd(), own_space=space, points=points)
    launch.folder.root.mkdir(parents=True)
    launch.folder.plan.write_text(json.dumps(launch.record()))
    run = Run("r", launch.code_hash, launch.data_hash, objective_hash=launch.objective_hash)
    owner = StudyOwner.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=run)
    try:
        owner.prepare(launch.baseline)
        run_here(owner, launch.problem, setting_of(launch.plan, launch.problem), launch.folder.root)
        if end:
            owner.finish()
    finally:
        owner.close()


def makes_short() -> tuple[Any, Any]:
    """Return a generator and its space, which stand in no file by their own name."""

    def space(trial: Any) -> None:
        trial.suggest_float("x", 0.0, 1.0)

    @objective(space=space, metrics={"loss": "minimize"})
    def short(run: TrialsRun) -> Iterator[Mapping[str, float]]:
        yield {"loss": float(run.params["x"]), "size": 1.0}  # type: ignore[arg-type]

    return short, space


def optunas(trial: Any) -> float:
    return float(trial.suggest_float("x", 0, 1))


SHORT, SPACE = makes_short()
FITTED = {"given": MODEL, "space": model_space, "data": (ROWS, CLASSES)}
SAME = [
    {"given": SHORT},
    {"given": SHORT, "space": SPACE},
    {"given": SHORT, "sampler": "tpe: multivariate = true", "pruner": "asha", "seed": 3, "max_epochs": 2},
    {"given": SHORT, "storage": "sqlite:///x.db"},
    {"given": SHORT, "storage": "journal", "cpus": 1, "gpus": 0, "patience": 3, "precision": "auto", "compile": "on"},
    {"given": SHORT, "metric": "loss", "direction": "minimize", "constraint": "size <= 3.0", "replicates": 1},
    {"given": SHORT, "set": {"x": 1}, "min_gain": "0.1", "until_confident": 0.5},
    {"given": SHORT, "enqueue": [{"x": 1}]},
    {"given": SHORT, "enqueue": "points.jsonl"},
    {"given": optunas, "metric": "y", "direction": "maximize", "catch": "ValueError", "enqueue": [{"x": 0.25}]},
    {**FITTED, "metric": "accuracy"},
    {**FITTED, "metric": ["neg_log_loss", "val_accuracy"], "split": " random ", "folds": 3},
]
OTHER = [
    ({"given": SHORT, "seed": 1}, {"seed": 2}, "study 's' was launched with seed=1, got 2; leave it out"),
    ({"given": SHORT}, {"set": {"x": 1.0}}, "set={}, got {'x': 1.0}"),
    ({"given": SHORT, "set": {"x": 1.0}}, {"set": {"x": 0.5}}, "set={'x': 1.0}, got {'x': 0.5}"),
    ({"given": SHORT}, {"enqueue": [{"x": 0.5}]}, "enqueue=(), got ({'x': 0.5},); `sweep enqueue s` adds points"),
    ({"given": SHORT}, {"constraint": "size<=3"}, "constraint=(), got ('size<=3',)"),
    ({"given": SHORT}, {"replicates": 2}, "replicates=1, got 2"),
    ({"given": SHORT}, {"precision": "bf16"}, "precision='float32', got 'bf16'"),
    ({"given": SHORT}, {"compile": "on"}, "compile=False, got True"),
    ({"given": SHORT}, {"storage": "sqlite:///x.db"}, "storage=None, got 'sqlite:///"),
    ({"given": SHORT}, {"catch": "ValueError"}, "catch=(), got ('ValueError',)"),
    ({"given": SHORT}, {"space": model_space}, "study 's' is of __main__:short.space, got "),
    (FITTED, {"data": (ROWS[:40], CLASSES[:40])}, "data='"),
    (FITTED, {"data": "sklearn:iris"}, "data='"),
    (FITTED, {"metric": "f1_macro"}, "metric=('val_accuracy',), got ('val_f1_macro',)"),
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("points.jsonl").write_text('{"x": 1}\n')


def gone_on_with(results: Path, given: Any, space: object = None, **options: Any) -> search.Sweep:
    return search.sweep(given, space, study="s", trials=1, results=results, resume=True, show=False, **options)


@pytest.mark.parametrize("call", SAME)
def test_the_same_call_goes_on(call: dict[str, Any], tmp_path: Path) -> None:
    began(tmp_path / "r", study="s", trials=1, **call)
    assert gone_on_with(tmp_path / "r", **call).status.state == "finished"


@pytest.mark.parametrize(("call", "other", "said"), OTHER)
def test_a_call_that_gives_something_else_is_refused(
    call: dict[str, Any], other: dict[str, Any], said: str, tmp_path: Path
) -> None:
    began(tmp_path / "r", study="s", trials=1, **call)
    with pytest.raises(RefusedError, match=re.escape(said)) as caught:
        gone_on_with(tmp_path / "r", **{**call, **other})
    assert len(str(caught.value)) <= 200


def test_every_option_may_change_or_is_compared() -> None:
    assert COMPARED.isdisjoint(RESUMABLE)
    assert {*COMPARED, *RESUMABLE, "study", "space"} == set(BY_NAME)


def test_a_study_whose_process_was_killed_after_its_last_trial_is_settled(tmp_path: Path) -> None:
    began(tmp_path / "r", SHORT, study="s", trials=1, end=False)
    assert gone_on_with(tmp_path / "r", SHORT).status.why_stopped == "1 of 1 trials"
