"""What preprocess made, reused: by exactly what it depends on, with nothing else different from making it anew.

Mutations that turn these red: leave any part out of the key; put the threads or the trial's number into it; take the
stage's own OSError for the store's; keep the transform of the first trial for all; keep a subclass as `Prepared`;
let `transform` draw from the generators that training draws from.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from objectives.images import Images
from objectives.tabular import FAMILIES, Tabular
from search.contract import Context, Metric, Part, Prepared, Role, Task
from search.data.source import FileSource
from search.local import run_alone
from search.prepared import Preparations
from search.problem import Problem, open_problem
from search.session import Setting
from search.store import Store
from search.study.example import example
from search.trial import Outcome
from spaces.images import images
from spaces.tabular import tabular

from .threads import one_thread

__all__ = ["one_thread"]

BASIS = {"data": "d", "split": "s", "objective": "O", "code": "c", "versions": {"numpy": "2.4"}}
CONTEXT = Context(seed=1)


class Scaler:
    """What a stage fits: it counts how often it was fitted."""

    fitted = 0

    def __init__(self, rows: np.ndarray[Any, Any]) -> None:
        Scaler.fitted += 1
        self.mean = rows.mean()


def stage(value: float = 1.0) -> Callable[[], Prepared]:
    def make() -> Prepared:
        rows = np.full((4, 2), value)
        return Prepared(Part(rows, np.arange(4)), Part(-rows[:2], np.arange(2)), Scaler(rows))

    return make


@pytest.fixture
def kept(tmp_path: Path) -> Preparations:
    return Preparations(Store(tmp_path), BASIS)


def never() -> Prepared:
    raise AssertionError("it was made before")


# --- the key ---


@pytest.mark.parametrize("name", [*BASIS])
def test_each_part_of_what_it_depends_on_makes_it_another(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path)
    Preparations(store, BASIS).get({}, CONTEXT, stage())
    other = {"numpy": "2.5"} if name == "versions" else "other"
    assert Preparations(store, {**BASIS, name: other}).get({}, CONTEXT, stage())[1].how == "made"
    assert Preparations(store, BASIS).get({}, CONTEXT, never)[1].how == "found"


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"max_epochs": 3},
        {"task": Task.REGRESSION},
        {"classes": ("a",)},
        {"roles": {"a": Role.TEXT}},
    ],
)
def test_each_thing_that_the_stage_is_told_makes_it_another(kept: Preparations, change: dict[str, Any]) -> None:
    kept.get({}, CONTEXT, stage())
    assert kept.get({}, replace(CONTEXT, **change), stage())[1].how == "made"


@pytest.mark.parametrize("change", [{"threads": 7}, {"device": "cuda"}])
def test_where_it_is_made_does_not(kept: Preparations, change: dict[str, Any]) -> None:
    kept.get({}, CONTEXT, stage())
    assert kept.get({}, replace(CONTEXT, **change), never)[1].how == "found"


@pytest.mark.parametrize(
    "params", [{"scale": "robust"}, {"scale": 1}, {"scale": 1.0}, {"scale": True}, {"impute": "none"}, {}]
)
def test_each_value_of_its_parameters_makes_it_another(kept: Preparations, params: dict[str, Any]) -> None:
    kept.get({"scale": "none"}, CONTEXT, stage())
    assert kept.get(params, CONTEXT, stage())[1].how == "made"
    assert kept.get(dict(reversed(params.items())), CONTEXT, never)[1].how == "found"


def test_other_rows_of_the_same_split_are_others(kept: Preparations) -> None:
    kept.get({}, CONTEXT, stage(1.0), rows="fold 0")
    made, reuse = kept.get({}, CONTEXT, stage(2.0), rows="fold 1")
    assert (reuse.how, made.train.features[0, 0]) == ("made", 2.0)


# --- what comes back ---


def test_kept_rows_are_those_that_were_made_in_the_trial_that_made_them_too(kept: Preparations) -> None:
    for make in (stage(), never):
        prepared, _ = kept.get({}, CONTEXT, make)
        assert np.array_equal(prepared.train.features, np.ones((4, 2)))
        assert np.array_equal(prepared.validation.target, [0, 1])
        with pytest.raises(ValueError, match="read-only"):
            prepared.train.features[0] = 2
        with pytest.raises(ValueError, match="read-only"):
            prepared.validation.target[0] = 2


def test_what_was_fitted_is_fitted_again_only_when_it_is_asked_for(kept: Preparations) -> None:
    kept.get({}, CONTEXT, stage())
    before = Scaler.fitted
    prepared, _ = kept.get({}, CONTEXT, stage())
    assert Scaler.fitted == before
    transform = prepared.transform
    assert isinstance(transform, Scaler)
    assert transform.mean == 1.0
    assert prepared.transform is transform
    assert Scaler.fitted == before + 1


def test_fitting_it_again_draws_what_it_drew_and_nothing_of_what_comes_after(kept: Preparations) -> None:
    import torch

    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.random()), float(torch.rand(()))

    def make() -> Prepared:
        return replace(stage()(), transform=draw())

    from search.randomness import seed_globals

    seed_globals(CONTEXT.seed)
    drawn = draw()
    kept.get({}, CONTEXT, make)
    prepared, _ = kept.get({}, CONTEXT, make)
    seed_globals(5)
    after = draw()
    seed_globals(5)
    assert prepared.transform == drawn
    assert draw() == after


def test_kept_rows_can_be_replaced_in_part(kept: Preparations) -> None:
    prepared, _ = kept.get({}, CONTEXT, stage())
    other = replace(prepared, train=prepared.validation)
    assert type(other) is Prepared
    assert len(other.train.target) == 2
    assert isinstance(other.transform, Scaler)


# --- what goes wrong ---


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "words.txt"), PermissionError(13, "no"), OSError(28, "full"), KeyError(1)]
)
def test_what_the_stage_raises_is_raised(kept: Preparations, error: Exception) -> None:
    def fails() -> Prepared:
        raise error

    with pytest.raises(type(error)) as raised:
        kept.get({}, CONTEXT, fails)
    assert raised.value is error
    assert kept.trouble == ""
    assert kept.get({}, CONTEXT, stage())[1].how == "made"


class MyPrepared(Prepared):
    """Prepared rows with something of the user's own."""


