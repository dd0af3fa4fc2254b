"""The distribution of values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.records.history import History
from search.report.figures import distribution
from tests.records.studies import MIXED, PRUNED_BY, trial
from tests.report.courses import learning, pruned_by_halves
from tests.report.extremes import extreme as extreme
from tests.report.extremes import history_of
from tests.report.standing import stands


def test_it_stands_every_study(extreme: History) -> None:
    complete = extreme.are("complete") & np.isfinite(extreme.values[:, 0]) & (extreme.violation <= 0)
    assert bool(stands(distribution.PLOT, extreme)) == bool(np.count_nonzero(complete) >= distribution.LEAST)


def test_trials_are_ranked_the_best_first_pruned_ones_apart(tmp_path: Path) -> None:
    found = distribution.info(history_of(tmp_path, MIXED, baseline={"val_loss": 0.45}))
    assert found.complete == distribution.Ranked([2, 5, 0], [0.4, 0.4, 0.5])
    assert found.pruned == distribution.Ranked([1], [0.9])
    assert (found.median, found.better, found.missed) == (0.4, 2, 0)


def test_more_is_better_where_the_study_says_so(tmp_path: Path) -> None:
    trials = [trial("complete", values=[value]) for value in (0.1, 0.9, 0.5, 0.7)]
    study = history_of(tmp_path, trials, directions=("maximize",), baseline={"val_loss": 0.6})
    found = distribution.info(study)
    assert found.complete == distribution.Ranked([1, 3, 2, 0], [0.9, 0.7, 0.5, 0.1])
    assert found.median == pytest.approx(0.6)
    assert found.better == 2
    (line,) = distribution.figure(found).data
    assert [*line.y] == [25, 50, 75, 100]


FINDINGS = [
    ([0.3, 0.4, 0.9], None, "Half of the 3 completed trials come within 0.1 of the best, 0.3; a quarter within 0.05"),
    ([0.3, 0.3, 0.9], None, "Half of the 3 completed trials are as good as the best, 0.3"),
    ([0.3, 0.4, 0.9], 0.2, "No completed trial is better than the naive baseline, 0.2"),
]


@pytest.mark.parametrize(("values", "baseline", "expected"), FINDINGS)
def test_the_finding_says_how_near_to_the_best_others_come(
    values: list[float], baseline: float | None, expected: str, tmp_path: Path
) -> None:
    trials = [trial("complete", [value]) for value in values]
    study = history_of(tmp_path, trials, baseline=None if baseline is None else {"val_loss": baseline})
    assert distribution.words(distribution.info(study)).finding == expected


def test_trials_that_miss_a_constraint_are_left_out(tmp_path: Path) -> None:
    missing = trial("complete", [0.1])
    missing.system_attrs = {**missing.system_attrs, "constraints:latency_ms<=30": 4.0}
    study = history_of(tmp_path, [missing, *(trial("complete", [value]) for value in (0.3, 0.4, 0.5))])
    found = distribution.info(study)
    assert found.complete.number == [1, 2, 3]
    assert "1 that miss a constraint are left out" in distribution.words(found).note


def test_too_few_trials_are_said_to_be(tmp_path: Path) -> None:
    study = history_of(tmp_path, [trial("complete", [0.5]), trial("pruned", [0.9], pruning=PRUNED_BY)])
    found = distribution.words(distribution.info(study))
    assert found.empty == "fewer than 3 trials have completed: 1 complete, 1 pruned"


def test_a_large_study_is_drawn_with_few_points_from_the_best_to_the_worst(tmp_path: Path) -> None:
    study = pruned_by_halves(tmp_path, learning(20_000, 12, seed=0))
    info = distribution.info(study)
    drawn = distribution.figure(info)
    assert sum(len(trace.x) for trace in drawn.data) <= 2 * distribution.POINTS
    assert {info.complete.number[0], info.complete.number[-1]} <= set(drawn.layout.meta["places"]["trial"])
    assert len(drawn.to_json()) < 100_000
    assert len(distribution.data(info)["trial"]) == 20_000
