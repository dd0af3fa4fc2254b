"""fANOVA gives its trees' exact variances, Optuna's first three on known functions, and bad values do not rule it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator

from benchmarks import importances as benchmark
from search.records import fanova
from search.records.explained import Explained, explained
from search.records.importances import judge
from search.records.judged import Judged
from search.records.parameters import Parameter
from tests.records.judging import ended, floats, judged, trials
from tests.records.test_pedanova import in_branches

UNIT = FloatDistribution(0.0, 1.0)
TRIALS = {"Hartmann of 6": 250}


def parts(given: Judged) -> Explained:
    return explained(given, judge(given))


@pytest.mark.parametrize("name", list(benchmark.KNOWN))
def test_the_first_three_of_known_functions_are_those_of_optuna(name: str) -> None:
    """The fewer where fewer have a main effect at all."""
    known = benchmark.KNOWN[name]
    given = benchmark.trials(known, TRIALS.get(name, 120), seed=0)
    mine, _ = benchmark.ours(given)
    theirs = benchmark.optunas(given, FanovaImportanceEvaluator(seed=0))
    first = min(3, known.real)
    assert [*mine][:first] == [*theirs][:first]


def mixed(count: int) -> tuple[tuple[Parameter, ...], np.ndarray]:
    dice = np.random.default_rng(0)
    x, c, y = dice.random(count), dice.integers(0, 3, count).astype(float), dice.random(count)
    parameters = (
        Parameter("x", "float", 0.0, 1.0, False, (), x),
        Parameter("c", "choice", 0.0, 2.0, False, ("a", "b", "c"), c),
        Parameter("y", "float", 0.0, 1.0, False, (), y),
    )
    return parameters, x + (c == 1) * y + 0.1 * dice.random(count)


def test_variances_are_those_of_the_tree_on_a_fine_grid() -> None:
    parameters, loss = mixed(80)
    grown = fanova.Forest.grown(parameters, loss, 2, 0)
    grid = (np.arange(200) + 0.5) / 200
    for tree in grown.trees:
        x, c, y = np.meshgrid(grid, np.arange(3), grid, indexing="ij")
        points = np.stack([x.ravel(), *((c.ravel() == one).astype(float) for one in range(3)), y.ravel()], axis=1)
        flat = np.empty(len(points))
        for low, high, value in zip(tree.low, tree.high, tree.value, strict=True):
            flat[((low < points) | (low <= 0)).all(axis=1) & (points <= high).all(axis=1)] = value
        values = flat.reshape(200, 3, 200)
        assert tree.mean == pytest.approx(values.mean(), abs=0.01)
        assert tree.variance == pytest.approx(values.var(), rel=0.03)
        for index, others in enumerate(((1, 2), (0, 2), (0, 1))):
            assert tree.of_one(index) == pytest.approx(values.mean(axis=others).var(), rel=0.05, abs=1e-4)
        for first, second in ((0, 1), (1, 2), (0, 2)):
            (other,) = {0, 1, 2} - {first, second}
            assert tree.of_pair(first, second) == pytest.approx(values.mean(axis=other).var(), rel=0.05, abs=1e-4)


def test_boxes_of_a_tree_fill_the_space_once() -> None:
    parameters, loss = mixed(60)
    for tree in fanova.Forest.grown(parameters, loss, 8, 1).trees:
        assert tree.extent.prod(axis=1).sum() == pytest.approx(1)


def test_shares_of_a_sum_are_those_of_its_weights() -> None:
    known = benchmark.KNOWN["a sum, weights 5 3 2 1 0 0"]
    found = parts(judged(benchmark.trials(known, 1000, seed=1)))
    for name, weight in zip("abc", (5, 3, 2), strict=True):
        assert found.alone[name].share == pytest.approx(weight**2 / 39, abs=0.05)
        assert found.alone[name].is_told
    assert not found.alone["e"].is_told
    assert found.predicted > 0.9


def test_a_pair_that_only_matters_together_is_named() -> None:
    dice = np.random.default_rng(2)
    columns = {name: floats(dice.random(500)) for name in "xyz"}
    x, y = np.array(columns["x"]), np.array(columns["y"])
    found = parts(judged(trials(dict.fromkeys("xyz", UNIT), columns, floats((x > 0.5) * (y > 0.5) * 1.0))))
    assert set(found.together) == {("x", "y")} or set(found.together) == {("y", "x")}
    ((share, low, high),) = found.together.values()
    assert low < share < high
    assert share == pytest.approx(1 / 3, abs=0.07)  # of the variance of a product of two halves


def test_a_few_that_diverged_do_not_change_what_comes_first() -> None:
    known = benchmark.KNOWN["a sum, weights 5 3 2 1 0 0"]
    given = benchmark.trials(known, 300, seed=3)
    plain = parts(judged(given)).alone
    worst = np.random.default_rng(4).choice(300, 12, replace=False).tolist()
    for number in worst:
        given[number].value = 1e6 * (1 + given[number].params["f"])  # ruled by a parameter that does not matter
    diverged = parts(judged(given)).alone
    first = [sorted(some, key=lambda name: -some[name].share)[:3] for some in (plain, diverged)]
    assert first[0] == first[1] == ["a", "b", "c"]


FENCES = [
    ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0]),
    ([0.0, 1.0, 2.0, 3.0, 1e6], [-1.0, -0.5, 0.0, 0.5, 2.0]),
    ([0.0, 0.0, 0.0, 1.0, 5.0], [0.0, 0.0, 0.0, 1.0, 2.0]),
    ([-1e300, 0.0, 1e300], [-1.0, 0.0, 1.0]),
    ([0.0, 1.0, 2.0, float("inf")], [-1.0, 0.0, 1.0, 2.0]),
    ([], []),
]


@pytest.mark.parametrize(("loss", "expected"), FENCES)
def test_losses_are_clipped_at_a_fence_that_far_off_ones_do_not_move(loss: list[float], expected: list[float]) -> None:
    assert fanova.fenced(np.array(loss)).tolist() == pytest.approx(expected)


def test_a_conditional_parameter_has_a_share_of_the_whole_variance_and_its_parent_none_of_it() -> None:
    found = parts(judged(in_branches(600, 5)))
    alone = found.alone
    assert alone["model.width"].share == pytest.approx(0.5, abs=0.15)
    assert alone["model.depth"].share == pytest.approx(0.5, abs=0.15)
    assert (alone["model.width"].is_told, alone["model.depth"].is_told) == (True, True)
    assert alone["model.family"].share < 0.05
    assert not alone["model.noise"].is_told
    assert not alone["model.family"].is_told


def test_trials_are_a_stated_sample_and_parameters_the_first_ones() -> None:
    dice = np.random.default_rng(6)
    names = [f"p{place}" for place in range(40)]
    columns = {name: floats(dice.random(120)) for name in names}
    given = judged(trials(dict.fromkeys(names, UNIT), columns, columns["p7"]))
    ordered = judge(given)
    found = explained(given, ordered, sample=50)
    assert (found.trials, found.of) == (50, 120)
    assert set(found.alone) == {one.name for one in ordered[:24]}


def test_failed_trials_have_no_value_and_pruned_ones_their_last() -> None:
    dice, space = np.random.default_rng(7), {"x": UNIT, "y": UNIT}
    given = []
    for number in range(60):
        params = {"x": float(dice.random()), "y": float(dice.random())}
        state = ("complete", "pruned", "fail")[number % 3]
        loss = None if state == "fail" else params["x"]
        given.append(ended(state, params, space, loss, steps=2, reason="nan"))
    found = parts(judged(given))
    assert (found.trials, found.of) == (40, 40)
    assert found.alone["x"].is_told


def test_a_space_of_choices_alone_is_judged() -> None:
    space: dict[str, BaseDistribution] = {
        "a": CategoricalDistribution(("u", "v")),
        "b": CategoricalDistribution((1, 2, 3)),
    }
    rows = [*product(("u", "v"), (1, 2, 3))] * 10
    columns: dict[str, Sequence[Any]] = {"a": [a for a, _ in rows], "b": [b for _, b in rows]}
    found = parts(judged(trials(space, columns, [float(a == "u") for a, _ in rows])))
    assert found.alone["a"].share == pytest.approx(1, abs=0.02)
    assert found.alone["b"].share == pytest.approx(0, abs=0.01)


optuna.logging.set_verbosity(optuna.logging.WARNING)
