"""The pruner's regret, and its estimate against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.trial import FrozenTrial

from search.records.history import History
from search.report.figures import regret
from search.report.missed import missed
from search.report.thinning import MOST
from tests.records.studies import PRUNED_BY, trial
from tests.report.courses import learning, pruned_by_halves
from tests.report.extremes import extreme as extreme
from tests.report.extremes import history_of
from tests.report.standing import stands


def test_it_stands_every_study(extreme: History) -> None:
    found = stands(regret.PLOT, extreme)
    enough = extreme.are("pruned").any() and np.count_nonzero(extreme.candidates) >= regret.LEAST
    assert bool(found) == bool(enough and len(extreme.metrics) == 1)


def test_pruned_trials_are_told_with_where_they_stood(tmp_path: Path) -> None:
    trials = [
        *(trial("complete", [0.5 + n / 100, 0.4, 0.2 + n / 100]) for n in range(6)),
        trial("pruned", [0.6, 0.9], pruning=PRUNED_BY),
        trial("pruned", [0.51], pruning=PRUNED_BY),
        trial("pruned", [], pruning=PRUNED_BY),
    ]
    found = regret.info(history_of(tmp_path, trials))
    assert (found.number, found.step, found.value, found.unit) == ([6, 7], [2, 1], [0.6, 0.51], "epoch")
    assert (found.survivors, found.best, found.left_out) == (6, 0, 0)
    assert len(found.chance) == 2


def _reporting(made: FrozenTrial, reports: dict[int, float]) -> FrozenTrial:
    made.system_attrs = {key: one for key, one in made.system_attrs.items() if "metrics" not in key}
    made.intermediate_values = reports
    return made


def test_trials_are_compared_at_the_rung_whatever_steps_they_report_at(tmp_path: Path) -> None:
    trials = [
        *(_reporting(trial("complete", [0.3 + n / 100]), {2: 0.5 + n / 100, 9: 0.3 + n / 100}) for n in range(5)),
        *(_reporting(trial("complete", [0.2]), {9: 0.2}) for _ in range(9)),  # reported once: nothing went on
        _reporting(trial("pruned", [0.6], pruning={**PRUNED_BY, "rung": 1}), {4: 0.6}),
        _reporting(trial("pruned", [0.6], pruning={**PRUNED_BY, "rung": 3}), {4: 0.6}),
    ]
    found = regret.info(history_of(tmp_path, trials))
    assert (found.number, found.step, found.unit) == ([14, 15], [1, 3], "rung")
    assert (found.survivors, found.left_out) == (5, 1)  # after rung 3 nobody learned on
    assert np.isnan(found.chance).tolist() == [False, True]
    words = regret.words(found)
    assert "the one pruned trial" in words.finding
    assert "1 is left out: fewer than 5 others went on" in words.note


def test_a_trial_that_stood_better_than_all_others_is_suspected_and_a_hopeless_one_is_not() -> None:
    dice = np.random.default_rng(0)
    survivors = dice.uniform(0.5, 1.0, (60, 1))
    final = 0.5 * survivors[:, 0] + dice.normal(0, 0.01, 60)
    found = missed(np.array([0.3, 0.9]), np.array([0, 0]), survivors, final, log=False)
    assert found.chance[0] > 0.95
    assert found.chance[1] < 0.05
    assert (found.low, found.high) == (1, 1)
    assert found.expected == pytest.approx(found.chance.sum())


@pytest.mark.parametrize("factor", [1e-300, 1.0, 1e300])
def test_the_estimate_does_not_depend_on_the_unit(factor: float) -> None:
    dice = np.random.default_rng(0)
    survivors, pruned = dice.uniform(0.5, 1.0, (20, 1)), dice.uniform(0.5, 1.0, 10)
    final = 0.5 * survivors[:, 0] + dice.normal(0, 0.05, 20)
    plain = missed(pruned, np.zeros(10, int), survivors, final, log=False)
    scaled = missed(factor * pruned, np.zeros(10, int), factor * survivors, factor * final, log=False)
    np.testing.assert_allclose(scaled.chance, plain.chance, rtol=1e-6)


def test_the_interval_has_the_true_number_of_missed_winners_in_most_studies(tmp_path: Path) -> None:
    """Of simulated curves the truth is known: each pruned trial is run on to its end."""
    held, winners, widths = [], [], []
    for seed in range(30):
        losses = learning(120, 27, seed=seed)
        study = pruned_by_halves(tmp_path / str(seed), losses)
        found = regret.info(study)
        if not found.chance:
            continue
        results, pruned = losses.min(axis=1), study.are("pruned")
        truth = int(np.count_nonzero(results[pruned] < results[~pruned].min()))
        winners.append(truth)
        widths.append((found.high - found.low) / len(found.number))
        held.append(found.low <= truth <= found.high)
    assert len(held) >= 20
    assert np.count_nonzero(winners) >= 10, "the simulation has to have winners that were missed"
    assert np.mean(held) >= 0.85
    assert np.mean(widths) <= 0.15


EMPTY: list[tuple[list[Any], dict[str, Any], str]] = [
    ([trial("complete", [0.5])] * 6, {}, "no trial that has reported was pruned, so nothing can be regretted"),
    (
        [trial("complete", [0.5]), trial("pruned", [0.9], pruning=PRUNED_BY)],
        {},
        "fewer than 5 trials went on and completed: too few to say what the pruned one would have come to",
    ),
    (
        [*[trial("complete", [0.5])] * 6, trial("pruned", [0.9])],
        {"pruner": "wilcoxon", "folds": 5},
        "wilcoxon compares trials fold by fold: nothing is known of the folds that were not run",
    ),
]


@pytest.mark.parametrize(("trials", "changes", "expected"), EMPTY)
def test_what_cannot_be_known_is_said_to_be(
    trials: list[Any], changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    assert regret.words(regret.info(history_of(tmp_path, trials, **changes))).empty == expected


def test_suspects_are_named_the_likeliest_first() -> None:
    info = regret.Info(
        metric="loss",
        unit="epoch",
        number=[3, 5, 8],
        step=[1, 1, 3],
        value=[0.5, 0.4, 0.3],
        chance=[0.2, 0.01, 0.6],
        left_out=0,
        expected=0.81,
        low=0,
        high=2,
        survivors=30,
        best=1,
        rule="asha",
        metrics=1,
    )
    found = regret.words(info)
    assert found.finding == "About 0.8 of the 3 pruned trials might have beaten the best (90% interval 0 to 2)"
    assert "Most likely: 8 (60%), 3 (20%)." in found.note
    points, named = regret.figure(info).data
    assert [*points.customdata] == [3, 5, 8]
    assert [*named.text] == ["3", "8"]


def test_a_large_study_draws_the_likeliest(tmp_path: Path) -> None:
    info = regret.info(pruned_by_halves(tmp_path, learning(20_000, 12, seed=0)))
    drawn = regret.figure(info)
    assert len(drawn.data[0].x) == MOST
    assert int(np.argmax(info.chance)) in np.searchsorted(info.number, drawn.data[0].customdata)
    assert len(drawn.to_json()) < 200_000
