"""PED-ANOVA tells what Optuna's does where both apply, and what is true where Optuna's does not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial

from search.records.importances import Importance, judge
from search.records.pedanova import divergences, top_count
from tests.records.judging import ended, floats, judged, trials

UNIT = FloatDistribution(0.0, 1.0)
KINDS: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-5, 1.0, log=True),
    "plain": FloatDistribution(-1.0, 3.0),
    "stepped": FloatDistribution(0.0, 1.0, step=0.1),
    "whole": IntDistribution(1, 300),
    "doubling": IntDistribution(1, 512, log=True),
    "few": IntDistribution(2, 10),
    "threes": IntDistribution(0, 12, step=3),
    "choice": CategoricalDistribution(("a", "b", None)),
    "yes": CategoricalDistribution((True, False)),
}


def of_kinds(count: int) -> list[FrozenTrial]:
    """Return trials with a parameter of every kind, of which some matter."""

    def objective(trial: optuna.Trial) -> float:
        given: dict[str, Any] = {name: trial._suggest(name, one) for name, one in KINDS.items()}
        rate = (math.log10(given["rate"]) + 2) ** 2
        return float(rate + given["plain"] / 2 + (given["choice"] == "a") + given["few"] / 20 + given["yes"] / 3)

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=count))
    study.optimize(objective, n_trials=count)
    return study.trials


def told(given: list[FrozenTrial]) -> dict[str, Importance]:
    return {one.name: one for one in judge(judged(given))}


@pytest.mark.parametrize("count", [24, 60, 400])
def test_shares_are_those_of_optuna_where_all_trials_completed_and_have_all_parameters(count: int) -> None:
    given = of_kinds(count)
    study = optuna.create_study()
    study.add_trials(given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = PedAnovaImportanceEvaluator(target_quantile=top_count(count) / count)
        expected = get_param_importances(study, evaluator=evaluator)
    found = told(given)
    assert {name: one.share for name, one in found.items()} == pytest.approx(expected, abs=1e-7)
    assert [*found][:2] == [*expected][:2]


@pytest.mark.parametrize(("trials", "best"), [(3, 3), (20, 5), (50, 5), (51, 6), (1000, 100)])
def test_the_best_are_a_tenth_and_at_least_five(trials: int, best: int) -> None:
    assert top_count(trials) == best


def test_the_order_is_completed_then_pruned_by_step_then_infeasible_then_failed() -> None:
    space = {"x": UNIT}
    given = [
        ended("fail", {"x": 0.0}, space, reason="nan"),
        ended("pruned", {"x": 0.1}, space, 0.3, steps=2),
        ended("complete", {"x": 0.2}, space, 0.9),
        ended("pruned", {"x": 0.3}, space, 0.8, steps=5),
        ended("fail", {"x": 0.4}, space, reason="worker_lost"),
        ended("complete", {"x": 0.5}, space, 0.1, constraints={"slow": 2.0}),
        ended("complete", {"x": 0.6}, space, 0.2),
        ended("fail", {"x": 0.7}, space, reason="exception"),
        ended("pruned", {"x": 0.8}, space, 0.2, steps=2),
        ended("complete", {"x": 0.9}, space, 0.2),
    ]
    found = judged(given)
    assert floats(found.parameters[0].values) == [0.6, 0.9, 0.2, 0.3, 0.8, 0.1, 0.5, 0.0, 0.7]
    assert found.rank.tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 6]
    assert found.valued.tolist() == [True] * 7 + [False] * 2
    assert (found.complete, found.pruned, found.failed) == (4, 3, 2)


def test_what_mattered_is_found_where_38_of_40_trials_were_pruned() -> None:
    dice, space = np.random.default_rng(0), {"x": UNIT, "y": UNIT}
    given = []
    for place in range(40):
        x, y = 0.2 + 0.02 * place * (-1) ** (place < 10 and place % 2), float(dice.random())
        steps = 9 if place < 2 else 4 if place < 10 else 1
        state = "complete" if place < 2 else "pruned"
        given.append(ended(state, {"x": min(1.0, x), "y": y}, space, abs(x - 0.2), steps=steps))
    found = told(given)
    assert found["x"].share > 0.8
    assert (found["x"].is_told, found["y"].is_told) == (True, False)


def test_failures_of_a_configuration_count_as_the_worst() -> None:
    dice, space = np.random.default_rng(1), {"x": UNIT, "y": UNIT}
    given = []
    for _ in range(200):
        x, y = float(dice.random()), float(dice.random())
        fails = x > 0.15
        loss = None if fails else float(dice.random())
        given.append(ended("fail" if fails else "complete", {"x": x, "y": y}, space, loss, reason="nan"))
    found = told(given)
    assert (found["x"].is_told, found["y"].is_told) == (True, False)


def test_what_only_separates_bad_from_mediocre_does_not_rule_what_separates_good_from_mediocre() -> None:
    """Their own example: variance is ruled by x where trials are bad; among good ones y decides."""
    dice = np.random.default_rng(2)
    x, y, z = dice.random(600), dice.random(600), dice.random(600)
    losses = np.where(x > 0.7, 100 * x, 0.0) + (y - 0.3) ** 2
    found = told(trials(dict.fromkeys("xyz", UNIT), {"x": floats(x), "y": floats(y), "z": floats(z)}, floats(losses)))
    assert next(iter(found)) == "y"
    assert found["y"].share > 5 * found["x"].share
    assert not found["z"].is_told


def test_what_matters_only_among_good_trials_is_found() -> None:
    dice = np.random.default_rng(3)
    x, y, z = dice.random(600), dice.random(600), dice.random(600)
    losses = np.where(x < 0.3, 0.5 * abs(y - 0.8), 1.0 + x)  # y is of no effect in seven of ten trials
    found = told(trials(dict.fromkeys("xyz", UNIT), {"x": floats(x), "y": floats(y), "z": floats(z)}, floats(losses)))
    assert found["y"].is_told
    assert found["x"].is_told
    assert not found["z"].is_told


def in_branches(count: int, seed: int) -> list[FrozenTrial]:
    """Return trials of two families that are as good: `width` rules the one and `noise` nothing, `depth` the other."""
    dice = np.random.default_rng(seed)
    family = dice.random(count) < 0.5
    width, noise, depth = dice.random(count), dice.random(count), dice.random(count)
    losses = np.where(family, abs(width - 0.3), abs(depth - 0.6) * 0.98)
    space: dict[str, BaseDistribution] = dict.fromkeys(("model.width", "model.noise", "model.depth", "train.lr"), UNIT)
    space["model.family"] = CategoricalDistribution(("mlp", "forest"))
    columns: dict[str, Sequence[Any]] = {
        "train.lr": floats(dice.random(count)),
        "model.family": ["mlp" if one else "forest" for one in family],
        "model.width": [value if one else None for value, one in zip(floats(width), family, strict=True)],
        "model.noise": [value if one else None for value, one in zip(floats(noise), family, strict=True)],
        "model.depth": [None if one else value for value, one in zip(floats(depth), family, strict=True)],
    }
    return trials(space, columns, floats(losses))


def test_a_conditional_parameter_is_judged_within_its_branch_and_its_parent_is_not_credited_for_it() -> None:
    found = told(in_branches(300, 4))
    assert {name: one.is_told for name, one in found.items()} == {
        "model.width": True,
        "model.depth": True,
        "model.noise": False,
        "train.lr": False,
        "model.family": False,
    }
    assert found["model.family"].share < 0.05 < 0.2 < found["model.width"].share


def test_a_conditional_parameter_tells_its_condition_and_the_trials_that_have_it() -> None:
    given = in_branches(300, 4)
    found = told(given)
    with_mlp = sum(one.params["model.family"] == "mlp" for one in given)
    assert (found["model.width"].condition, found["model.width"].trials) == ("model.family=mlp", with_mlp)
    assert (found["model.depth"].condition, found["model.depth"].trials) == ("model.family=forest", 300 - with_mlp)
    assert (found["train.lr"].condition, found["train.lr"].trials) == ("", 300)


def _where(condition: list[bool]) -> list[float | None]:
    return [0.5 + row / 1000 if one else None for row, one in enumerate(condition)]


CONDITIONS = [
    ({"layers": [row % 4 for row in range(80)]}, [row % 4 >= 2 for row in range(80)], "layers>=2"),
    ({"layers": [row % 4 for row in range(80)]}, [row % 4 < 2 for row in range(80)], "layers<=1"),
    ({"layers": [row % 4 for row in range(80)]}, [row % 2 == 1 for row in range(80)], ""),
    ({"kind": ["abcd"[row % 4] for row in range(80)]}, [row % 4 in (1, 3) for row in range(80)], "kind=b|d"),
    ({"kind": ["abcd"[row % 4] for row in range(80)]}, [row % 2 == row // 40 for row in range(80)], ""),
    ({"kind": ["abcd"[row % 4] for row in range(80)]}, [True] * 80, ""),
]


@pytest.mark.parametrize(("parents", "has", "expected"), CONDITIONS)
def test_a_condition_is_told_where_one_parameter_decides_it_exactly(
    parents: dict[str, list[Any]], has: list[bool], expected: str
) -> None:
    space: dict[str, BaseDistribution] = {"layers": IntDistribution(0, 3), "child": UNIT, "sibling": UNIT}
    space["kind"] = CategoricalDistribution(tuple("abcd"))
    columns: dict[str, Sequence[Any]] = {**parents, "child": _where(has), "sibling": _where(has)}
    found = judged(trials(space, columns, [float(row) for row in range(80)]))
    assert {found.condition(one) for one in found.parameters if one.name in ("child", "sibling")} == {expected}


def test_noise_is_hardly_ever_told_apart_from_chance() -> None:
    dice = np.random.default_rng(5)
    names = [f"p{place}" for place in range(8)]
    wrong = 0
    for _ in range(12):
        columns = {name: floats(dice.random(60)) for name in names}
        found = judge(judged(trials(dict.fromkeys(names, UNIT), columns, floats(dice.random(60)))))
        wrong += any(one.is_told for one in found)
    assert wrong <= 1


def test_an_interval_holds_the_share_and_narrows_with_trials() -> None:
    wide = []
    for count in (60, 2000):
        found = told(in_branches(count, 6))
        assert all(one.low <= one.share <= one.high for one in found.values())
        wide.append(found["model.width"].high - found["model.width"].low)
    assert wide[1] < wide[0] / 2


def test_the_same_trials_give_the_same_intervals_whatever_their_order() -> None:
    given = in_branches(100, 7)
    assert judge(judged(given)) == judge(judged(given))
    assert [one.share for one in judge(judged(given))] == pytest.approx(
        [one.share for one in judge(judged(given[::-1]))]
    )


def test_trials_that_are_all_alike_tell_nothing() -> None:
    dice = np.random.default_rng(8)
    assert judge(judged(trials({"x": UNIT}, {"x": floats(dice.random(40))}, [1.0] * 40))) == ()


def test_values_of_any_size_are_only_ranked() -> None:
    dice = np.random.default_rng(9)
    x = floats(dice.random(60))
    plain = judge(judged(trials({"x": UNIT}, {"x": x}, x)))
    huge = [math.inf if one > 0.9 else -1e300 if one < 0.05 else one for one in x]
    assert judge(judged(trials({"x": UNIT}, {"x": x}, huge)))[0].is_told == plain[0].is_told


def test_a_study_of_a_thousand_trials_takes_a_bounded_number_of_cells() -> None:
    given = judged(in_branches(1000, 1))
    rows, group = given.groups()[0]
    found = divergences(group, given.rank[rows], given.valued[rows], draws=7)
    assert found.resampled.shape == found.shuffled.shape == (len(group), 7)
