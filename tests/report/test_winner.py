"""What the best trial gets wrong, whether it can be believed, and whether it is told apart from others."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution

from search.contract import Task
from search.evaluating import evaluated
from search.evaluation import Bin, Evaluation, Measure, together
from search.records.history import History
from search.records.study import read
from search.report.figures import calibration, failures, seeds, stages, timeline, winner
from search.report.uncertainty import fold_scores, uncertainty
from search.trialfiles import EVALUATION
from search.variation import error_of_folds, wilson
from tests.report.extremes import HOSTILE, history_of, made
from tests.report.extremes import extreme as extreme
from tests.report.standing import stands

PLAIN: dict[str, BaseDistribution] = {"x": FloatDistribution(0.0, 1.0)}


@pytest.mark.parametrize("evaluation", [None, "classes", "values"])
def test_every_figure_of_waste_and_of_the_winner_stands_every_study(extreme: History, evaluation: str | None) -> None:
    plots = [winner.PLOT, calibration.PLOT, seeds.PLOT]
    if evaluation is None:
        plots += [timeline.PLOT, stages.PLOT, failures.PLOT]
    else:
        extreme = replace(extreme, evaluation=ODD[evaluation])
    for plot in plots:
        stands(plot, extreme)


def of_classes(
    *, right: float = 0.8, rows: int = 200, sure: float = 0.8, names: Sequence[str] = ("no", "yes")
) -> Evaluation:
    """Return the evaluation of so many rows, of which that share is told right at that probability."""
    target = np.arange(rows) % len(names)
    hit = np.arange(rows) < right * rows
    chosen = np.where(hit, target, (target + 1) % len(names))
    odds = np.full((rows, len(names)), (1 - sure) / (len(names) - 1))
    odds[np.arange(rows), chosen] = sure
    return evaluated(odds, target, Task.MULTICLASS, classes=names)


def of_values(rows: int = 300, *, shift: float = 0.0) -> Evaluation:
    dice = np.random.default_rng(1)
    target = dice.normal(size=rows)
    return evaluated(target + dice.normal(size=rows) + shift, target, Task.REGRESSION)


ODD = {"classes": of_classes(names=(HOSTILE, "größe", "%{x}")), "values": of_values(3)}


def study(
    results: Path, values: Sequence[float] = (0.2, 0.3), *, evaluation: Evaluation | None = None, **changes: Any
) -> History:
    trials = [made(n, {"x": n / 99}, PLAIN, [value]) for n, value in enumerate(values)]
    return replace(history_of(results, trials, **changes), evaluation=evaluation)


def test_a_confusion_matrix_tells_counts_and_the_most_frequent_mistake(tmp_path: Path) -> None:
    target = np.array([0, 0, 0, 1, 1, 2])
    chosen = np.array([0, 1, 1, 1, 1, 0])
    found = evaluated(np.eye(3)[chosen], target, Task.MULTICLASS, classes=["a", "b", "c"])
    info = winner.info(study(tmp_path, evaluation=found))
    assert info.confusion == [[1, 2, 0], [0, 2, 0], [1, 0, 0]]
    assert winner.words(info).finding == "#0 tells 3 of 6 validation rows right; most often it takes a for b (2 of 3)"
    assert winner.data(info)["rows"] == [1, 2, 0, 0, 2, 0, 1, 0, 0]
    drawn = stands(winner.PLOT, study(tmp_path / "again", evaluation=found))
    assert drawn["data"][0]["z"][0] == [0.3333, 0.6667, 0.0]


def test_residuals_tell_how_far_predictions_are_off(tmp_path: Path) -> None:
    target = np.linspace(0, 100, 101)
    found = evaluated(target + np.linspace(1, 3, 101), target, Task.REGRESSION)
    words = winner.words(winner.info(study(tmp_path, evaluation=found)))
    assert words.finding == "Half of the predictions of #0 are within about 2.5 of the target, and most are too high"
    assert "the largest is 3 off" in words.note


def test_where_predictions_are_not_kept_a_sentence_says_what_to_do(tmp_path: Path) -> None:
    said = winner.words(winner.info(study(tmp_path / "one"))).empty
    assert "`predicted`" in said
    none = winner.words(winner.info(study(tmp_path / "two", keep_checkpoints="none"))).empty
    assert "--keep-checkpoints best" in none
    assert winner.words(winner.info(study(tmp_path / "three", []))).empty.startswith("no trial has completed")


def test_the_best_trials_evaluation_is_read_from_its_checkpoint(tmp_path: Path) -> None:
    history = study(tmp_path)
    kept = history.folder.trial(0).checkpoint / "best.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"step": 1, EVALUATION: of_values().to_json()}))
    assert History.of(read(history.folder)).evaluation == of_values()


CALIBRATED = [
    (0.8, 0.8, "The probabilities of #0 are right as far as 200 rows can tell: "),
    (0.6, 0.9, "#0 is too sure: it says 90.0% on average and is right in 60.0%; calibration error 0.300 ["),
    (0.95, 0.6, "#0 is not sure enough: it says 60.0% on average and is right in 95.0%; "),
]


@pytest.mark.parametrize(("right", "sure", "said"), CALIBRATED)
def test_probabilities_are_held_against_what_came_true(right: float, sure: float, said: str, tmp_path: Path) -> None:
    dice = np.random.default_rng(5)
    order = dice.permutation(200)  # so that each bin has its share
    target = np.arange(200) % 2
    hit = order < right * 200
    odds = np.where((target == hit)[:, None], [1 - sure, sure], [sure, 1 - sure])
    found = evaluated(odds, target, Task.BINARY, classes=["a", "b"])
    assert calibration.words(calibration.info(study(tmp_path, evaluation=found))).finding.startswith(said)


def test_a_small_calibration_error_is_told_beside_what_chance_would_make_of_it(tmp_path: Path) -> None:
    info = calibration.info(study(tmp_path, evaluation=of_classes(right=0.8, sure=0.8)))
    assert info.error_low <= info.error <= info.error_high or info.error == pytest.approx(0)
    assert 0 < info.by_chance < 0.15


@pytest.mark.parametrize(
    ("residual", "said"),
    [
        (np.random.default_rng(0).normal(size=500), "about like a normal distribution"),
        (np.random.default_rng(0).standard_t(1.5, size=500), "heavy tails"),
        (np.linspace(-1, 1, 500), "light tails"),
    ],
)
def test_errors_of_a_regression_are_compared_with_a_normal_distribution(
    residual: Any, said: str, tmp_path: Path
) -> None:
    target = np.arange(500.0)
    info = calibration.info(study(tmp_path, evaluation=evaluated(target + residual, target, Task.REGRESSION)))
    assert said in calibration.words(info).finding


# --- how sure the best one's value is ---


def replicated(results: Path, values: Sequence[float], deviation: float, **changes: Any) -> History:
    history = study(results, values, replicates=4, **changes)
    return replace(history, measured={"val_loss_sd": np.full(len(values), deviation)})


def folded(results: Path, scores: Sequence[Sequence[float]], **changes: Any) -> History:
    """Return a study whose trials have told the means over their folds so far."""
    count = len(scores[0])
    trials = [
        made(
            n, {"x": n / 99}, PLAIN, [float(np.mean(one))], curve=[float(np.mean(one[:k])) for k in range(1, count + 1)]
        )
        for n, one in enumerate(scores)
    ]
    return history_of(results, trials, folds=count, **changes)


def test_repeats_with_other_seeds_give_students_interval(tmp_path: Path) -> None:
    found = uncertainty(replicated(tmp_path, [0.2, 0.3], 0.04))
    assert found is not None
    assert found.how == "over 4 trainings with different seeds"
    assert [found.low, found.high] == pytest.approx([0.2 - 3.182 * 0.02, 0.2 + 3.182 * 0.02], abs=1e-4)


def test_scores_of_folds_are_found_again_in_the_means_that_were_told(tmp_path: Path) -> None:
    history = folded(tmp_path, [[0.1, 0.3, 0.2], [0.5, 0.5, 0.8]])
    assert fold_scores(history, 0) == pytest.approx([0.1, 0.3, 0.2])
    found = uncertainty(history)
    assert found is not None
    assert found.error == pytest.approx(0.1 * math.sqrt(1 / 3 + 1 / 2))
    assert found.how.startswith("over 3 folds")


def test_scores_of_folds_that_were_told_as_they_are_stay_so(tmp_path: Path) -> None:
    scores = [0.1, 0.3, 0.2]
    trials = [made(0, {"x": 0.5}, PLAIN, [0.2], curve=scores)]
    assert fold_scores(history_of(tmp_path, trials, folds=3, pruner="wilcoxon"), 0) == pytest.approx(scores)


def test_reports_that_do_not_fit_the_value_are_no_folds(tmp_path: Path) -> None:
    trials = [made(0, {"x": 0.5}, PLAIN, [0.7], curve=[0.1, 0.3, 0.2])]
    history = history_of(tmp_path, trials, folds=3)
    assert fold_scores(history, 0) is None
    assert uncertainty(history) is None


def test_one_training_has_the_interval_of_its_validation_rows(tmp_path: Path) -> None:
    found = uncertainty(
        study(tmp_path, [0.8, 0.7], metrics=("val_accuracy",), directions=("maximize",), evaluation=of_classes())
    )
    assert found is not None
    assert (found.low, found.high) == wilson(0.8, 200)
    assert found.how == "over 200 validation rows, one training"


def test_an_accuracy_that_is_minimized_with_a_minus_has_the_same_interval_mirrored(tmp_path: Path) -> None:
    history = study(tmp_path, [-0.8, -0.7], baseline={"val_loss": -0.5}, evaluation=of_classes())
    found = uncertainty(history)
    assert found is not None
    assert (-found.high, -found.low) == wilson(0.8, 200)
    assert said(history).startswith("#0 beats the naive baseline")


def test_a_metric_that_is_none_of_the_usual_measures_has_no_interval(tmp_path: Path) -> None:
    assert uncertainty(study(tmp_path, [0.123], evaluation=of_classes())) is None


def test_wilsons_interval_is_the_one_in_the_books() -> None:
    assert [*wilson(0.9, 10)] == pytest.approx([0.5958, 0.9821], abs=1e-4)
    assert wilson(1.0, 50)[1] == pytest.approx(1.0)
    assert wilson(0.0, 50)[0] == pytest.approx(0.0)


def said(history: History) -> str:
    return seeds.words(seeds.info(history)).finding


def test_a_best_that_is_no_better_than_the_baseline_is_told_loudly(tmp_path: Path) -> None:
    assert (
        said(study(tmp_path, [1.2], baseline={"val_loss": 1.0}))
        == "NOT better than the naive baseline: val_loss 1.2 against 1"
    )
    within = replicated(tmp_path / "two", [0.9], 0.2, baseline={"val_loss": 1.0})
    assert said(within) == "#0 may be no better than the naive baseline: 0.9 against 1, within its interval"
    beyond = replicated(tmp_path / "three", [0.2], 0.2, baseline={"val_loss": 1.0})
    assert said(beyond) == "#0 beats the naive baseline, 0.2 against 1"


@pytest.mark.parametrize(
    ("deviation", "expected"),
    [(0.01, "the runner-up #1 is worse by more than chance"), (0.2, "the runner-up #1 cannot be told from it")],
)
def test_seeds_tell_the_runner_up_apart_or_not(deviation: float, expected: str, tmp_path: Path) -> None:
    assert said(replicated(tmp_path, [0.2, 0.3], deviation)).endswith(expected)


def test_on_the_same_folds_a_small_gap_that_is_always_there_counts(tmp_path: Path) -> None:
    apart = folded(tmp_path / "one", [[0.1, 0.5, 0.9], [0.12, 0.521, 0.92]])
    assert said(apart).endswith("#1 is worse by more than chance")
    alike = folded(tmp_path / "two", [[0.1, 0.5, 0.9], [0.0, 0.9, 0.7]])
    assert said(alike).endswith("#1 cannot be told from it")
    assert error_of_folds(np.array([0.02, 0.02, 0.02])) == pytest.approx(0)


def test_without_repeats_it_is_told_that_nothing_is_known(tmp_path: Path) -> None:
    words = seeds.words(seeds.info(study(tmp_path)))
    assert words.finding.endswith("whether the runner-up #1 is worse by more than chance is not known")
    assert "--replicates 3" in words.note


def test_copies_of_the_best_are_no_runners_up(tmp_path: Path) -> None:
    history = study(tmp_path, [0.2, 0.2, 0.3])
    same = history.same_as.copy()
    same[1] = 0
    assert seeds.info(replace(history, same_as=same)).number == [0, 2]


def test_the_best_of_several_metrics_is_not_compared(tmp_path: Path) -> None:
    trials = [made(0, {"x": 0.5}, PLAIN, [0.1, 0.9], metrics=("a", "b"))]
    history = history_of(tmp_path, trials, metrics=("a", "b"), directions=("minimize", "minimize"))
    assert seeds.words(seeds.info(history)).empty.startswith("2 metrics are searched")


def test_a_baseline_far_away_is_told_and_leaves_room_for_the_trials(tmp_path: Path) -> None:
    far = stands(seeds.PLOT, study(tmp_path / "far", [0.2, 0.21], baseline={"val_loss": 9.0}))
    assert [note["text"] for note in far["layout"]["annotations"]] == ["naive baseline 9 →"]
    assert "shapes" not in far["layout"]
    near = stands(seeds.PLOT, study(tmp_path / "near", [0.2, 0.21], baseline={"val_loss": 0.215}))
    assert near["layout"]["shapes"][0]["x0"] == 0.215


def test_what_did_not_vary_is_no_certainty(tmp_path: Path) -> None:
    history = replicated(tmp_path / "one", [0.5, 0.5001], 0.0, baseline={"val_loss": 0.50005})
    assert uncertainty(history) is None
    assert said(history) == (
        "#0 is better than the naive baseline, 0.5 against 0.50005; "
        "whether the runner-up #1 is worse by more than chance is not known"
    )
    assert uncertainty(folded(tmp_path / "two", [[0.2, 0.2, 0.2]])) is None
    sure = replace(of_classes(), measures={"auc": Measure(1.0, 0.0)})
    assert uncertainty(study(tmp_path / "three", [1.0, 0.9], directions=("maximize",), evaluation=sure)) is None


@pytest.mark.parametrize("changes", [{"folds": 5}, {"replicates": 3}])
def test_rows_say_nothing_of_how_several_trainings_differ(changes: dict[str, int], tmp_path: Path) -> None:
    several = study(tmp_path, [0.8, 0.7], directions=("maximize",), evaluation=of_classes(), **changes)
    assert uncertainty(several) is None
    assert "one training" not in seeds.words(seeds.info(several)).note


def test_rows_told_right_are_counted_and_not_reckoned_from_the_mean_of_folds(tmp_path: Path) -> None:
    folds = [of_classes(right=1.0, rows=20), of_classes(right=0.75, rows=80)]
    found = winner.info(study(tmp_path, evaluation=together(folds), folds=2))
    assert winner.words(found).finding.startswith("#0 tells 80 of 100 validation rows right")


def test_the_interval_of_a_calibration_error_holds_it(tmp_path: Path) -> None:
    bins = tuple(Bin(sure, round(sure * 20) / 20, 20) for sure in np.linspace(0.5, 0.99, 15).tolist())
    for name, one in {"small": replace(of_classes(), rows=300, bins=bins), "large": of_classes(right=0.4)}.items():
        info = calibration.info(study(tmp_path / name, evaluation=one))
        assert 0 <= info.error_low <= info.error <= info.error_high
    assert info.error_low > 0.2
