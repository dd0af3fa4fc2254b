"""Of several metrics no trial is the best: figures ring the whole front, and name the metric that they are about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.records.history import History
from search.records.judged import Judged
from search.records.study import read
from search.report.figures import contour, curves, distribution, history, parallel, rank, slices
from search.report.plot import Plot
from tests.report.extremes import EXTREMES
from tests.report.standing import stands

RINGED = (history.PLOT, curves.PLOT, slices.PLOT, parallel.PLOT, contour.PLOT, rank.PLOT)


@pytest.fixture
def study(tmp_path: Path) -> History:
    found = EXTREMES["a front and pruned trials"](tmp_path)
    assert 3 < len(found.front) < 40
    return found


@pytest.mark.parametrize("plot", RINGED, ids=lambda plot: plot.key)
def test_the_whole_front_is_ringed_and_no_trial_is_called_the_best(plot: Plot, study: History) -> None:
    info = plot.info(study)
    assert info.front == [*study.front]
    assert {"best", "Pareto front"} & {trace["name"] for trace in stands(plot, study)["data"] if "name" in trace} == {
        "Pareto front"
    }
    for trace in plot.figure(info).data:
        if trace.name == "Pareto front" and trace.customdata is not None:
            assert {*trace.customdata} == {*study.front}


FINDINGS = [
    (distribution.PLOT, " of the best loss, "),
    (slices.PLOT, " completed trials by loss all have "),
    (parallel.PLOT, " completed trials by loss share "),
    (contour.PLOT, "loss is best at "),
    (rank.PLOT, " trials by loss lie at "),
]


@pytest.mark.parametrize(("plot", "expected"), FINDINGS, ids=lambda one: getattr(one, "key", ""))
def test_what_is_best_is_said_with_its_metric(plot: Plot, expected: str, study: History) -> None:
    assert expected in plot.words(plot.info(study)).finding


def test_pruned_trials_stand_at_their_last_reports(study: History) -> None:
    pruned = np.flatnonzero(study.are("pruned"))
    assert len(pruned) == 20
    reported = {number: float(study.reports.values["loss"][study.reports.starts[number]]) for number in pruned.tolist()}
    for found in (history.info(study), slices.info(study), parallel.info(study)):
        values = found.panels[0].value if isinstance(found, history.Info) else found.value
        told = dict(zip(found.number, values, strict=True))
        assert {number: told[number] for number in reported} == reported
    assert np.isfinite(study.values[pruned]).all()
    assert np.count_nonzero(Judged.of_history(study, 0, 999).valued) == len(study)
    assert np.count_nonzero(Judged.of_records(read(study.folder).records, study.plan, len(study)).valued) == len(study)
    ranked = distribution.info(study).pruned
    assert dict(zip(ranked.number, ranked.value, strict=True)) == reported
