"""The Pareto front and its hypervolume's pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial

from search.records.front import entering, knee
from search.report.figures import pareto
from tests.report.extremes import EXTREMES, history_of, made
from tests.report.standing import stands
from tests.report.test_slices import many

UNIT = FloatDistribution(0.0, 1.0)
BOTH: dict[str, Any] = {"metrics": ("loss", "score"), "directions": ("minimize", "maximize")}


def _trials(*values: tuple[float, ...], metrics: tuple[str, ...] = ("loss", "score")) -> list[FrozenTrial]:
    return [made(n, {"x": 0.5}, {"x": UNIT}, one, metrics=metrics) for n, one in enumerate(values)]


def test_trials_are_on_the_front_dominated_or_beyond_a_constraint(tmp_path: Path) -> None:
    trials = _trials((0.1, 0.1), (0.2, 0.8), (0.9, 0.9), (0.5, 0.5), (0.0, 1.0))
    trials[4].system_attrs = {**trials[4].system_attrs, "constraints:latency_ms<=30": 4.0}
    found = pareto.info(history_of(tmp_path, trials, baseline={"loss": 1.0, "score": 0.2}, **BOTH))
    on = "on the front"
    assert found.kind == [on, on, on, "dominated", "misses a constraint"]
    assert (found.knee, found.baseline, found.signs) == (1, [1.0, 0.2], [1.0, -1.0])
    words = pareto.words(found)
    assert words.finding == "3 of 5 completed trials are on the front; trial 1 is its knee: loss 0.2, score 0.8"


def test_the_border_runs_along_what_the_front_dominates(tmp_path: Path) -> None:
    drawn = stands(pareto.PLOT, history_of(tmp_path, _trials((0.2, 0.8), (0.1, 0.1), (0.9, 0.9)), **BOTH))
    border = drawn["data"][0]
    assert border["line"]["shape"] == "hv"
    assert pareto.info(history_of(tmp_path, _trials((0.2, 0.8)), name="t", **BOTH)).knee is None
    titles = [drawn["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis")]
    assert titles == ["loss (less is better)", "score (more is better)"]


def test_three_metrics_are_three_panels(tmp_path: Path) -> None:
    metrics = ("a", "b", "c")
    dice = np.random.default_rng(0)
    trials = _trials(*(tuple(dice.random(3).tolist()) for _ in range(30)), metrics=metrics)
    study = history_of(tmp_path, trials, metrics=metrics, directions=("minimize",) * 3)
    drawn = stands(pareto.PLOT, study)
    assert {"xaxis", "xaxis2", "xaxis3"} <= drawn["layout"].keys()
    assert [mark["x"] for mark in drawn["layout"]["meta"]["marks"]] == ["value:a", "value:a", "value:b"]
    assert "may look dominated" in pareto.words(pareto.info(study)).note


KNEES = [
    ([[0.0, 1.0], [0.1, 0.1], [1.0, 0.0]], 1),
    ([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]], None),  # it lies on the line
    ([[0.0, 1.0], [1.0, 0.0]], None),
    ([[0.0, 1e300], [1e299, 1e299], [1e300, -1e300]], 1),
]


@pytest.mark.parametrize(("losses", "place"), KNEES)
def test_the_knee_is_furthest_below_the_line_through_the_ends(losses: list[list[float]], place: int | None) -> None:
    assert knee(np.array(losses)) == place


@pytest.mark.parametrize("metrics", [2, 3, 4])
def test_a_point_enters_the_front_where_none_before_was_as_good_everywhere(metrics: int) -> None:
    points = np.round(np.random.default_rng(metrics).random((700, metrics)), 1)
    expected = [i for i in range(700) if not (points[:i] <= points[i]).all(axis=1).any()]
    assert entering(points).tolist() == expected


def test_one_metric_has_no_front(tmp_path: Path) -> None:
    words = pareto.words(pareto.info(EXTREMES["searched"](tmp_path)))
    assert words.empty == "one metric is searched: there is no Pareto front"


def test_of_many_trials_few_are_drawn_and_the_front_is(tmp_path: Path) -> None:
    study = many(EXTREMES["several metrics"](tmp_path), 10_000)
    drawn = stands(pareto.PLOT, study)
    assert len(str(drawn)) < 300_000
    found = pareto.info(study)
    assert set(pareto.data(found)["trial"]) >= {n for n, k in zip(found.number, found.kind, strict=True) if "on" in k}


def test_of_a_huge_front_a_part_is_drawn_and_so_said(tmp_path: Path) -> None:
    few = pareto.info(history_of(tmp_path, _trials((0.1, 0.1), (0.9, 0.9)), **BOTH))
    line = np.linspace(0, 1, 3_000).tolist()
    found = few._replace(number=[*range(3_000)], kind=["on the front"] * 3_000, values=[line, line])
    note = pareto.words(found).note
    assert "2,000 of 3,000 trials are drawn" in note
    assert "those on the front too" in note
    assert "all that are best" not in note
    assert max(len(trace.x) for trace in pareto.figure(found).data) == 2_000


def test_metrics_that_are_called_like_columns_have_their_own(tmp_path: Path) -> None:
    names = ("trial", "kind")
    trials = _trials((0.1, 0.2), (0.2, 0.1), metrics=names)
    table = pareto.data(pareto.info(history_of(tmp_path, trials, metrics=names, directions=("minimize",) * 2)))
    assert table["trial"] == [0, 1]
    assert (table["metric:trial"], table["metric:kind"]) == ([0.1, 0.2], [0.2, 0.1])