@pytest.mark.parametrize(
    "returned",
    [
        MyPrepared(Part(np.ones((2, 1)), np.ones(2)), Part(np.ones((2, 1)), np.ones(2))),
        Prepared(Part([object()], np.ones(2)), Part(np.ones((2, 1)), np.ones(2))),
        Prepared(Part(pd.DataFrame({"a": [1]}, index=["x"]), np.ones(2)), Part(None, np.ones(2))),
    ],
)
def test_what_would_come_back_as_something_else_is_not_kept(tmp_path: Path, returned: Prepared) -> None:
    kept = Preparations(Store(tmp_path), BASIS)
    for _ in range(2):
        prepared, reuse = kept.get({}, CONTEXT, lambda: returned)
        assert prepared is returned
        assert (reuse.how, reuse.saved_s) == ("unkept", 0.0)
        assert kept.trouble.startswith("prepared rows are not kept: ")
    assert not Store(tmp_path).keys()
    assert kept.get({"other": 1}, CONTEXT, stage())[1].how == "made"
    assert kept.trouble == ""
    kept.get({}, CONTEXT, lambda: returned)
    assert kept.trouble.startswith("prepared rows are not kept: ")


def test_a_result_that_is_thrown_out_at_once_is_made_for_the_trial_all_the_same(tmp_path: Path) -> None:
    class Emptied(Store):
        def get(self, key: str, make: Callable[[Path], None]) -> Any:
            entry = super().get(key, make)
            self._shrink(to=0)
            return entry

    count = 0

    def make() -> Prepared:
        nonlocal count
        count += 1
        return stage()()

    prepared, reuse = Preparations(Emptied(tmp_path), BASIS).get({}, CONTEXT, make)
    assert (reuse.how, count) == ("unkept", 1)
    assert prepared.train.features.shape == (4, 2)


