"""The importances."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

from search.records.history import History
from search.records.importances import verdict
from search.records.parameters import Parameter
from search.report.catalogue import study_figures
from search.report.figures import importances
from tests.report.extremes import EXTREMES, HOSTILE, history_of, made, rested, searched
from tests.report.extremes import extreme as extreme
from tests.report.standing import stands

UNIT = FloatDistribution(0.0, 1.0)
MEASURED = ["apart", "apart_low", "apart_high", "apart_chance"]
MEASURED += ["explains", "explains_low", "explains_high", "explains_chance"]


def test_it_stands_every_study(extreme: History) -> None:
    found = stands(importances.PLOT, extreme)
    assert bool(found) == (len(extreme) >= 20 and bool(extreme.parameters) and len(np.unique(extreme.values)) > 1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> History:
    return history_of(tmp_path_factory.mktemp("importances"), searched(200), max_epochs=9)


@pytest.fixture(scope="module")
def found(study: History) -> importances.Info:
    return importances.info(study)


def test_a_panel_tells_of_which_trials_it_is_and_what_each_parameter_comes_to(
    study: History, found: importances.Info
) -> None:
    (panel,) = found.panels
    failed = panel.failed
    assert (panel.metric, panel.trials, panel.of, panel.best) == ("val_loss", 200, 200, 20)
    assert panel.complete + panel.pruned + failed == 200
    assert (panel.forest, panel.valued) == (200 - failed, 200 - failed)
    assert panel.name[:2] == ["train.lr", "preprocess.scale"]
    assert (panel.is_told[0], panel.is_told[-1]) == (True, False)
    having = int(study.parameter("model.dropout").active.sum())
    row = panel.name.index("model.dropout")
    assert (panel.condition[row], panel.having[row]) == ("model.family=mlp", having)
    assert sum(panel.apart) == pytest.approx(1)
    for low, share, high in zip(panel.apart_low, panel.apart, panel.apart_high, strict=True):
        assert 0 <= low <= share + 1e-12 <= high + 2e-12 <= 1 + 3e-12


def test_the_finding_names_the_parameter_and_the_note_says_what_it_is_taken_from(found: importances.Info) -> None:
    told = importances.words(found)
    (panel,) = found.panels
    share = f"{panel.explains[0]:.0%}"
    both = f"train.lr explains {share} of the variance (fANOVA) and sets the best trials apart most (PED-ANOVA)"
    assert told.finding == both
    assert f"the best 20 differ from all 200 ended trials ({panel.complete} complete, " in told.note
    assert f"a forest on {panel.forest} of {panel.valued} trials" in told.note


def test_trials_that_rest_are_judged_like_pruned_ones(study: History, tmp_path: Path) -> None:
    (panel,) = importances.info(study).panels
    known = importances.info(history_of(tmp_path, rested(searched(200)), max_epochs=9))
    assert panel.pruned > 20
    assert known.panels == [panel._replace(pruned=0, resting=panel.pruned)]
    assert (
        f"differ from all 200 trials ({panel.complete} complete, {panel.pruned} resting, "
        in importances.words(known).note
    )


def test_a_conditional_parameter_is_labelled_with_its_condition_and_trials(
    study: History, found: importances.Info
) -> None:
    drawn = importances.figure(found)
    having = int(study.parameter("model.dropout").active.sum())
    assert f"model.dropout<br>(only with model.family=mlp, {having} trials)" in drawn.layout.yaxis.ticktext


def test_both_measures_are_told_apart_by_hatching_and_the_legend(found: importances.Info) -> None:
    drawn = importances.figure(found)
    bars = [trace for trace in drawn.data if trace.type == "bar"]
    assert len({trace.marker.pattern.shape for trace in bars}) == 2
    assert [trace.name for trace in drawn.data if trace.showlegend is not False] == [
        "sets the best trials apart (PED-ANOVA)",
        "explains of the variance (fANOVA)",
        "what shuffled values reach",
    ]


def test_a_bar_is_open_where_it_is_not_told_apart_from_chance(found: importances.Info) -> None:
    (panel,) = found.panels
    drawn = importances.figure(found)
    bars = [trace for trace in drawn.data if trace.type == "bar" and trace.showlegend is False]
    for trace, kind in zip(bars, ("apart", "explains"), strict=True):
        low, chance = getattr(panel, f"{kind}_low"), getattr(panel, f"{kind}_chance")
        is_open = [color.startswith("rgba") for color in trace.marker.color]
        assert is_open == [one <= other for one, other in zip(low, chance, strict=True)]


EMPTY = [
    ("no trials", "no trial has a parameter"),
    ("all failed", "2 ended, and all failed: nothing sets good ones apart"),
    ("no parameters", "no trial has a parameter"),
    ("equal values", "nothing sets trials apart: their values of val_loss or their parameters are all alike"),
]


@pytest.mark.parametrize(("name", "expected"), EMPTY)
def test_what_is_missing_is_said(name: str, expected: str, tmp_path: Path) -> None:
    assert importances.words(importances.info(EXTREMES[name](tmp_path))).empty == expected


def test_a_study_whose_trials_all_failed_and_one_of_rare_parameters_say_so(tmp_path: Path) -> None:
    failed = [made(n, {"x": n / 30}, {"x": UNIT}, None, state="fail", reason="nan") for n in range(30)]
    rare = [made(n, {f"p{n // 3}": n / 30}, {f"p{n // 3}": UNIT}, [n / 30]) for n in range(30)]
    said = [
        importances.words(importances.info(history_of(tmp_path / s, t))).empty for s, t in (("a", failed), ("b", rare))
    ]
    assert said == ["30 ended, and all failed: nothing sets good ones apart", "no parameter was set in 20 trials"]


def test_each_of_several_metrics_has_a_panel_with_the_same_rows(tmp_path: Path) -> None:
    found = importances.info(EXTREMES["several metrics"](tmp_path))
    assert [panel.metric for panel in found.panels] == ["loss", "score"]
    assert [panel.name[0] for panel in found.panels] == ["x", "x"]
    drawn = importances.figure(found)
    assert [drawn.layout.xaxis.title.text, drawn.layout.xaxis2.title.text] == [
        "share, %, for loss",
        "share, %, for score",
    ]
    assert importances.words(found).finding.startswith("x explains")


def test_where_one_measure_tells_none_the_finding_says_so(found: importances.Info) -> None:
    (panel,) = found.panels
    none = [0.0] * len(panel.name)
    untold = [panel._replace(apart_low=none), panel._replace(explains_low=none)]
    assert [importances.words(found._replace(panels=[one])).finding.partition("; ")[2] for one in untold] == [
        "PED-ANOVA tells no parameter apart from chance",
        "fANOVA tells no parameter apart from chance",
    ]


@pytest.mark.parametrize(
    ("is_told", "at_most", "words"),
    [
        (True, math.inf, "matters"),
        (False, 0.1, "matters little, at most 10%"),
        (False, 0.0001, "matters little, at most 1%"),
        (False, 0.11, "not told apart from chance"),
    ],
)
def test_a_parameter_has_one_verdict_everywhere(is_told: bool, at_most: float, words: str) -> None:
    assert verdict(is_told, at_most) == words


def test_300_parameters_are_15_rows_and_a_sentence_about_the_rest(tmp_path: Path) -> None:
    found = importances.info(EXTREMES["300 parameters"](tmp_path))
    drawn = importances.figure(found)
    assert len(drawn.layout.yaxis.ticktext) == 15
    assert drawn.layout.yaxis.ticktext[0] == "model.p7"
    assert "285 more parameters come to " in importances.words(found).note
    assert len(drawn.to_json()) < 20_000


def test_what_chance_and_few_trials_leave_open_is_said(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    trials = []
    for number in range(40):
        params = {"x": float(dice.random()), "y": float(dice.random())} | ({"rare": 0.5} if number < 4 else {})
        trials.append(made(number, params, dict.fromkeys(params, UNIT), [float(dice.random())]))  # type: ignore[arg-type]
    found = importances.words(importances.info(history_of(tmp_path, trials)))
    assert found.finding == "No parameter is told apart from chance by 40 trials"
    assert "Open bars: not told apart from chance." in found.note
    assert "Too few trials to judge: rare (4 trials)." in found.note


def test_its_table_has_pairs_below_the_parameters(tmp_path: Path) -> None:
    dice = np.random.default_rng(1)
    trials = []
    for number in range(150):
        params = {"x": float(dice.random()), "y": float(dice.random())}
        loss = float((params["x"] > 0.5) and (params["y"] > 0.5))
        trials.append(made(number, params, dict.fromkeys(params, UNIT), [loss]))  # type: ignore[arg-type]
    found = importances.info(history_of(tmp_path, trials))
    table = importances.data(found)
    assert [*table] == ["metric", "parameter", "only_with", "trials", "verdict", *MEASURED]
    assert table["parameter"][-1] in ("x x y", "y x x")
    assert table["explains"][-1] == pytest.approx(1 / 3, abs=0.1)
    assert " more together." in importances.words(found).note


def _large(study: History, count: int, parameters: int) -> History:
    """Return a study as columns, of which the first parameter matters and the last one is conditional."""
    dice = np.random.default_rng(2)
    columns = [Parameter(f"p{n}", "float", 0.0, 1.0, False, (), dice.random(count)) for n in range(parameters)]
    rare = np.where(columns[1].values < 0.5, columns[-1].values, math.nan)
    columns[-1] = replace(columns[-1], values=rare)
    return replace(
        study,
        parameters=tuple(columns),
        values=(columns[0].values ** 2)[:, None],
        state=(dice.random(count) < 0.5).astype(np.int8),
        epochs=np.full(count, 9),
        violation=np.zeros(count),
        reason={},
    )


def test_a_large_study_is_a_stated_sample_and_a_small_figure(study: History) -> None:
    found = importances.info(_large(study, 30_000, 8))
    (panel,) = found.panels
    assert (panel.trials, panel.of, panel.best) == (10_000, 30_000, 1_000)
    assert (panel.forest, panel.valued) == (1_000, 10_000)
    assert "all 10,000 of 30,000 ended trials" in importances.words(found).note
    assert panel.name[0] == "p0"
    assert len(importances.figure(found).to_json()) < 20_000


def test_many_parameters_are_judged_on_fewer_trials() -> None:
    asked = [{"parameters": 8, "metrics": 1}, {"parameters": 300, "metrics": 1}, {"parameters": 8, "metrics": 2}]
    assert [importances.most_trials(**one) for one in asked] == [10_000, 1_000, 5_000]


def test_hostile_names_are_escaped_in_the_figure_and_whole_in_the_table(tmp_path: Path) -> None:
    odd = EXTREMES["odd names"](tmp_path)
    drawn = json.loads(study_figures(odd, ["importances"])["importances"].to_json())
    assert "&lt;/script&gt;" in json.dumps(drawn)
    labels = [unescape(label) for label in drawn["layout"]["yaxis"]["ticktext"]]
    assert "a<b>&\"c'" in labels
    assert "<img" not in json.dumps(drawn)
    assert HOSTILE in importances.data(importances.info(odd))["parameter"]
