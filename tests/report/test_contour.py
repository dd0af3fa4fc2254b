"""The contour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.report.figures import contour
from search.report.figures._axis import Axis
from search.report.figures._plane import Points
from search.report.figures._smooth import CELLS, surface
from search.report.thinning import MOST
from tests.report.extremes import history_of, made, searched
from tests.report.standing import stands
from tests.report.test_slices import many

UNIT = Axis("x", log=False, low=0.0, high=1.0, choices=[], whole=False)
CHOICE = Axis("c", log=False, low=0.0, high=2.0, choices=["a", "b", "c"], whole=False)
WHOLE = Axis("n", log=False, low=2.0, high=5.0, choices=[], whole=True)


def test_a_bowl_is_found_back_from_scattered_trials() -> None:
    dice = np.random.default_rng(0)
    x, y = dice.random(400), dice.random(400)
    found = surface(UNIT, UNIT, x, y, (x - 0.3) ** 2 + (y - 0.7) ** 2)
    row, column = np.unravel_index(int(np.nanargmin(found.mean)), found.mean.shape)
    assert found.mean.shape == (CELLS, CELLS)
    assert found.x[column] == pytest.approx(0.3, abs=0.08)
    assert found.y[row] == pytest.approx(0.7, abs=0.08)
    assert found.explained > 0.9


def test_noise_explains_nothing() -> None:
    dice = np.random.default_rng(1)
    assert surface(UNIT, UNIT, dice.random(300), dice.random(300), dice.random(300)).explained < 0.1


def test_where_no_trial_is_near_nothing_is_drawn() -> None:
    dice = np.random.default_rng(2)
    x, y = dice.random(200) * 0.3, dice.random(200)
    found = surface(UNIT, UNIT, x, y, x + np.sin(9 * y))
    assert np.isnan(found.mean[:, found.x > 0.8]).all()
    assert not np.isnan(found.mean[:, found.x < 0.25]).any()


def test_choices_are_nothing_to_each_other_and_whole_numbers_have_a_cell_each() -> None:
    c = np.array([0.0, 0.0, 1.0, 1.0])
    n = np.array([2.0, 2.0, 5.0, 5.0])
    found = surface(CHOICE, CHOICE, c, c, np.array([1.0, 3.0, 5.0, 5.0]))
    np.testing.assert_allclose(found.mean, [[2, np.nan, np.nan], [np.nan, 5, np.nan], [np.nan] * 3])
    np.testing.assert_allclose(found.weight, [[2, 0, 0], [0, 2, 0], [0, 0, 0]])
    assert surface(WHOLE, CHOICE, n, c, c).x.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_the_finding_is_the_best_place_with_the_trials_near_it(tmp_path: Path) -> None:
    study = history_of(tmp_path, searched())
    found = contour.info(study)
    first = found.planes[0]
    assert {first.points.x_axis.name, first.points.y_axis.name} == {"train.lr", "preprocess.scale"}
    assert len(first.points.number) == found.completed == 88
    assert len(first.pruned.number) == int(study.are("pruned").sum())
    finding = contour.words(found).finding
    assert (
        finding == "It is best at train.lr near 0.0087 and preprocess.scale=standard: 0.139, the mean of about 6 trials"
    )


def test_a_far_out_value_counts_as_a_lesser_one_and_so_said(tmp_path: Path) -> None:
    plain = {"x": FloatDistribution(0.0, 1.0), "n": IntDistribution(1, 4)}
    dice = np.random.default_rng(5)
    trials = [
        made(n, {"x": float(dice.random()), "n": 1 + n % 4}, dict(plain), [1e9 if n == 7 else n / 40])
        for n in range(40)
    ]
    found = contour.info(history_of(tmp_path, trials))
    assert found.worst is not None
    assert found.worst == pytest.approx(36 / 40, abs=0.03)
    assert max(mean for row in found.planes[0].mean for mean in row if mean is not None) <= found.worst
    assert f"Values worse than {found.worst:.3g} count as that." in contour.words(found).note


def test_a_conditional_pair_needs_trials_that_have_both(tmp_path: Path) -> None:
    known = {"x": FloatDistribution(0.0, 1.0), "c": CategoricalDistribution(("a", "b"))}
    trials = [made(n, {"c": "a"}, {"c": known["c"]}, [n / 9]) for n in range(30)]
    trials += [made(30 + n, {"c": "b", "x": n / 9}, dict(known), [n / 9]) for n in range(9)]
    found = contour.words(contour.info(history_of(tmp_path, trials)))
    assert found.empty == "a contour takes 10 completed trials that have both parameters; 39 have completed"


def test_less_or_more_the_better_is_the_brighter(tmp_path: Path) -> None:
    for direction in ("minimize", "maximize"):
        drawn = stands(contour.PLOT, history_of(tmp_path / direction, searched(60), directions=(direction,)))
        assert drawn["data"][0]["reversescale"] == (direction == "minimize")


def test_points_are_one_of_each_square_and_the_best() -> None:
    dice, count = np.random.default_rng(0), 20_000
    x, y = dice.random(count), dice.random(count)
    points = Points(UNIT, UNIT, [*range(count)], x.tolist(), y.tolist(), x.tolist())
    drawn = points.drawn([17_017], 4)
    assert 17_017 in drawn
    assert len(drawn) <= MOST // 4 + 1
    squares = {(int(x[row] * 22), int(y[row] * 22)) for row in drawn if row != 17_017}
    assert len(squares) >= len(drawn) - 1


def test_of_many_trials_the_grid_stays_small(tmp_path: Path) -> None:
    study = many(history_of(tmp_path, searched()), 10_000)
    drawn = stands(contour.PLOT, study)
    assert len(str(drawn)) < 200_000
    assert len(contour.data(contour.info(study))["mean"]) <= 3 * CELLS**2


def test_noise_is_best_nowhere(tmp_path: Path) -> None:
    both, told = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}, 0
    for seed in range(10):
        dice = np.random.default_rng(seed)
        drawn = dice.random((12, 3)).tolist()
        trials = [made(n, {"x": x, "y": y}, dict(both), [loss]) for n, (x, y, loss) in enumerate(drawn)]
        found = contour.info(history_of(tmp_path / str(seed), trials))
        told += contour.words(found).finding.startswith("It is best at")
    assert told <= 1
