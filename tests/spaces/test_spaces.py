"""Rules of the shipped search spaces."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import optuna
import pytest

from objectives import choices
from objectives.images import Images
from objectives.tabular import FAMILIES, Tabular
from search.contract import Part, Task
from spaces.images import images
from spaces.tabular import tabular
from spaces.tabular_full import tabular_full
from tests.objectives.tables import Example, digits, mixed

DRAWS = 200

Space = Callable[[optuna.trial.Trial], None]

every = pytest.mark.parametrize("space", [tabular, tabular_full, images])


def draws(space: Space, count: int, seed: int = 0) -> list[optuna.trial.FrozenTrial]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(count):
        trial = study.ask()
        space(trial)
        study.tell(trial, 0.0)
    return study.trials


def stage(params: dict[str, Any], prefix: str, *, inside: bool) -> dict[str, Any]:
    if inside:
        return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}
    return {name: value for name, value in params.items() if not name.startswith(prefix)}


@every
def test_a_name_has_one_distribution_wherever_it_is_suggested(space: Space) -> None:
    found: dict[str, optuna.distributions.BaseDistribution] = {}
    for trial in draws(space, DRAWS):
        for name, distribution in trial.distributions.items():
            assert found.setdefault(name, distribution) == distribution


@every
def test_names_are_dotted_by_stage(space: Space) -> None:
    names = {name for trial in draws(space, DRAWS) for name in trial.params}
    assert {name.split(".")[0] for name in names} == {"preprocess", "model", "train"}


@pytest.mark.parametrize("space", [tabular, tabular_full])
def test_every_family_of_the_objective_is_in_its_space(space: Space) -> None:
    assert {trial.params["model.family"] for trial in draws(space, DRAWS)} == set(FAMILIES)


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("space", [tabular, tabular_full])
def test_every_configuration_of_a_table_trains(task: Task, space: Space) -> None:
    example = mixed(task, rows=90)
    for trial in draws(space, 25, seed=list(Task).index(task)):
        _one_unit(Tabular(), trial.params, example)


def test_the_full_space_of_tables_offers_every_choice_that_there_is() -> None:
    offered: dict[str, set[Any]] = {}
    for trial in draws(tabular_full, DRAWS):
        for name, value in trial.params.items():
            offered.setdefault(name, set()).add(value)
    for name in ("impute", "outliers", "duplicates", "scale", "whiten", "encode", "dates", "text"):
        left_out = {"none"} if name in ("impute", "scale") else set()  # no family can do without, or none feels it
        assert offered[f"preprocess.{name}"] == set(getattr(choices, name.upper())) - left_out


def test_the_default_space_of_tables_is_part_of_the_full_one() -> None:
    full = {name for trial in draws(tabular_full, DRAWS) for name in trial.params}
    assert {name for trial in draws(tabular, DRAWS) for name in trial.params} <= full


def test_every_configuration_of_images_trains() -> None:
    whole = digits()
    few = Part(whole.train.features[:64], whole.train.target[:64])
    example = Example(few, few, whole.context)
    for trial in draws(images, 25):
        _one_unit(Images(), trial.params, example)


@pytest.mark.parametrize("module", ["spaces.tabular", "spaces.tabular_full", "spaces.images"])
def test_a_space_needs_no_library_to_be_imported(module: str) -> None:
    heavy = ("torch", "sklearn", "numpy", "optuna")
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_trees_do_not_wait_for_torch() -> None:
    code = (
        "import sys; from objectives.tabular import Tabular; from objectives.images import Images;"
        "from objectives.models import linear, forest, boosting; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def _one_unit(objective: Tabular | Images, params: dict[str, Any], example: Example) -> None:
    rows = objective.preprocess(
        stage(params, "preprocess.", inside=True), example.train, example.validation, example.context
    )
    learner = objective.learner(stage(params, "preprocess.", inside=False), rows, example.context)
    learner.fit_epoch()
    assert "val_loss" in learner.evaluate()
