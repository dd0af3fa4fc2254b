"""Intervals hold: they cover the truth as often as they say, on rows drawn by a known rule, and know their limits.

Mutations that turn these red: percentiles of the bootstrap in place of its studentised form; Wald's interval in place
of Wilson's; no allowance for mistakes that a small test part does not show; DeLong's error alone; each row of a draw
counted once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from search.contract import Task
from search.promote.certainty import intervals
from search.promote.intervals import MIN_ROWS, area, exact, mean_of, studentised, wilson
from search.promote.measures import Judged, Measured, measure, measured, smooth

TIMES = 100


def binary(random: np.random.Generator, rows: int) -> Judged:
    """Return rows of two classes that a logistic rule draws, and a model that is somewhat too sure of them."""
    logit = 3 * random.normal(size=rows)
    target = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    said = 1 / (1 + np.exp(-1.3 * logit))
    return Judged(np.stack([1 - said, said], axis=1), target, Task.BINARY)


def several(random: np.random.Generator, rows: int) -> Judged:
    """Return rows of six classes, most of which are easy."""
    target = random.integers(6, size=rows)
    near = random.normal(size=(rows, 6))
    near[np.arange(rows), target] += 2.5
    said = np.exp(2 * near)
    return Judged(said / said.sum(axis=1, keepdims=True), target, Task.MULTICLASS)


def values(random: np.random.Generator, rows: int) -> Judged:
    """Return values with errors of heavy tails."""
    target = random.normal(size=rows)
    return Judged(target + 0.8 * random.standard_t(8, size=rows), target, Task.REGRESSION)


@pytest.mark.parametrize(("draw", "rows"), [(binary, 40), (several, 60), (values, 120)])
def test_the_truth_lies_within_as_often_as_is_said(draw: Any, rows: int) -> None:
    """Of 100 intervals of 95 %, 95 are expected to cover; fewer than 88 would be had by chance once in 600 times."""
    everything = draw(np.random.default_rng(1), 100_000)
    truth = measure(everything.prediction, everything.target, everything.task)
    random = np.random.default_rng(2)
    covered = dict.fromkeys(truth, 0)
    for _ in range(TIMES):
        for name, limits in intervals(draw(random, rows)).items():
            assert limits is not None
            covered[name] += limits.low <= truth[name] <= limits.high
    assert min(covered.values()) >= 88, covered


@pytest.mark.parametrize(
    ("hits", "rows", "low", "high"), [(10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (81, 263, 0.2553, 0.3662)]
)
def test_wilsons_interval_is_the_published_one(hits: int, rows: int, low: float, high: float) -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I."""
    assert wilson(hits, rows) == pytest.approx((low, high), abs=1e-4)


def test_clopper_and_pearsons_interval_is_the_published_one() -> None:
    """The same table, method 5."""
    assert exact(81, 263) == pytest.approx((0.2527, 0.3676), abs=1e-4)
    assert exact(0, 10) == pytest.approx((0.0, 0.3085), abs=1e-4)


def test_a_skewed_mean_reaches_further_to_where_its_rare_rows_are() -> None:
    """Means of 40 exponential rows: the exact interval reaches 1.6 times as far above as below (a gamma's)."""
    losses = -np.log(1 - (np.arange(40) + 0.5) / 40)
    [limits] = studentised([Measured(float(losses.mean()), losses - losses.mean())], seed=0)
    assert limits is not None
    above, below = limits.high - losses.mean(), losses.mean() - limits.low
    assert 1.3 < above / below < 2.5


def test_a_mean_of_two_is_surer_than_either_unless_they_go_together() -> None:
    one = wilson(50, 100)
    apart = mean_of([0.5, 0.5], [one, one])
    together = mean_of([0.5, 0.5], [one, one], np.ones((2, 2)))
    assert together == pytest.approx(one)
    assert apart.high - apart.low == pytest.approx((one.high - one.low) / 2**0.5)


@pytest.mark.parametrize(("positives", "negatives"), [(5, 30), (40, 75), (400, 600)])
def test_a_perfect_order_has_an_interval_with_a_width(positives: int, negatives: int) -> None:
    limits = area(1.0, positives, negatives, 0.0)
    assert limits.high == 1.0
    assert 0.5 < limits.low < 1.0
    assert limits.low == pytest.approx(1 - area(0.0, positives, negatives, 0.0).high, abs=1e-9)


def test_rows_without_a_mistake_do_not_promise_that_there_is_none() -> None:
    said = np.tile([[0.95, 0.05]], (30, 1))
    found = intervals(Judged(said, np.zeros(30, np.int64), Task.BINARY))
    log_loss = found["log_loss"]
    assert log_loss is not None
    assert log_loss.low == pytest.approx(-np.log(0.95))
    unseen = 1 - wilson(30, 30).low
    assert log_loss.high == pytest.approx(-np.log(0.95) + unseen * -np.log(0.05))


@pytest.mark.parametrize("rows", [1, 2, MIN_ROWS - 1, MIN_ROWS])
def test_few_rows_have_no_bootstrap(rows: int) -> None:
    found = intervals(values(np.random.default_rng(0), rows))
    assert (found["mae"] is None) == (rows < MIN_ROWS)
    assert intervals(binary(np.random.default_rng(0), rows))["accuracy"] is not None


def test_blocks_of_many_rows_say_what_the_rows_say() -> None:
    """More than 2,000 rows are drawn in blocks; the interval is the normal one there."""
    judged = values(np.random.default_rng(3), 50_000)
    for name, limits in intervals(judged).items():
        found = measured(judged, name)
        assert found is not None
        assert limits is not None
        half = 1.96 * found.influence.std() / 50_000**0.5
        assert (found.value - limits.low, limits.high - found.value) == pytest.approx((half, half), rel=0.12), name


@pytest.mark.parametrize("draw", [binary, several, values])
def test_what_rows_add_is_what_leaving_them_out_takes(draw: Any) -> None:
    """An influence is the jackknife's to first order: (rows - 1) times what the measure loses without the row."""
    judged = draw(np.random.default_rng(5), 400)
    for name in smooth(judged.task):
        whole = measured(judged, name)
        assert whole is not None
        assert whole.influence.mean() == pytest.approx(0, abs=1e-9)
        for row in (0, 17, 399):
            without = measured(judged.of(np.delete(np.arange(400), row)), name)
            assert without is not None
            assert 399 * (whole.value - without.value) == pytest.approx(whole.influence[row], abs=0.05), name


def test_an_image_of_order_turns_the_area_around() -> None:
    judged = binary(np.random.default_rng(6), 80)
    turned = Judged(judged.prediction[:, ::-1], judged.target, Task.BINARY)
    one, other = intervals(judged)["auc"], intervals(turned)["auc"]
    assert one is not None
    assert other is not None
    assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low), abs=1e-9)
