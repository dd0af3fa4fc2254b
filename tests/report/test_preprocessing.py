"""Choices of preprocessing against the value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial

from search.report.figures import preprocessing
from search.report.figures._median import resampled
from tests.report.extremes import history_of, made, searched
from tests.report.standing import stands
from tests.report.test_slices import many

SCALE = CategoricalDistribution(("standard", "none"))


def _trials(shift: float, count: int = 40) -> list[FrozenTrial]:
    dice = np.random.default_rng(0)
    trials = []
    for number in range(count):
        choice = ("standard", "none")[number % 2]
        value = float(dice.normal(0.5, 0.01)) + shift * (choice == "none")
        trials.append(made(number, {"preprocess.scale": choice}, {"preprocess.scale": SCALE}, [value]))
    return trials


def test_the_best_choice_comes_first_and_the_others_are_compared_with_it(tmp_path: Path) -> None:
    first, second = preprocessing.info(history_of(tmp_path, _trials(0.05))).groups
    assert (first.choice, first.worse, first.low, first.apart) == ("standard", 0.0, None, False)
    assert (second.choice, len(second.number), second.apart) == ("none", 20, True)
    assert second.worse == pytest.approx(0.05, abs=0.01)
    assert second.low is not None
    assert second.high is not None
    assert 0.03 < second.low < second.worse < second.high < 0.07


def test_the_finding_names_both_choices_the_difference_and_its_interval(tmp_path: Path) -> None:
    finding = preprocessing.words(preprocessing.info(history_of(tmp_path, _trials(0.05)))).finding
    assert finding.startswith("preprocess.scale=standard is better than none by 0.05")
    assert finding.endswith("] in the median")


def test_more_is_better_where_the_metric_says_so(tmp_path: Path) -> None:
    first, second = preprocessing.info(history_of(tmp_path, _trials(0.05), directions=("maximize",))).groups
    assert (first.choice, second.apart) == ("none", True)
    assert first.median == pytest.approx(0.55, abs=0.01)
    assert second.worse == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    ("trials", "finding"),
    [
        (_trials(0.0), "No choice of preprocessing is told apart from chance"),
        (_trials(9.0, 6), "6 trials completed: too few to compare choices of preprocessing"),
    ],
)
def test_chance_and_few_trials_find_nothing(trials: list[FrozenTrial], finding: str, tmp_path: Path) -> None:
    assert preprocessing.words(preprocessing.info(history_of(tmp_path, trials))).finding == finding


def test_a_number_is_split_into_thirds(tmp_path: Path) -> None:
    plain = FloatDistribution(0.0, 1.0)
    trials = [made(n, {"preprocess.clip": n / 30}, {"preprocess.clip": plain}, [n / 30]) for n in range(30)]
    groups = preprocessing.info(history_of(tmp_path, trials)).groups
    assert [(group.choice, len(group.number)) for group in groups] == [
        ("0 to 0.333", 11),
        ("0.367 to 0.633", 9),
        ("0.667 to 0.967", 10),
    ]


@pytest.mark.parametrize("count", [1, 2, 9, 10])
def test_medians_of_resamples_are_drawn_as_the_bootstrap_draws_them(count: int) -> None:
    values = np.sort(np.random.default_rng(count).normal(size=count))
    dice = np.random.default_rng(7)
    quick = resampled(values, dice, 40_000)
    plain = np.median(dice.choice(values, (40_000, count)), axis=1)
    np.testing.assert_allclose([quick.mean(), quick.std()], [plain.mean(), plain.std()], atol=0.02)
    assert set(np.round(quick, 9)) <= set(np.round((values[:, None] + values[None, :]) / 2, 9).ravel())


def test_without_parameters_of_preprocessing_it_says_so(tmp_path: Path) -> None:
    study = history_of(tmp_path, [made(0, {}, {}, [0.5])])
    assert preprocessing.words(preprocessing.info(study)).empty == "no parameter's name begins with 'preprocess.'"


def test_of_many_trials_few_are_drawn(tmp_path: Path) -> None:
    study = many(history_of(tmp_path, searched()), 10_000)
    drawn = stands(preprocessing.PLOT, study)
    assert len(str(drawn)) < 200_000
    assert "points are drawn" in preprocessing.words(preprocessing.info(study)).note