# --- trials with and without ---


def outcomes(problem: Problem, params: dict[str, Any], setting: Setting, store: Path) -> list[Outcome]:
    """Run a trial without keeping anything, as the one that makes what is kept, and as one that finds it."""
    keeping = replace(problem, preparations=Preparations(Store(store), BASIS))
    made = [run_alone(one, number, params, setting) for one, number in ((problem, 0), (keeping, 0), (keeping, 0))]
    assert [outcome.reuse and outcome.reuse.how for outcome in made] == [None, "made", "found"]
    return made


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("data", "direction"), [("sklearn:breast_cancer", "minimize"), ("sklearn:diabetes", "minimize")]
)
def test_every_family_trains_to_the_last_bit_as_without(tmp_path: Path, family: str, data: str, direction: str) -> None:
    problem = open_problem(Tabular(), FileSource(data, None, Path()), seed=4)
    params = example("random", tabular, [direction], seed=1, fixed={"model.family": family})
    setting = Setting(seed=4, searched=Metric("val_loss", "minimize"), max_epochs=2)
    without, made, found = outcomes(problem, params, setting, tmp_path)
    assert without.metrics, without.text
    assert made.metrics == found.metrics == without.metrics


def test_the_network_of_images_trains_to_the_last_bit_as_without(tmp_path: Path) -> None:
    problem = open_problem(Images(), FileSource(None, None, Path()), seed=4)
    params = example("random", images, ["maximize"], seed=1, fixed={})
    setting = Setting(seed=4, searched=Metric("val_accuracy", "maximize"), max_epochs=1)
    without, made, found = outcomes(problem, params, setting, tmp_path)
    assert without.metrics, without.text
    assert made.metrics == found.metrics == without.metrics


class Writes(Tabular):
    """Writes into what it is given: into the rows of every trial, if it were let."""

    def learner(self, params: Any, prepared: Prepared, context: Context) -> Any:
        prepared.train.features[:] = 0
        return super().learner(params, prepared, context)


def test_a_learner_that_writes_into_the_rows_fails_from_the_first_trial_on(tmp_path: Path) -> None:
    problem = open_problem(Writes(), FileSource(None, None, Path()), seed=4)
    params = example("random", tabular, ["minimize"], seed=1, fixed={"model.family": "linear"})
    setting = Setting(seed=4, searched=Metric("val_loss", "minimize"), max_epochs=2)
    without, *others = outcomes(problem, params, setting, tmp_path)
    assert without.ending == "complete"
    for outcome in others:
        assert (outcome.ending, outcome.reason) == ("fail", "exception")
        assert "read-only" in outcome.text


def test_trials_of_other_models_and_numbers_share_what_is_prepared(tmp_path: Path) -> None:
    source = FileSource(None, None, Path())
    problem = open_problem(Tabular(), source, seed=4)
    problem = replace(problem, preparations=Preparations(Store(tmp_path), BASIS))
    setting = Setting(seed=4, searched=Metric("val_loss", "minimize"), max_epochs=1)
    hows = []
    for number, family in enumerate(("linear", "boosting", "mlp")):
        fixed = {"model.family": family, "preprocess.scale": "standard"}
        params = example("random", tabular, ["minimize"], seed=number, fixed=fixed)
        shared = {name: value for name, value in params.items() if not name.startswith("preprocess.")}
        outcome = run_alone(problem, number, {**shared, "preprocess.impute": "median"}, setting)
        assert outcome.reuse is not None
        hows.append(outcome.reuse.how)
    assert hows == ["made", "found", "found"]


def test_using_prepared_rows_is_a_use_of_the_rows_that_they_are_made_of(tmp_path: Path) -> None:
    store, entry = Store(tmp_path), "entry.json"
    frozen = store.get("ab", lambda folder: None)
    kept = Preparations(store, BASIS, "ab")
    kept.get({}, CONTEXT, stage())
    os.utime(frozen.path / entry, (1, 1))
    kept.get({}, CONTEXT, never)
    assert (frozen.path / entry).stat().st_mtime > 1
