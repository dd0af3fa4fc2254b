"""Rung survival, and the rungs of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from search.records.history import History
from search.records.rungs import ladder
from search.report.figures import regret, rungs
from tests.records.studies import plan, trial
from tests.report.courses import learning, pruned_by_halves
from tests.report.extremes import extreme as extreme
from tests.report.extremes import from_step_0, history_of
from tests.report.standing import stands

LADDERS = [
    ("asha", 27, (1, 3, 9)),
    ("asha:min_resource=2,reduction_factor=4", 40, (2, 8, 32)),
    ("asha:promote=true", 9, (1, 3)),
    ("hyperband", 27, (1, 3, 9)),
    ("median", 27, ()),
    ("none", 27, ()),
    ("of a later version", 27, ()),
    ("asha:of_a_later_version=1", 27, ()),
]


@pytest.mark.parametrize(("pruner", "last", "expected"), LADDERS)
def test_rungs_are_those_of_the_pruner(pruner: str, last: int, expected: tuple[int, ...], tmp_path: Path) -> None:
    assert ladder(plan("s", tmp_path, pruner=pruner, max_epochs=last)).steps == expected


def test_trials_of_hyperband_begin_at_different_rungs(tmp_path: Path) -> None:
    found = ladder(plan("s", tmp_path, pruner="hyperband", max_epochs=27), 200)
    counts = {int(step): int(count) for step, count in zip(*np.unique(found.first, return_counts=True), strict=True)}
    assert {1, 3, 9} <= set(counts)
    assert counts[1] > counts[3] > counts[9]


def test_it_stands_every_study(extreme: History) -> None:
    found = stands(rungs.PLOT, extreme)
    assert bool(found) == bool((extreme.epochs > 0).any())


def _pruned(curve: list[float], **pruning: Any) -> Any:
    return trial("pruned", curve, pruning={"rule": "asha", "step": len(curve), **pruning})


def test_every_trial_that_came_to_a_rung_is_counted_there_once(tmp_path: Path) -> None:
    resting = trial("paused", [0.6])
    resting.system_attrs = {**resting.system_attrs, "sweep:rung": {"rung": 1, "rests": True}}
    trials = [
        *(trial("complete", [0.5 - n / 100, 0.4, 0.3, 0.2 - n / 100]) for n in range(8)),
        _pruned([0.9], rung=1, cutoff=0.7),
        _pruned([0.8], rung=1, cutoff=0.6),
        _pruned([0.5, 0.5, 0.5], rung=3, cutoff=0.4),
        trial("fail", [0.5, 0.5], reason="nan"),
        trial("fail", [], reason="nan"),
        trial("running", [0.5, 0.5]),
        resting,
    ]
    found = rungs.info(history_of(tmp_path, trials, pruner="asha:promote=true", max_epochs=9))
    first, second = found.rungs
    assert (first.step, first.came, first.pruned, first.rests, first.on, first.cutoff) == (1, 14, 2, 1, 11, 0.6)
    assert (second.step, second.came, second.pruned, second.rests, second.on, second.cutoff) == (3, 9, 1, 0, 8, 0.4)
    assert first.agreement == pytest.approx(1.0)
    assert first.compared == 8
    assert second.agreement is None  # all had the same there
    assert (found.of, found.pruned, found.done) == (14, 3, 8)
    assert rungs.words(found).finding == "asha ended 3 of 14 trials, 2 of them at rung 1; 1 rest at a rung"


def test_a_pruning_that_was_not_stored_counts_at_the_last_rung_before_it(tmp_path: Path) -> None:
    study = history_of(tmp_path, [trial("pruned", [0.9, 0.8]), trial("complete", [0.5] * 9)], max_epochs=9)
    assert [(one.step, one.pruned) for one in rungs.info(study).rungs] == [(1, 1), (3, 0)]


def test_a_report_behind_several_rungs_ends_its_trial_at_one_of_them(tmp_path: Path) -> None:
    jumped = trial("pruned", [], pruning={"rule": "asha", "step": 5, "rung": 1})
    jumped.intermediate_values = {5: 0.9}
    study = history_of(tmp_path, [jumped, trial("complete", [0.5] * 9)], max_epochs=9)
    assert [(one.step, one.came, one.pruned) for one in rungs.info(study).rungs] == [(1, 2, 1), (3, 1, 0)]


def test_a_pruner_without_rungs_is_told_step_by_step(tmp_path: Path) -> None:
    trials = [trial("complete", [0.5, 0.4, 0.3]), trial("pruned", [0.9, 0.9]), trial("complete", [0.5])]
    found = rungs.info(history_of(tmp_path, trials, pruner="median", max_epochs=9))
    assert (found.step, found.reached, found.ended) == ([1, 2, 3], [3, 2, 1], [0, 1, 0])
    assert rungs.words(found).finding == "median ended 1 of 3 trials, at epoch 2"
    came, kept = rungs.figure(found).data
    assert [*came.y] == pytest.approx([100, 200 / 3, 100 / 3])
    assert [*kept.y] == pytest.approx([100, 200 / 3, 200 / 3])


EMPTY = [
    ([], "asha", "no trial has reported yet, so the pruner had nothing to judge"),
    ([trial("complete", [0.5, 0.4])], "none", "the pruner is none: every trial runs to its end"),
    ([trial("complete", [0.5])], "median", "no trial has come to a step at which median prunes"),
]


@pytest.mark.parametrize(("trials", "pruner", "expected"), EMPTY)
def test_where_nothing_could_be_pruned_it_says_so(
    trials: list[Any], pruner: str, expected: str, tmp_path: Path
) -> None:
    found = rungs.words(rungs.info(history_of(tmp_path, trials, pruner=pruner)))
    assert found.empty == expected


def test_a_large_study_is_counted_whole(tmp_path: Path) -> None:
    study = pruned_by_halves(tmp_path, learning(20_000, 12, seed=0))
    info = rungs.info(study)
    assert info.rungs[0].came == 20_000
    assert sum(one.pruned for one in info.rungs) == info.pruned == np.count_nonzero(study.are("pruned"))
    assert [one.came for one in info.rungs[1:]] == [one.on for one in info.rungs[:-1]]
    assert info.done == info.rungs[-1].on
    assert len(rungs.figure(info).to_json()) < 10_000


def test_the_rank_correlation_takes_equal_values_together(tmp_path: Path) -> None:
    there, results = [1, 1, 2, 3, 3, 3, 4, 5], [2, 1, 1, 4, 3, 3, 5, 5]
    trials = [trial("complete", [float(a) + 10, float(b)]) for a, b in zip(there, results, strict=True)]
    study = history_of(tmp_path, trials)
    assert rungs.info(study).rungs[0].agreement == pytest.approx(spearmanr(there, results).statistic)


@pytest.mark.parametrize("first", [0, 1])
def test_what_was_pruned_at_its_first_report_is_told(first: int, tmp_path: Path) -> None:
    trials = from_step_0()
    for one in trials:
        one.intermediate_values = {step + first: value for step, value in one.intermediate_values.items()}
    study = history_of(tmp_path, trials, pruner="median", max_epochs=0)
    assert rungs.words(rungs.info(study)).finding == f"median ended 6 of 12 trials, all at step {first}"
    assert regret.info(study).number == [6, 7, 8, 9, 10, 11]


def test_what_all_were_pruned_at_their_only_report_is_told(tmp_path: Path) -> None:
    study = history_of(tmp_path, [trial("pruned", [0.9]), trial("complete", [0.5])], pruner="median", max_epochs=9)
    assert rungs.words(rungs.info(study)).finding == "median ended 1 of 2 trials, at epoch 1"
