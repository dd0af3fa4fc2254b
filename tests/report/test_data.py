"""The table of a figure has every trial that the figure shows, and what is drawn of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.report.figures import contour, curves, distribution, history, parallel, rank, slices
from search.report.plot import Plot
from tests.records.studies import MIXED
from tests.report.extremes import EXTREMES, history_of

PLOTS = (history.PLOT, curves.PLOT, distribution.PLOT, slices.PLOT, parallel.PLOT, contour.PLOT, rank.PLOT)


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.key)
@pytest.mark.parametrize("name", ["searched", "several metrics"])
def test_every_trial_that_is_drawn_is_in_the_table(plot: Plot, name: str, tmp_path: Path) -> None:
    info = plot.info(EXTREMES[name](tmp_path))
    if plot.words(info).empty:
        return
    drawn = {int(one) for trace in plot.figure(info).data if trace.customdata is not None for one in trace.customdata}
    table = plot.data(info)
    assert drawn
    assert drawn <= {*table["trial"]}
    assert any(name in column for column in table for name in ("val_loss", "loss"))


def test_the_history_has_the_failed_trials_and_the_best_so_far(tmp_path: Path) -> None:
    table = history.data(history.info(history_of(tmp_path, MIXED)))
    assert table["trial"] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert table["state"][3:5] == ["fail", "fail"]
    assert table["val_loss"][2:5] == [0.4, None, None]
    assert table["best val_loss so far"] == [0.5, 0.5, *[0.4] * 6]


def test_the_curves_have_the_states_and_the_rungs(tmp_path: Path) -> None:
    study = EXTREMES["searched"](tmp_path)
    info = curves.info(study)
    table = curves.data(info)
    assert set(table["state"]) == {"complete", "pruned", "fail"}
    assert [at for at, judged in zip(table["epoch"], table["at a rung"], strict=True) if judged] == [
        at for at in table["epoch"] if at in info.rungs
    ]
    assert info.rungs


def test_the_contour_has_its_cells_and_then_its_trials(tmp_path: Path) -> None:
    table = contour.data(contour.info(EXTREMES["searched"](tmp_path)))
    of_cells = np.array([one is None for one in table["trial"]])
    for name in ("mean", "trials near"):
        assert [one is not None for one in table[name]] == of_cells.tolist()
    for name in ("state", "val_loss"):
        assert [one is None for one in table[name]] == of_cells.tolist()
    assert {*table["state"]} == {None, "complete", "pruned"}
