"""Slices, and the parameters that figures choose."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from search.records.history import History
from search.records.parameters import Parameter
from search.report.figures import slices
from search.report.figures._chosen import best_of, important, region
from search.report.thinning import MOST
from tests.report.extremes import EXTREMES, history_of, made, searched
from tests.report.standing import stands

UNIT = FloatDistribution(0.0, 1.0)
FAMILY = CategoricalDistribution(("mlp", "forest"))


def test_each_panel_has_a_parameter_and_says_where_trials_do_not_have_it(tmp_path: Path) -> None:
    trials = [
        made(0, {"x": 0.5, "family": "mlp"}, {"x": UNIT, "family": FAMILY}, [0.4]),
        made(1, {"family": "forest"}, {"family": FAMILY}, [0.3]),
        made(2, {"x": 0.25, "family": "mlp"}, {"x": UNIT, "family": FAMILY}, [0.9], state="pruned", curve=[0.9]),
        made(3, {"x": 0.1, "family": "mlp"}, {"x": UNIT, "family": FAMILY}, None, state="fail", reason="nan"),
    ]
    found = slices.info(history_of(tmp_path, trials))
    assert (found.number, found.state, found.front) == ([0, 1, 2], ["complete", "complete", "pruned"], [1])
    assert {panel.axis.name: panel.x for panel in found.panels} == {"x": [0.5, None, 0.25], "family": [0.0, 1.0, 0.0]}
    table = slices.data(found)
    assert table["x"] == [0.5, None, 0.25]
    assert table["family"] == ["mlp", "forest", "mlp"]


def test_the_finding_is_the_range_of_the_best_where_chance_does_not_explain_it(tmp_path: Path) -> None:
    found = slices.info(history_of(tmp_path, searched()))
    assert found.panels[0].axis.name == "train.lr"
    finding = slices.words(found).finding
    assert finding == "The best 8 of 88 completed trials all have train.lr from 0.0066 to 0.017, as 15% of all do"


@pytest.mark.parametrize(("study", "finding"), [("mixed", "3 trials completed: too few"), ("equal values", "No range")])
def test_nothing_is_found_in_few_or_equal_trials(study: str, finding: str, tmp_path: Path) -> None:
    assert slices.words(slices.info(EXTREMES[study](tmp_path))).finding.startswith(finding)


def test_a_study_whose_parameters_were_looked_at_is_not_kept_alive(tmp_path: Path) -> None:
    history = history_of(tmp_path, searched(30))
    important(history, 3)
    alive = weakref.ref(history)
    del history
    assert alive() is None


def test_parameters_are_chosen_by_what_sets_the_best_apart_once_enough_trials_ended(tmp_path: Path) -> None:
    dice = np.random.default_rng(3)
    drawn = [{name: float(dice.random()) for name in ("a", "b", "c")} for _ in range(60)]
    known = dict.fromkeys(("a", "b", "c"), UNIT)
    trials = [made(n, dict(one), dict(known), [abs(one["c"] - 0.5)]) for n, one in enumerate(drawn)]
    chosen = important(history_of(tmp_path / "many", trials), 1)
    assert ([one.name for one in chosen.parameters], chosen.known) == (["c"], True)
    assert chosen.said() == "1 of 3 parameters: those that set the best trials apart most."
    few = important(history_of(tmp_path / "few", trials[:12]), 2)
    assert ([one.name for one in few.parameters], few.known) == (["a", "b"], False)


REGIONS = [
    ([0.1] * 8 + [0.5, 0.9] * 16, (), 1, "x=0.1"),
    ([i / 100 for i in range(100)], (), 1, "x from 0 to 0.07"),
    ([i / 20 for i in range(20)], (), 1, "x from 0 to 0.35"),
    ([i / 20 for i in range(20)], (), 300, ""),  # of so many parameters some look like that
    ([0.0] * 8 + [1.0] * 30, ("mlp", "forest"), 1, "x=mlp"),
    ([0.0] * 8 + [0.0, 1.0] * 15, ("mlp", "forest"), 20, ""),
    ([np.nan] * 3 + [0.0] * 40, (), 1, ""),
]


@pytest.mark.parametrize(("values", "choices", "of", "said"), REGIONS)
def test_a_region_is_told_only_where_chance_would_not_make_it(
    values: list[float], choices: tuple[str, ...], of: int, said: str
) -> None:
    assert region("x", np.array(values), np.arange(8), choices, of)[0] == said


def test_the_best_are_a_tenth_and_all_that_equal_them() -> None:
    assert best_of(np.arange(200.0)).tolist() == [*range(20)]
    assert best_of(np.arange(20.0)).tolist() == [*range(8)]
    assert best_of(np.array([0.0] * 12 + [1.0] * 30)).tolist() == [*range(12)]
    assert best_of(np.zeros(40)).tolist() == []
    assert best_of(np.arange(15.0)).tolist() == []


def test_points_are_marked_by_their_columns(tmp_path: Path) -> None:
    meta = stands(slices.PLOT, history_of(tmp_path, searched(40)))["layout"]["meta"]
    assert {"x": "param:train.lr", "y": "value:val_loss", "xaxis": "x", "yaxis": "y"} in meta["marks"]


def many(history: History, count: int) -> History:
    """Return a study with its trials over and over, each a little different."""
    dice, rows = np.random.default_rng(0), np.arange(count) % len(history)

    def moved(one: Parameter) -> Parameter:
        if one.is_choice:
            return replace(one, values=one.values[rows])
        return replace(one, values=np.clip(one.values[rows] * dice.uniform(0.9, 1.1, count), one.low, one.high))

    columns = ("state", "epochs", "best_step", "begun_s", "ended_s", "held_s", "worker", "violation", "same_as", "lost")
    return replace(
        history,
        **{name: getattr(history, name)[rows] for name in columns},
        values=history.values[rows] * dice.uniform(0.9, 1.1, (count, 1)),
        parameters=tuple(moved(one) for one in history.parameters),
    )


def test_of_many_trials_few_are_drawn_and_the_best_among_them(tmp_path: Path) -> None:
    study = many(history_of(tmp_path, searched()), 10_000)
    found = stands(slices.PLOT, study)
    best = [trace for trace in found["data"] if trace["name"] == "best"]
    assert len(best) == sum(bool(one.active[study.best or 0]) for one in study.parameters)
    assert sum(len(trace["text"]) for trace in found["data"] if "text" in trace) <= MOST + 50
    assert len(str(found)) < 300_000
    assert "are drawn" in slices.words(slices.info(study)).note
