"""What a space may suggest is found whole, and a value that is fixed gets its parameter's type or a sentence."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.errors import InputError
from search.study.draft import UnfitPoint
from search.study.ranges import brief
from search.study.space import check_fixed, check_point, describe
from tests.study.studies import conditional_space


def rare_space(trial: optuna.trial.Trial) -> None:
    """Hide a parameter behind two choices of twenty each."""
    if trial.suggest_categorical("a", list(range(20))) == 13 and trial.suggest_categorical("b", list(range(20))) == 7:
        trial.suggest_float("hidden", 0, 1)


def growing_space(trial: optuna.trial.Trial) -> None:
    """Give a parameter a range that depends on another."""
    layers = trial.suggest_int("layers", 1, 4)
    trial.suggest_int("width", layers, 10 * layers)


def test_all_parameters_of_a_conditional_space_are_found_in_order() -> None:
    found = describe(conditional_space, seed=0)
    assert list(found) == ["model.family", "train.lr", "model.width", "model.dropout"]
    assert found["train.lr"] == FloatDistribution(1e-5, 0.1, log=True)


@pytest.mark.parametrize("seed", range(5))
def test_a_branch_behind_rare_choices_is_found(seed: int) -> None:
    assert list(describe(rare_space, seed=seed)) == ["a", "b", "hidden"]


def test_a_range_that_depends_on_another_parameter_is_the_widest_seen() -> None:
    assert describe(growing_space, seed=0)["width"] == IntDistribution(1, 40)


def test_the_same_seed_describes_alike() -> None:
    assert describe(conditional_space, seed=3) == describe(conditional_space, seed=3)


def test_a_space_without_parameters_has_none() -> None:
    assert describe(lambda _trial: None, seed=0) == {}


def test_one_name_in_two_kinds_is_refused() -> None:
    def space(trial: optuna.trial.Trial) -> None:
        if trial.suggest_categorical("family", ["a", "b"]) == "a":
            trial.suggest_float("depth", 0, 1)
        else:
            trial.suggest_categorical("depth", ["low", "high"])

    with pytest.raises(InputError) as caught:
        describe(space, seed=0)
    assert caught.value.message.startswith("depth is suggested in two kinds (")


DESCRIBED: dict[str, BaseDistribution] = {
    "train.lr": FloatDistribution(1e-5, 0.1, log=True),
    "model.width": IntDistribution(16, 256, log=True),
    "model.depth": IntDistribution(2, 8, step=2),
    "model.dropout": FloatDistribution(0, 0.5, step=0.1),
    "model.family": CategoricalDistribution(["linear", "mlp"]),
    "model.bias": CategoricalDistribution([True, False]),
    "train.clip": CategoricalDistribution([None, 1, 2.5, "auto"]),
}

GOOD = [
    ("train.lr", "0.01", 0.01),
    ("train.lr", "1e-5", 1e-5),
    ("train.lr", " .1 ", 0.1),
    ("train.lr", 0.01, 0.01),
    ("model.width", "64", 64),
    ("model.width", "64.0", 64),
    ("model.width", 64.0, 64),
    ("model.depth", "+4", 4),
    ("model.dropout", "0.3", 0.3),
    ("model.family", "mlp", "mlp"),
    ("model.bias", "true", True),
    ("model.bias", "False", False),
    ("model.bias", True, True),
    ("train.clip", "none", None),
    ("train.clip", None, None),
    ("train.clip", "1", 1),
    ("train.clip", 1.0, 1),
    ("train.clip", "2.5", 2.5),
    ("train.clip", "auto", "auto"),
]

BAD = [
    ("train.lr", "fast", "train.lr is a float in [1e-5, 0.1], got 'fast'"),
    ("train.lr", "", "train.lr is a float in [1e-5, 0.1], got ''"),
    ("train.lr", "nan", "train.lr is a float in [1e-5, 0.1], got 'nan'"),
    ("train.lr", "inf", "train.lr is a float in [1e-5, 0.1], got 'inf'"),
    ("train.lr", True, "train.lr is a float in [1e-5, 0.1], got 'true'"),
    ("train.lr", None, "train.lr is a float in [1e-5, 0.1], got 'null'"),
    ("train.lr", [1], "train.lr is a float in [1e-5, 0.1], got '[1]'"),
    ("train.lr", "5", "train.lr=5 is outside [1e-5, 0.1] of the space; widen the space to allow it"),
    ("train.lr", "0", "train.lr=0 is outside [1e-5, 0.1] of the space; widen the space to allow it"),
    ("train.lrr", "0.1", "no parameter 'train.lrr'; did you mean train.lr?"),
    ("model.width", "64.5", "model.width is an int in [16, 256], got '64.5'"),
    ("model.width", "1e400", "model.width is an int in [16, 256], got '1e400'"),
    ("model.width", "512", "model.width=512 is outside [16, 256] of the space; widen the space to allow it"),
    (
        "model.depth",
        "3",
        "model.depth=3 is between the steps of 2 from 2 in the space; take a step, or give the space a finer one",
    ),
    ("model.family", "tree", "model.family is one of linear, mlp, got 'tree'"),
    ("model.bias", "1", "model.bias is one of True, False, got '1'"),
    ("model.bias", 1, "model.bias is one of True, False, got '1'"),
    ("train.clip", True, "train.clip is one of None, 1, 2.5, auto, got 'true'"),
]


@pytest.mark.parametrize(("name", "value", "expected"), GOOD)
def test_a_good_value_gets_the_type_of_its_parameter(name: str, value: Any, expected: Any) -> None:
    found = check_fixed(name, value, DESCRIBED)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("name", "value", "sentence"), BAD)
def test_a_bad_value_is_told_in_one_sentence(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        check_fixed(name, value, DESCRIBED)
    assert caught.value.sentence() == sentence
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("number", "text"),
    [(1e-5, "1e-5"), (0.1, "0.1"), (1e6, "1000000"), (1e20, "1e20"), (0.0, "0"), (256, "256"), (-2.5e-12, "-2.5e-12")],
)
def test_numbers_are_written_as_people_do(number: float, text: str) -> None:
    assert brief(number) == text


def branching_space(trial: optuna.trial.Trial) -> None:
    """Ask for a depth on one of two branches, where a wide one is allowed."""
    deep = trial.suggest_categorical("family", ["flat", "deep"]) == "deep"
    trial.suggest_float("lr", 0.0, 1.0 if deep else 0.1)
    if deep:
        trial.suggest_int("depth", 1, 8)


@pytest.mark.parametrize(
    ("point", "fixed", "said"),
    [
        ({"family": "deep", "depth": 3}, {}, None),
        ({"depth": 3}, {}, None),  # which its branch may come to
        ({"depth": 3}, {"family": "deep"}, None),
        ({"lr": 0.5}, {}, None),
        ({}, {"family": "flat"}, None),
        ({"family": "flat", "depth": 3}, {}, "depth was never suggested beside family=flat; leave it out, or give"),
        ({"depth": 3}, {"family": "flat"}, "depth was never suggested beside family=flat"),
        ({"family": "deep", "depth": 3}, {"family": "flat"}, None),  # the point wins
        ({"family": "flat", "lr": 0.5}, {}, "lr=0.5 is outside [0, 0.1] of the space"),
    ],
)
def test_a_point_is_refused_where_the_space_would_drop_a_part_of_it(
    point: dict[str, Any], fixed: dict[str, Any], said: str | None
) -> None:
    if said is None:
        check_point(branching_space, point, fixed=fixed, seed=0)
        return
    with pytest.raises(UnfitPoint) as refused:
        check_point(branching_space, point, fixed=fixed, seed=0)
    assert refused.value.sentence().startswith(said)


def test_a_part_of_a_point_that_is_behind_rare_choices_is_found() -> None:
    check_point(rare_space, {"hidden": 0.5}, fixed={}, seed=0)
