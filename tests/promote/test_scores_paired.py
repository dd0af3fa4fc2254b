"""Two models on the same rows: who is better, and how sure that is.

Mutations that turn these red: subtract losses the wrong way round; take the rows for two different samples; leave out
the sign of a metric that is minimized.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from search.contract import Task
from search.errors import InputError
from search.promote.measures import smooth
from search.promote.paired import Difference, paired


def two_models(rows: int, *, better: float, seed: int, second: int | None = None) -> tuple[Any, Any, Any]:
    """Return two models of the same rows, and their classes; ours knows more by `better`."""
    random = np.random.default_rng(seed)
    target = random.integers(2, size=rows) if second is None else (np.arange(rows) < second).astype(np.int64)
    shared = random.normal(size=rows)
    logits = [(1 + more) * (2 * target - 1) + shared + 0.3 * random.normal(size=rows) for more in (better, 0.0)]
    ours, theirs = (1 / (1 + np.exp(-one)) for one in logits)
    return np.stack([1 - ours, ours], axis=1), np.stack([1 - theirs, theirs], axis=1), target


@pytest.mark.parametrize("metric", smooth(Task.BINARY))
def test_the_better_of_two_classifiers_gains(metric: str) -> None:
    found = paired(metric, *two_models(300, better=0.8, seed=0), task=Task.BINARY)
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < found.gain < found.high
    assert abs(found.ours - found.theirs) == pytest.approx(found.gain)


@pytest.mark.parametrize("metric", smooth(Task.REGRESSION))
def test_the_better_of_two_regressions_gains_and_the_other_loses_as_much(metric: str) -> None:
    random = np.random.default_rng(1)
    target = random.normal(size=200)
    ours, theirs = target + 0.3 * random.normal(size=200), target + random.normal(size=200)
    won = paired(metric, ours, theirs, target, task=Task.REGRESSION)
    lost = paired(metric, theirs, ours, target, task=Task.REGRESSION)
    assert won.low is not None
    assert won.low > 0
    assert lost.gain == pytest.approx(-won.gain)
    assert lost.high is not None
    assert lost.high < 0


@pytest.mark.parametrize("metric", smooth(Task.BINARY))
def test_a_model_neither_gains_nor_loses_against_itself(metric: str) -> None:
    ours, _, target = two_models(50, better=0, seed=2)
    found = paired(metric, ours, ours, target, task=Task.BINARY)
    assert (found.gain, found.low, found.high) == (0, 0, 0)


def test_a_difference_of_accuracies_is_the_published_one() -> None:
    """Newcombe 1998, paired data, table II: 36 both, 12 ours, 2 theirs, 0 neither: 0.0569 to 0.3404 by method 10."""
    hits = [(True, True)] * 36 + [(True, False)] * 12 + [(False, True)] * 2
    ours, theirs = (np.array([[0.1, 0.9] if one[side] else [0.9, 0.1] for one in hits]) for side in (0, 1))
    found = paired("accuracy", ours, theirs, np.ones(50, np.int64), task=Task.BINARY)
    assert (found.gain, found.low, found.high) == pytest.approx((0.2, 0.0569, 0.3404), abs=1e-4)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "auc", "log_loss"])
def test_no_difference_is_told_apart_about_one_time_in_twenty(metric: str) -> None:
    apart = 0
    for seed in range(100):
        found = paired(metric, *two_models(80, better=0, seed=seed), task=Task.BINARY)
        assert found.low is not None
        assert found.high is not None
        apart += not found.low <= 0 <= found.high
    assert apart <= 12


@pytest.mark.parametrize("second", [2, 4, 8])
def test_few_rows_of_a_class_do_not_tell_equal_models_apart(second: int) -> None:
    apart = 0
    for seed in range(200):
        found = paired("auc", *two_models(60, better=0, seed=seed, second=second), task=Task.BINARY)
        assert found.low is not None
        apart += found.low > 0
    assert apart <= 6
    lonely = paired("auc", *two_models(60, better=0, seed=0, second=1), task=Task.BINARY)
    assert (lonely.low, lonely.high) == (None, None)


def test_rows_in_pairs_are_surer_than_two_samples() -> None:
    """Models that err on the same rows: the interval is far narrower than those of the two values."""
    found = paired("log_loss", *two_models(300, better=0.1, seed=3), task=Task.BINARY)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low < 0.1


def test_what_theirs_loses_by_on_a_few_rows_may_be_more_on_others() -> None:
    """Their rare large errors make the gain skewed upwards, though the metric is minimized."""
    target = np.zeros(40)
    theirs = -np.log(1 - (np.arange(40) + 0.5) / 40)
    found = paired("mae", target, theirs, target, task=Task.REGRESSION)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.gain > 1.3 * (found.gain - found.low)


def test_thresholds_belong_to_their_models() -> None:
    said, target = np.array([[0.7, 0.3]] * 10), np.ones(10, np.int64)
    found = paired("accuracy", said, said, target, task=Task.BINARY, thresholds=(0.2, None))
    assert (found.ours, found.theirs, found.gain) == (1.0, 0.0, 1.0)


def test_what_cannot_be_compared_is_told_with_what_can() -> None:
    ours, theirs, target = two_models(20, better=0, seed=0)
    with pytest.raises(InputError, match="known: accuracy, balanced_accuracy, auc, log_loss, brier"):
        paired("calibration_error", ours, theirs, target, task=Task.BINARY)
    with pytest.raises(InputError, match="not defined on these test rows"):
        paired("auc", ours, theirs, np.zeros(20, np.int64), task=Task.BINARY)


def test_a_difference_comes_back_from_json() -> None:
    found = paired("auc", *two_models(40, better=0.5, seed=0), task=Task.BINARY)
    assert Difference.from_json(json.loads(json.dumps(found.to_json()))) == found
