"""The hypervolume over trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial

from search.records.front import MOST, growth
from search.report.figures import hypervolume
from search.study.hypervolume import hypervolume as exact
from tests.report.extremes import EXTREMES, history_of, made

UNIT = FloatDistribution(0.0, 1.0)
BOTH: dict[str, Any] = {"metrics": ("loss", "score"), "directions": ("minimize", "maximize")}


def _trials(*values: tuple[float, ...]) -> list[FrozenTrial]:
    return [made(n, {"x": 0.5}, {"x": UNIT}, one, metrics=("loss", "score")) for n, one in enumerate(values)]


def test_it_grows_with_the_front_from_the_reference(tmp_path: Path) -> None:
    trials = _trials((0.5, 0.5), (0.75, 0.25), (0.25, 0.5), (0.5, 1.0))
    found = hypervolume.info(history_of(tmp_path, trials, baseline={"loss": 1.0, "score": 0.0}, **BOTH))
    assert found.number == [0, 2, 3]
    assert found.volume == pytest.approx([0.25, 0.375, 0.625])
    assert (found.reference, found.naive, found.candidates) == ([1.0, 0.0], ["loss", "score"], 4)
    finding = hypervolume.words(found).finding
    assert finding == "90% of it was there by trial 3 of 3; the last quarter of them added 40%"


def test_its_end_is_what_the_status_tells(tmp_path: Path) -> None:
    study = EXTREMES["several metrics"](tmp_path)
    told = study.status.hypervolume
    found = hypervolume.info(study)
    assert told is not None
    assert found.volume[-1] == pytest.approx(told.value)
    assert found.reference == [*told.reference.values()]


def test_trials_beyond_a_constraint_add_nothing(tmp_path: Path) -> None:
    trials = _trials((0.5, 0.5), (0.0, 1.0))
    trials[1].system_attrs = {**trials[1].system_attrs, "constraints:latency_ms<=30": 4.0}
    found = hypervolume.info(history_of(tmp_path, trials, baseline={"loss": 1.0, "score": 0.0}, **BOTH))
    assert (found.number, found.volume) == ([0], [0.25])


@pytest.mark.parametrize("metrics", [2, 3])
@pytest.mark.parametrize("digits", [1, 6])
def test_growth_ends_at_the_exact_hypervolume(metrics: int, digits: int) -> None:
    for seed in range(10):
        points = np.round(np.random.default_rng(seed).random((60, metrics)), digits)
        places, volumes, grew = growth(points, [0.9] * metrics)
        assert volumes[-1] == pytest.approx(exact(points.tolist(), [0.9] * metrics))
        assert len(places) == grew
        middle = places[len(places) // 2]
        assert volumes[len(places) // 2] == pytest.approx(exact(points[: middle + 1].tolist(), [0.9] * metrics))


def test_of_a_huge_front_of_three_metrics_some_moments_are_reckoned_the_last_one_too() -> None:
    points = np.random.default_rng(0).random((2_000, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    places, volumes, grew = growth(points, [1.1] * 3)
    assert len(places) <= MOST < grew == 2_000
    assert (places[0], places[-1]) == (0, 1_999)
    assert (np.diff(volumes) > 0).all()


EMPTY = [
    ("searched", "one metric is searched: a hypervolume takes two or three"),
    ("no trials", "one metric is searched: a hypervolume takes two or three"),
]


@pytest.mark.parametrize(("study", "said"), EMPTY)
def test_one_metric_has_none(study: str, said: str, tmp_path: Path) -> None:
    assert hypervolume.words(hypervolume.info(EXTREMES[study](tmp_path))).empty == said


def test_more_than_three_metrics_have_none(tmp_path: Path) -> None:
    metrics = ("a", "b", "c", "d")
    trials = [made(0, {"x": 0.5}, {"x": UNIT}, [0.1] * 4, metrics=metrics)]
    study = history_of(tmp_path, trials, metrics=metrics, directions=("minimize",) * 4)
    assert hypervolume.words(hypervolume.info(study)).empty.startswith("4 metrics are searched")


def test_values_too_large_for_a_product_are_told_and_not_drawn(tmp_path: Path) -> None:
    study = history_of(tmp_path, _trials((1e300, 0.0), (0.0, 1e300)), **BOTH)
    assert hypervolume.words(hypervolume.info(study)).empty == "no trial is better than the reference in all metrics"
