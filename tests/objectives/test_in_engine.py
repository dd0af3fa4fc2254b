"""Rules of the shipped objectives when the engine runs them: real data, whole trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from objectives.images import Images
from objectives.tabular import FAMILIES, Tabular
from search.data.source import FileSource
from search.local import run_alone
from search.problem import Problem, open_problem
from search.session import Setting
from search.trial import Ending, Outcome
from spaces.images import images
from spaces.tabular import tabular

EPOCHS = 6


def suggested(space: Any, fixed: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """Return one configuration of a space with some parameters fixed."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    study.enqueue_trial(fixed)
    trial = study.ask()
    space(trial)
    return trial.params


def whole(problem: Problem, params: dict[str, Any]) -> Outcome:
    setting = Setting(seed=5, searched=problem.metrics[0], max_epochs=EPOCHS)
    return run_alone(problem, 3, params, setting)


@pytest.mark.parametrize("data", ["wine", "diabetes"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_trial_on_real_data_completes_and_repeats_exactly(family: str, data: str) -> None:
    problem = open_problem(Tabular(), FileSource(f"sklearn:{data}", None, Path()), seed=0)
    params = suggested(tabular, {"model.family": family, "model.shrinkage": 0.2, "model.leaves": 8})
    first, second = whole(problem, params), whole(problem, params)
    assert first.ending is Ending.COMPLETE, first.text
    assert {metric.name for metric in problem.metrics} <= set(first.metrics)
    assert (first.step, first.metrics) == (second.step, second.metrics)


def test_a_trial_on_real_images_completes_and_repeats_exactly() -> None:
    problem = open_problem(Images(), FileSource(None, None, Path()), seed=0)
    params = suggested(images, {"model.width": 8, "model.depth": 2})
    first, second = whole(problem, params), whole(problem, params)
    assert first.ending is Ending.COMPLETE, first.text
    assert first.metrics["val_accuracy"] > 0.3
    assert (first.step, first.metrics) == (second.step, second.metrics)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_csv_file_with_text_and_gaps_is_enough(family: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "größe %": random.normal(size=120),
            "town": random.choice(["Ulm", "Köln", "a,b"], 120),
            "empty": np.full(120, np.nan),
        }
    )
    table["answer"] = np.where((table["größe %"] > 0) ^ (table.town == "Ulm"), "yes", "no")
    table = table.mask(random.random(table.shape) < [0.1, 0.1, 0.0, 0.0])
    file = tmp_path / "data.csv"
    table.to_csv(file, index=False)
    problem = open_problem(Tabular(), FileSource(str(file), "answer", tmp_path), seed=0)
    outcome = whole(problem, suggested(tabular, {"model.family": family}))
    assert outcome.ending is Ending.COMPLETE, outcome.text


def test_leaving_training_rows_out_does_not_change_what_a_loss_is_measured_in() -> None:
    problem = open_problem(Tabular(), FileSource("sklearn:diabetes", None, Path()), seed=0)
    params = {
        "model.family": "linear",
        "model.l2": 0.01,
        "preprocess.impute": "median",
        "preprocess.outliers": "drop",
        "preprocess.outlier_share": 0.2,
    }
    scores = whole(problem, params).metrics
    assert scores["val_loss"] == pytest.approx(scores["val_rmse"] ** 2 / float(np.var(problem.train.target)))
