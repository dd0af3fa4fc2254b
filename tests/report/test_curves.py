"""The learning curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.records.history import History
from search.report.figures import curves
from tests.records.studies import MIXED, trial
from tests.report.courses import learning, pruned_by_halves
from tests.report.extremes import extreme as extreme
from tests.report.extremes import history_of
from tests.report.standing import stands


def test_they_stand_every_study(extreme: History) -> None:
    found = stands(curves.PLOT, extreme)
    several = np.bincount(extreme.reports.trial[np.isfinite(extreme.reports.values[extreme.metrics[0]])]) > 1
    assert bool(found) == bool(several.any())


def test_curves_end_where_their_trials_ended(tmp_path: Path) -> None:
    found = curves.info(history_of(tmp_path, MIXED))
    assert found.curves[:4] == [
        curves.Curve(0, "complete", [1, 2, 3], [0.9, 0.5, 0.6]),
        curves.Curve(1, "pruned", [1, 2, 3], [0.9, 0.9, 0.9]),
        curves.Curve(2, "complete", [1, 2], [0.5, 0.4]),
        curves.Curve(3, "fail", [1], [0.7]),
    ]
    assert (found.of, found.front, found.rungs, found.unit) == (7, [2], [1, 3], "epoch")
    assert (found.best_step, found.at_end) == ([2, 2, 1], 1)
    assert found.points[0][:5] == [0, 0, 0, 1, 1]


def test_curves_of_a_state_are_one_line_with_gaps_and_their_ends_are_marked(tmp_path: Path) -> None:
    drawn = curves.figure(curves.info(history_of(tmp_path, MIXED))).data
    lines = {trace.name: trace for trace in drawn if trace.mode == "lines"}
    assert [*lines] == ["pruned", "paused", "complete", "best"]
    np.testing.assert_array_equal(lines["complete"].x, [1, 2, 3, np.nan, 1, 2, np.nan])
    np.testing.assert_array_equal(lines["complete"].customdata, [0, 0, 0, 0, 5, 5, 5])
    ends = {trace.name: list(zip(trace.x, trace.y, strict=True)) for trace in drawn if trace.mode == "markers"}
    assert ends["pruned"] == [(3, 0.9)]


def test_the_finding_says_whether_training_was_long_enough(tmp_path: Path) -> None:
    rising = [trial("complete", [0.9, 0.5, 0.4]), trial("complete", [0.9, 0.8, 0.7]), trial("complete", [0.5, 0.6])]
    found = curves.words(curves.info(history_of(tmp_path / "r", rising))).finding
    assert found == "2 of 3 completed trials were best at their last epoch: longer may be better"
    falling = [trial("complete", [0.9, 0.4, 0.5]), trial("complete", [0.9, 0.8, 0.9]), trial("complete", [0.5, 0.6])]
    found = curves.words(curves.info(history_of(tmp_path / "f", falling))).finding
    assert found == "Half of the 3 completed trials were best by epoch 2"
    alone = history_of(tmp_path / "a", [trial("pruned", [0.9, 0.8])])
    assert curves.words(curves.info(alone)).finding == "1 trial reported val_loss, 1 was pruned"


PLANS = [
    ({"folds": 5}, "A trial trains 5 folds, spread over the scale of epochs; a report is the mean"),
    ({"replicates": 3, "folds": 5}, "A trial trains 3 replicates of 5 folds, spread"),
    ({"folds": 5, "pruner": "wilcoxon"}, "a report is of a fold by itself."),
]


@pytest.mark.parametrize(("plan", "expected"), PLANS)
def test_reports_that_are_means_are_said_to_be(plan: dict[str, Any], expected: str, tmp_path: Path) -> None:
    info = curves.info(history_of(tmp_path, [trial("complete", [0.9, 0.4])] * 2, **plan))
    found = curves.words(info)
    assert info.unit == "step"
    assert expected in found.note
    assert found.finding == "2 trials reported val_loss"


def test_a_trial_that_took_the_result_of_another_has_no_curve(tmp_path: Path) -> None:
    same = trial("complete", [0.9, 0.4])
    same.system_attrs = {**same.system_attrs, "sweep:same_as": 0}
    found = curves.info(history_of(tmp_path, [trial("complete", [0.9, 0.4]), same]))
    assert [one.number for one in found.curves] == [0]


def test_of_many_curves_the_best_the_worst_and_an_even_choice_are_drawn(tmp_path: Path) -> None:
    study = pruned_by_halves(tmp_path, learning(20_000, 12, seed=0))
    info = curves.info(study)
    drawn = [one.number for one in info.curves]
    assert len(drawn) == curves.CURVES
    assert {len(one.step) for one in info.curves if one.state == "complete"} == {12}
    complete = np.flatnonzero(study.are("complete"))
    assert set(complete[np.argsort(study.losses[complete])][: curves.BEST].tolist()) <= set(drawn)
    last = study.reports.values["val_loss"][study.reports.starts[1:] - 1]
    assert set(np.argsort(last, kind="stable")[-curves.WORST :].tolist()) <= set(drawn)
    assert np.isin(np.array_split(np.argsort(last), 20), drawn).any(axis=1).all()
    assert curves.words(info).note.startswith("150 of 20,000 curves are drawn: those of the 20 best completed trials")
    assert len(curves.figure(info).to_json()) < 100_000


def test_trials_that_are_not_done_are_drawn_whatever_they_have(tmp_path: Path) -> None:
    going = [trial("running", [1.0, 1.0]) for _ in range(10)]
    study = history_of(tmp_path, [*(trial("complete", [0.9, n / 300]) for n in range(300)), *going])
    drawn = {one.number for one in curves.info(study).curves}
    assert set(range(300, 310)) <= drawn
    assert len(drawn) == curves.CURVES


def test_long_curves_are_thinned_and_it_is_said(tmp_path: Path) -> None:
    assert not curves.info(pruned_by_halves(tmp_path / "short", learning(8, 100, seed=0))).thinned
    info = curves.info(pruned_by_halves(tmp_path, learning(8, 20_000, seed=0), prunes=False))
    assert sum(len(one.step) for one in info.curves) < 8_000
    assert len(curves.figure(info).to_json()) < 300_000
    assert "Of long curves the lowest and the highest report" in curves.words(info).note
