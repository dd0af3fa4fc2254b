"""What test rows say of a model: each measure by hand and beside scikit-learn, for every kind of poor data.

Mutations that turn these red: take the mean over all classes in place of those that occur; clip at another probability
than the search; let a baseline see the test target; call a group of three rows the worst; turn the sign of a gap.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn

from objectives import scoring
from search.contract import Task
from search.errors import RefusedError
from search.promote.estimates import Estimate
from search.promote.groups import by_class
from search.promote.measures import DIRECTIONS, Judged, measure
from search.promote.scores import Scores, counterpart, score

TWO = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]])
TWO_TARGET = np.array([0, 0, 1, 1])


def odds(rows: int, classes: int, *, seed: int = 0) -> tuple[Any, Any]:
    """Return probabilities and classes that are drawn by them."""
    random = np.random.default_rng(seed)
    given = random.dirichlet(np.full(classes, 0.5), rows)
    return given, np.array([random.choice(classes, p=row) for row in given])


def test_two_classes_by_hand() -> None:
    found = measure(TWO, TWO_TARGET, Task.BINARY)
    assert found["accuracy"] == 0.5
    assert found["balanced_accuracy"] == 0.5
    assert found["auc"] == 0.75
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.04 + 0.49) / 4)
    assert found["log_loss"] == pytest.approx(-(math.log(0.9) + math.log(0.4) + math.log(0.8) + math.log(0.3)) / 4)
    assert found["calibration_error"] == pytest.approx((0.1 + 0.6 + 0.2 + 0.7) / 4)  # a bin for each row


def test_a_class_that_no_row_is_of_does_not_count() -> None:
    given = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1]])
    found = measure(given, np.array([0, 1, 1]), Task.MULTICLASS)
    assert found["balanced_accuracy"] == 0.75
    assert found["auc"] == pytest.approx(1.0)


def test_values_by_hand() -> None:
    found = measure(np.array([1.0, 2.0, 5.0]), np.array([1.0, 4.0, 4.0]), Task.REGRESSION, variance=2.5)
    assert found == pytest.approx({"loss": 5 / 3 / 2.5, "rmse": math.sqrt(5 / 3), "mae": 1.0, "r2": 1 - 5 / 6})


@pytest.mark.parametrize("classes", [2, 5])
def test_classes_beside_scikit_learn(classes: int) -> None:
    given, target = odds(400, classes)
    found = measure(given, target, Task.BINARY if classes == 2 else Task.MULTICLASS)
    label = given.argmax(axis=1)
    score = given[:, 1] if classes == 2 else given
    assert found["accuracy"] == pytest.approx(sklearn.accuracy_score(target, label))
    assert found["balanced_accuracy"] == pytest.approx(sklearn.balanced_accuracy_score(target, label))
    assert found["auc"] == pytest.approx(sklearn.roc_auc_score(target, score, multi_class="ovr"))
    assert found["log_loss"] == pytest.approx(sklearn.log_loss(target, given), abs=1e-5)
    assert found["brier"] == pytest.approx(sklearn.brier_score_loss(target, score))


def test_values_beside_scikit_learn() -> None:
    random = np.random.default_rng(0)
    target = random.normal(size=300)
    said = target + random.normal(size=300)
    found = measure(said, target, Task.REGRESSION)
    assert found["rmse"] == pytest.approx(sklearn.root_mean_squared_error(target, said))
    assert found["mae"] == pytest.approx(sklearn.mean_absolute_error(target, said))
    assert found["r2"] == pytest.approx(sklearn.r2_score(target, said))


def test_a_measure_is_what_the_search_calls_by_its_name() -> None:
    given, target = odds(200, 3)
    given[0] = (1.0, 0.0, 0.0)
    target[0] = 2  # a certain mistake: the clip counts
    ours = measure(given, target, Task.MULTICLASS)
    for name, value in scoring.score_probabilities(given, target).items():
        assert ours[counterpart(name, Task.MULTICLASS) or ""] == pytest.approx(value), name
    said = given[:, 0] * 3
    ours = measure(said, given[:, 1], Task.REGRESSION, variance=0.7)
    for name, value in scoring.score_values(said, given[:, 1], variance=0.7).items():
        assert ours[counterpart(name, Task.REGRESSION) or ""] == pytest.approx(value), name


@pytest.mark.parametrize(
    ("searched", "task", "known"),
    [
        ("val_loss", Task.BINARY, "log_loss"),
        ("val_loss", Task.REGRESSION, "loss"),
        ("val_auc", Task.MULTICLASS, "auc"),
        ("val_f1", Task.BINARY, None),
        ("val_r2", Task.BINARY, None),
        ("accuracy", Task.BINARY, None),
    ],
)
def test_a_searched_metric_is_found_by_its_name(searched: str, task: Task, known: str | None) -> None:
    assert counterpart(searched, task) == known


ONE_CLASS = (np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([0, 0]), Task.BINARY)
CERTAIN = (np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 1]), Task.MULTICLASS)
CLASS_MISSING = (odds(30, 4)[0], odds(30, 3)[1], Task.MULTICLASS)
CONSTANT = (np.array([1.0, 2.0, 3.0]), np.ones(3), Task.REGRESSION)
ONE_ROW = (np.array([1.0]), np.array([2.0]), Task.REGRESSION)
PERFECT = (np.arange(20.0), np.arange(20.0), Task.REGRESSION)


@pytest.mark.parametrize("case", [ONE_CLASS, CERTAIN, CLASS_MISSING, CONSTANT, ONE_ROW, PERFECT])
def test_poor_rows_have_finite_scores_with_the_value_in_its_interval(case: tuple[Any, Any, Task]) -> None:
    prediction, target, task = case
    found = score(Judged(prediction, target, task), target, searched=("val_loss", 0.1), by=("c", target))
    assert found.metrics
    for name, one in found.metrics.items():
        numbers = [value for value in (one.value, one.low, one.high) if value is not None]
        assert all(map(math.isfinite, numbers)), name
        assert one.holds(one.value), name
    assert Scores.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found


def test_what_rows_do_not_define_is_left_out_and_said() -> None:
    one_class = score(Judged(*ONE_CLASS), np.array([0, 1]))
    assert "auc" not in one_class.metrics
    assert "there is no AUC: all test rows are of one class" in one_class.notes
    constant = score(Judged(*CONSTANT), np.ones(3))
    assert "r2" not in constant.metrics
    assert "there is no R2: the target is the same in all test rows" in constant.notes


def test_a_threshold_moves_labels_and_leaves_probabilities() -> None:
    usual, moved = (measure(TWO, TWO_TARGET, Task.BINARY, threshold=one) for one in (None, 0.25))
    assert usual["log_loss"] == moved["log_loss"]
    assert moved["accuracy"] == 0.75


def test_predictions_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(RefusedError, match="NaN or infinity for 1 of 2 test rows"):
        measure(np.array([1.0, math.nan]), np.array([1.0, 2.0]), Task.REGRESSION)


@pytest.mark.parametrize("prediction", [np.zeros(2), np.zeros((3, 2)), np.full((2, 1), 1.0)])
def test_predictions_of_another_shape_are_told(prediction: Any) -> None:
    with pytest.raises(ValueError, match=r"shape|index"):
        measure(prediction, np.array([0, 1]), Task.BINARY)


def test_the_baseline_knows_the_training_target_alone() -> None:
    train = np.array([0, 0, 0, 1])
    found = score(Judged(TWO, TWO_TARGET, Task.BINARY), train)
    assert found.baseline["log_loss"] == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2)
    assert found.baseline["accuracy"] == 0.5
    values = score(Judged(np.array([1.0, 2.0]), np.array([1.0, 4.0]), Task.REGRESSION), np.array([3.0, 5.0]))
    assert values.baseline["mae"] == pytest.approx((3 + 0) / 2)


@pytest.mark.parametrize(
    ("searched", "found", "gap"), [("val_accuracy", 0.9, 0.4), ("val_loss", 0.1, None), ("val_accuracy", 0.2, -0.3)]
)
def test_optimism_is_positive_where_the_search_looked_better(searched: str, found: float, gap: float | None) -> None:
    told = score(Judged(TWO, TWO_TARGET, Task.BINARY), TWO_TARGET, searched=(searched, found)).optimism
    assert told is not None
    assert told.gap is not None
    assert told.gap == pytest.approx(measure(TWO, TWO_TARGET, Task.BINARY)["log_loss"] - 0.1 if gap is None else gap)


def test_a_searched_metric_without_a_counterpart_is_said() -> None:
    told = score(Judged(TWO, TWO_TARGET, Task.BINARY), TWO_TARGET, searched=("val_f1", 0.5))
    assert told.main == "log_loss"
    assert told.optimism is not None
    assert (told.optimism.metric, told.optimism.gap) == (None, None)
    assert any("val_f1" in note for note in told.notes)


def test_each_class_has_its_recall_and_precision() -> None:
    label = np.array([0, 0, 1, 1, 1, 0])
    found = score(
        Judged(np.eye(3)[label], np.array([0, 0, 1, 1, 0, 1]), Task.MULTICLASS), label, classes=("a", "b", "c")
    )
    first, second, third = found.classes
    assert (first.name, first.rows, first.given) == ("a", 3, 3)
    assert first.recall is not None
    assert first.recall.value == pytest.approx(2 / 3)
    assert second.precision is not None
    assert second.precision.value == pytest.approx(2 / 3)
    assert (third.recall, third.precision) == (None, None)


def group_case(values: Any, wrong: Any) -> Scores:
    target = np.zeros(len(values), np.int64)
    said = np.where(wrong[:, None], [[0.1, 0.9]], [[0.9, 0.1]])
    return score(
        Judged(said, target, Task.BINARY), np.array([0, 1]), searched=("val_accuracy", 1.0), by=("town", values)
    )


def test_the_worst_group_is_named_among_those_with_twenty_rows() -> None:
    values = np.array(["a"] * 30 + ["b"] * 25 + ["c"] * 3, dtype=object)
    wrong = np.array([True] * 3 + [False] * 27 + [True] * 10 + [False] * 15 + [True] * 3)
    groups = group_case(values, wrong).groups
    assert groups is not None
    assert [(one.name, one.rows) for one in groups.groups] == [("a", 30), ("b", 25), ("c", 3)]
    assert groups.worst is not None
    assert groups.worst.name == "b"
    assert groups.worst.score is not None
    assert groups.worst.score.value == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["x", None, "x", float("nan")] * 10, ["x", "(missing)"]),
        ([True, False, False] * 10, ["False", "True"]),
        ([1.5, 2.0, 2.0] * 10, ["2", "1.5"]),
        ([*range(40)], ["0 to 10", "11 to 20", "21 to 29", "30 to 39"]),
        ([*range(40), pd.NA], ["0 to 10", "11 to 20", "21 to 29", "30 to 39", "(missing)"]),
        (["only"] * 8, ["only"]),
    ],
)
def test_groups_are_values_or_quarters_of_many_numbers(values: list[Any], names: list[str]) -> None:
    found = group_case(np.array(values, dtype=object), np.zeros(len(values), bool)).groups
    assert found is not None
    assert sorted(one.name for one in found.groups) == sorted(names)
    assert sum(one.rows for one in found.groups) == len(values)


def test_many_texts_leave_the_smallest_groups_out_and_say_how_many() -> None:
    values = np.array([f"t{row}" for row in range(45)] + ["t7"] * 3, dtype=object)
    found = group_case(values, np.zeros(len(values), bool)).groups
    assert found is not None
    assert (found.groups[0].name, len(found.groups), found.left_out) == ("t7", 20, 25)


def test_the_worst_group_is_looked_for_among_the_smaller_ones_too() -> None:
    values = np.array([f"t{row % 21}" for row in range(21 * 30)] + ["bad"] * 25 + ["few"] * 5, dtype=object)
    found = group_case(values, np.isin(values, ["bad", "few"])).groups
    assert found is not None
    assert found.worst is not None
    assert (found.worst.name, len(found.groups), found.left_out) == ("bad", 21, 2)


def test_the_worst_class_is_looked_for_among_the_smaller_ones_too() -> None:
    """The third is found least, the fourth is given too often; ten rows of a fifth are no class to judge."""
    target = np.repeat(np.arange(5), [30, 30, 20, 20, 10])
    label = np.repeat([0, 1, 2, 3, 0], [30, 30, 5, 35, 10])
    found = by_class(Judged(np.eye(5)[label], target, Task.MULTICLASS), (), most=2)
    assert [one.name for one in found] == ["0", "1", "2", "3"]


def test_the_same_seed_gives_the_same_scores() -> None:
    given, target = odds(100, 3)
    two = [score(Judged(given, target, Task.MULTICLASS), target, seed=4) for _ in range(2)]
    assert two[0] == two[1]
    assert score(Judged(given, target, Task.MULTICLASS), target, seed=5).metrics != two[0].metrics


def test_every_measure_has_a_direction() -> None:
    given, target = odds(50, 2)
    for name in (*measure(given, target, Task.BINARY), *measure(given[:, 0], given[:, 1], Task.REGRESSION)):
        assert DIRECTIONS[name] in ("minimize", "maximize")


def test_without_an_interval_every_value_is_held() -> None:
    assert Estimate(0.5).holds(9.0)
    assert not Estimate(0.5, 0.4, 0.6).holds(0.61)
