"""The optimisation history."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from search.records.history import History
from search.report.figures import history
from search.report.figures._marks import MISSED
from search.report.thinning import MOST
from tests.records.studies import MIXED, trial
from tests.report.courses import learning, pruned_by_halves
from tests.report.extremes import EXTREMES, history_of, log_values
from tests.report.extremes import extreme as extreme
from tests.report.standing import stands


def test_it_stands_every_study(extreme: History) -> None:
    found = stands(history.PLOT, extreme)
    assert bool(found) == bool(np.isfinite(extreme.values).any() or len(extreme.reports.trial))


def test_trials_are_told_with_their_values_states_and_bests(tmp_path: Path) -> None:
    found = history.info(history_of(tmp_path, MIXED, baseline={"val_loss": 0.6}))
    (panel,) = found.panels
    assert found.number == [0, 1, 2, 5, 6, 7]
    assert found.state == ["complete", "pruned", "complete", "complete", "paused", "paused"]
    assert panel.value == [0.5, 0.9, 0.4, 0.4, 0.3, 0.7]  # of those that are not done the last report
    assert (panel.best_number, panel.best_value, panel.baseline) == ([0, 2], [0.5, 0.4], 0.6)
    assert (found.failed, found.last, found.front) == ([3, 4], 8, [])
    assert found.gains == (0.4, 0.4)


def test_more_is_better_where_the_study_says_so(tmp_path: Path) -> None:
    trials = [trial("complete", values=[value]) for value in (0.5, 0.4, 0.9, 0.7)]
    (panel,) = history.info(history_of(tmp_path, trials, directions=("maximize",))).panels
    assert (panel.best_number, panel.best_value) == ([0, 2], [0.5, 0.9])


FINDINGS = [
    ([0.5], "One trial has completed: val_loss 0.5"),
    ([0.5, 0.4, 0.3], "Still improving: val_loss 0.3 at trial 2, 0.4 halfway"),
    ([0.3, 0.4, 0.5], "The best came at trial 0 of 3: val_loss 0.3"),
    ([0.3] * 9, "No better trial for the last 8 of 9: val_loss 0.3 has stood since trial 0"),
]


@pytest.mark.parametrize(("values", "expected"), FINDINGS)
def test_the_finding_says_whether_more_trials_paid(values: list[float], expected: str, tmp_path: Path) -> None:
    found = history.words(history.info(history_of(tmp_path, [trial("complete", [value]) for value in values])))
    assert found.finding == expected


def test_trials_that_miss_a_constraint_are_marked_and_never_best(tmp_path: Path) -> None:
    missing = trial("complete", [0.1])
    missing.system_attrs = {**missing.system_attrs, "constraints:latency_ms<=30": 4.0}
    study = history_of(tmp_path / "one", [missing, trial("complete", [0.5])])
    found = history.info(study)
    assert (found.state, found.panels[0].best_number) == ([MISSED, "complete"], [1])
    names = {trace["name"] for trace in stands(history.PLOT, study)["data"]}
    assert MISSED in names
    alone = history.info(history_of(tmp_path / "two", [missing]))
    assert history.words(alone).finding == "The only completed trial misses a constraint"


def test_each_of_several_metrics_has_a_panel_with_the_front_ringed(tmp_path: Path) -> None:
    study = EXTREMES["several metrics"](tmp_path)
    drawn = stands(history.PLOT, study)
    axes = [(one["x"], one["y"], one["yaxis"]) for one in drawn["layout"]["meta"]["marks"]]
    assert axes == [("number", "value:loss", "y"), ("number", "value:score", "y2")]
    info = history.info(study)
    assert info.front == [*study.front]
    assert [trace["name"] for trace in drawn["data"]].count("Pareto front") == 2


def test_a_huge_value_does_not_squash_the_others_and_is_told(tmp_path: Path) -> None:
    values = [*(0.3 + 0.01 * place for place in range(20)), 1e9]
    study = history_of(tmp_path, [trial("complete", [value]) for value in values])
    low, high = stands(history.PLOT, study)["layout"]["yaxis"]["range"]
    assert 0.25 < low < 0.3
    assert 0.49 < high < 0.55
    assert "1 trial lies far beyond" in history.words(history.info(study)).note


def test_a_baseline_far_off_is_told_instead_of_drawn(tmp_path: Path) -> None:
    trials = [trial("complete", [value]) for value in (0.3, 0.4)]
    near = history_of(tmp_path / "near", trials, baseline={"val_loss": 0.45})
    far = history_of(tmp_path / "far", trials, baseline={"val_loss": 45.0})
    assert stands(history.PLOT, near)["layout"]["annotations"][0]["text"] == "naive baseline"
    assert "annotations" not in stands(history.PLOT, far)["layout"]
    assert history.words(history.info(far)).note == "The naive baseline, 45, is too far off to be drawn."


def test_a_large_study_is_thinned_and_keeps_what_was_best(tmp_path: Path) -> None:
    study = pruned_by_halves(tmp_path, learning(20_000, 12, seed=0))
    info = history.info(study)
    drawn = history.figure(info)
    points = [int(number) for trace in drawn.data if trace.customdata is not None for number in trace.customdata]
    assert len(points) <= MOST + len(info.panels[0].best_number) + 2
    assert set(info.panels[0].best_number) <= set(points)
    assert len(drawn.to_json()) < 100_000
    assert len(history.data(info)["trial"]) == 20_000


def test_the_name_of_the_baseline_stands_at_its_line_on_a_logarithmic_axis_too(tmp_path: Path) -> None:
    layout = stands(history.PLOT, history_of(tmp_path, log_values(), baseline={"val_loss": 2.0}))["layout"]
    assert layout["yaxis"]["type"] == "log"
    assert layout["shapes"][0]["y0"] == 2.0
    assert layout["annotations"][0]["y"] == pytest.approx(math.log10(2.0))
