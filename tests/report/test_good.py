"""The figures of where it is good: each of them stands every study."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

from search.records.history import History
from search.report.figures import contour, hypervolume, parallel, pareto, preprocessing, rank, slices
from search.report.figures._chosen import region
from search.report.figures._marks import MISSED
from search.report.plot import Plot, joined
from tests.report.extremes import extreme as extreme
from tests.report.extremes import history_of, made, missing, searched
from tests.report.standing import stands


def _varies(history: History) -> bool:
    return any(one.varies for one in history.parameters)


def _completed(history: History) -> int:
    return int(history.candidates.sum())


def _pruned(history: History) -> int:
    return int(np.isfinite(history.losses[history.are("pruned")]).sum())


SHOWN: list[tuple[Plot, Callable[[History], bool]]] = [
    (slices.PLOT, lambda study: _varies(study) and bool(np.isfinite(study.losses).any())),
    (parallel.PLOT, lambda study: _varies(study) and _completed(study) + _pruned(study) > 0),
    (contour.PLOT, lambda study: sum(one.varies for one in study.parameters) > 1 and _completed(study) >= 10),
    (rank.PLOT, lambda study: sum(one.varies for one in study.parameters) > 1 and _completed(study) >= 10),
    (
        preprocessing.PLOT,
        lambda study: _completed(study) > 0 and any(one.name == "preprocess.scale" for one in study.parameters),
    ),
    (pareto.PLOT, lambda study: len(study.metrics) > 1),
    (hypervolume.PLOT, lambda study: len(study.metrics) > 1),
]


def test_each_stands_every_study_and_is_drawn_where_it_has_something_to_show(extreme: History) -> None:
    for plot, is_shown in SHOWN:
        assert bool(stands(plot, extreme)) == is_shown(extreme), plot.key


def test_where_it_is_good_is_told_of_trials_that_keep_to_the_constraints(tmp_path: Path) -> None:
    dice, plain = np.random.default_rng(3), FloatDistribution(0.0, 1.0)
    trials = []
    for number in range(120):
        x, y = float(dice.random()), float(dice.random())
        one = made(number, {"x": x, "preprocess.y": y}, {"x": plain, "preprocess.y": plain}, [x + 0.05 * dice.random()])
        trials += missing([one]) if x < 0.5 else [one]
    study = history_of(tmp_path, trials)
    missed = int((study.violation > 0).sum())
    for plot in (contour.PLOT, rank.PLOT, parallel.PLOT, slices.PLOT, preprocessing.PLOT):
        info = plot.info(study)
        words = plot.words(info)
        if plot.key == "slices":
            assert info.state.count(MISSED) == missed
        else:
            assert f"{missed} that miss a constraint are left out." in words.note
        told = re.search(r"x (?:near|from) ([\d.]+)", words.finding)
        assert told or plot.key == "preprocessing"
        assert told is None or float(told[1]) > 0.45, words.finding


def test_where_all_miss_a_constraint_it_says_so(tmp_path: Path) -> None:
    study = history_of(tmp_path, missing(searched(40)))
    missed = int(study.are("complete").sum())
    for plot in (contour.PLOT, rank.PLOT, preprocessing.PLOT):
        said = plot.words(plot.info(study)).empty
        assert said.endswith(f"0 have completed and keep to the constraints, {missed} miss one")


def test_a_column_of_a_study_takes_the_place_of_no_other() -> None:
    first = joined({"trial": [1], "state": ["a"]}, "metric", [("trial", [2]), ("loss", [3])])
    assert first == {"trial": [1], "state": ["a"], "metric:trial": [2], "loss": [3]}
    assert joined(first, "metric", [("trial", [4])])["metric:metric:trial"] == [4]


@pytest.mark.parametrize(("best_of", "words"), [(0.95, ""), (0.5, "z from 0.002 to 0.5")])
def test_a_range_that_holds_nearly_all_trials_is_no_finding(best_of: float, words: str) -> None:
    values = np.arange(1, 1001) / 500 / 2
    best = np.flatnonzero(values <= best_of)[1:]
    assert region("z", values, best, (), 1)[0] == words


def test_two_choices_of_many_are_a_region_only_where_no_other_two_would_do() -> None:
    values = np.repeat(np.arange(6.0), 20)
    best = np.array([0, 1, 2, 3, 20, 21, 22, 23])
    share = (1 / 3) ** len(best)
    names = [*"abcdef"]
    assert region("c", values, best, names, int(0.04 / (15 * share)))[0] == "c=a or b"
    assert region("c", values, best, names, int(0.06 / (15 * share)))[0] == ""
