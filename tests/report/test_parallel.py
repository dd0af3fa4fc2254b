"""Parallel coordinates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from search.report.figures import parallel
from tests.report.extremes import EXTREMES, history_of, made, searched
from tests.report.standing import stands
from tests.report.test_slices import many

UNIT = FloatDistribution(0.0, 1.0)
FAMILY = CategoricalDistribution(("mlp", "forest"))


def test_lines_go_from_parameter_to_parameter_the_best_first(tmp_path: Path) -> None:
    known = {"x": UNIT, "family": FAMILY}
    trials = [
        made(0, {"x": 0.5, "family": "mlp"}, dict(known), [0.4]),
        made(1, {"family": "forest"}, {"family": FAMILY}, [0.3]),
        made(2, {"x": 0.2, "family": "mlp"}, dict(known), [0.9], state="pruned", curve=[0.9]),
    ]
    found = parallel.info(history_of(tmp_path, trials))
    assert (found.number, found.state, found.value) == ([1, 0, 2], ["complete", "complete", "pruned"], [0.3, 0.4, 0.9])
    assert {axis.name: at for axis, at in zip(found.axes, found.at, strict=True)} == {
        "x": [None, 0.5, 0.2],
        "family": [1.0, 0.0, 0.0],
    }
    assert (found.rank, found.height, found.ends) == ([0.0, 1.0, None], [1.0, 0.0, 0.0], (0.4, 0.3))


def test_better_is_higher_whichever_way_the_metric_goes(tmp_path: Path) -> None:
    trials = [made(n, {"x": n / 4}, {"x": UNIT}, [value]) for n, value in enumerate((0.5, 0.7, 0.9))]
    found = parallel.info(history_of(tmp_path, trials, directions=("maximize",)))
    assert dict(zip(found.value, found.height, strict=True)) == pytest.approx({0.9: 1.0, 0.7: 0.5, 0.5: 0.0})
    assert found.ends == (0.5, 0.9)


def test_a_line_passes_below_an_axis_that_its_trial_does_not_have(tmp_path: Path) -> None:
    study = history_of(tmp_path, searched(40))
    drawn = stands(parallel.PLOT, study)
    places = drawn["layout"]["meta"]["places"]
    axis = [one.name for one in parallel.info(study).axes].index("model.dropout")
    below = {t for t, x, y in zip(places["trial"], places["x"], places["y"], strict=True) if x == axis and y < -0.05}
    absent = {n for n in places["trial"] if np.isnan(study.parameter("model.dropout").values[n])}
    assert below == absent
    assert "not set" in [note["text"] for note in drawn["layout"]["annotations"]]


def test_at_most_twelve_axes_and_so_said(tmp_path: Path) -> None:
    found = parallel.info(EXTREMES["300 parameters"](tmp_path))
    assert len(found.axes) == parallel.AXES
    assert found.axes[0].name == "model.p7"
    assert "12 of 300 parameters" in parallel.words(found).note


def test_of_many_trials_three_hundred_are_drawn_the_best_among_them(tmp_path: Path) -> None:
    study = many(history_of(tmp_path, searched()), 10_000)
    found = parallel.info(study)
    best = np.flatnonzero(study.are("complete"))[np.argsort(study.losses[study.are("complete")])[:30]]
    assert set(best.tolist()) <= set(found.number)
    assert len(found.number) <= parallel.LINES + 1
    assert {"pruned", "complete"} == set(found.state)
    drawn = stands(parallel.PLOT, study)
    assert len(drawn["data"]) <= parallel.BINS + 3
    assert len(str(drawn)) < 300_000
    assert parallel.words(found).note.count("trials, in the table too") == 1
