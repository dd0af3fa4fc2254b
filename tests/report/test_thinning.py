"""Which points of many are drawn, and what an axis shows at first."""

from __future__ import annotations

import numpy as np
import pytest

from search.records.reports import Reports
from search.report.scale import Scale, scale_of
from search.report.sofar import at_steps, best_so_far, first_from
from search.report.thinning import said, thinned


def test_few_points_are_all_drawn_but_for_those_that_are_not_finite() -> None:
    x, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, np.nan, np.inf, 2.0])
    assert thinned(x, y).tolist() == [0, 3]
    assert said(2, 2) == ""


def test_of_many_points_extremes_ends_and_what_is_kept_are_drawn() -> None:
    dice = np.random.default_rng(0)
    x, y = np.arange(50_000, dtype=float), dice.normal(size=50_000)
    keep = np.zeros(50_000, bool)
    keep[[17, 18, 19]] = True
    drawn = thinned(x, y, keep=keep, most=400)
    assert {0, 49_999, 17, 18, 19, int(y.argmin()), int(y.argmax())} <= set(drawn.tolist())
    assert len(drawn) <= 400 + 5
    assert (np.diff(drawn) > 0).all()
    assert said(len(drawn), 50_000).startswith(f"{len(drawn)} of 50,000 points are drawn: ")


def test_a_cloud_stays_a_cloud() -> None:
    dice = np.random.default_rng(0)
    drawn = thinned(np.arange(100_000.0), y := dice.uniform(size=100_000), most=1_000)
    middle = np.count_nonzero((y[drawn] > 0.2) & (y[drawn] < 0.8))
    assert middle > 0.2 * len(drawn)


def test_points_at_one_place_are_thinned_too() -> None:
    assert len(thinned(np.zeros(10_000), np.arange(10_000.0), most=100)) <= 105


SCALES = [
    ("nothing", [], 1.0, None, Scale()),
    ("even", [1.0, 2.0, 3.0], 1.0, None, Scale()),
    ("far out on the worse side", [*range(1, 21), 1e6], 1.0, None, Scale(False, 1.0, 20.0, 1)),
    ("far out where more is better", [*range(-20, 0), -1e6], -1.0, None, Scale(False, -20.0, -1.0, 1)),
    ("far out on the better side is shown", [*range(1, 21), -1e6], 1.0, None, Scale()),
    ("few are never far out", [1.0, 2.0, 1e6, -5.0], 1.0, None, Scale()),
    ("decades", [0.01, 0.1, 1.0, 10.0], 1.0, None, Scale(True, 0.01, 10.0)),
    ("not all positive", [0.0, 0.1, 1.0, 10.0], 1.0, None, Scale()),
    ("not finite", [1.0, float("nan"), float("inf"), 3.0], 1.0, None, Scale()),
    ("a baseline near", [1.0, 2.0, 3.0], 1.0, 4.0, Scale(beside=True)),
    ("a baseline far off", [1.0, 2.0, 3.0], 1.0, 40.0, Scale()),
    ("a baseline of 0 on a log axis", [0.01, 0.1, 1.0, 10.0], 1.0, 0.0, Scale(True, 0.01, 10.0)),
]


@pytest.mark.parametrize(
    ("values", "sign", "beside", "expected"), [one[1:] for one in SCALES], ids=[one[0] for one in SCALES]
)
def test_an_axis_shows_the_best_and_is_not_squashed(
    values: list[float], sign: float, beside: float | None, expected: Scale
) -> None:
    found = scale_of(np.array(values, float), sign=np.float64(sign), beside=beside)
    assert {type(one) for one in found} <= {bool, int, float, type(None)}
    assert (found.log, found.beyond, found.beside) == (expected.log, expected.beyond, expected.beside)
    assert found.low == pytest.approx(expected.low)
    assert found.high == pytest.approx(expected.high)


def test_what_lies_beyond_is_said() -> None:
    assert Scale().said("trial") == ""
    assert Scale(False, 0.0, 1.0, 1).said("trial").startswith("1 trial lies far beyond")
    assert Scale(False, 0.0, 1.0, 1_200).said("trial").startswith("1,200 trials lie far beyond")


def test_an_axis_has_room_at_both_ends() -> None:
    assert Scale().axis() == {}
    assert Scale(False, 0.0, 10.0, 1).axis() == {"range": [-0.5, 10.5]}
    assert Scale(True, 0.01, 1.0).axis() == {
        "range": [pytest.approx(-2.1), pytest.approx(0.1)],
        "type": "log",
        "dtick": 1,
    }


def test_the_best_so_far_begins_anew_with_each_trial() -> None:
    losses = np.array([3.0, np.nan, 1.0, 2.0, np.nan, 5.0, 6.0])
    found = best_so_far(losses, np.array([0, 0, 0, 0, 2, 2, 2]))
    np.testing.assert_array_equal(found, [3.0, 3.0, 1.0, 1.0, np.nan, 5.0, 5.0])


def test_what_stood_at_a_step_is_the_last_report_at_or_before_it() -> None:
    reports = Reports(np.array([0, 0, 1, 1, 3]), np.array([1, 3, 2, 9, 4]), {}, np.array([0, 2, 4, 4, 5]))
    values = np.array([10.0, 30.0, 12.0, 19.0, 34.0])
    asked = [(0, 1, 10.0), (0, 2, 10.0), (0, 99, 30.0), (1, 1, np.nan), (1, 8, 12.0), (2, 5, np.nan), (3, 3, np.nan)]
    trials, steps, expected = (np.array(column) for column in zip(*asked, strict=True))
    np.testing.assert_array_equal(at_steps(reports, values, trials.astype(int), steps.astype(int)), expected)
    assert np.isnan(at_steps(_no_reports(reports), np.array([]), np.array([0]), np.array([1]))).all()


def test_the_first_report_from_a_step_on_is_of_the_trial_itself() -> None:
    reports = Reports(np.array([0, 0, 1, 1, 3]), np.array([1, 3, 2, 9, 4]), {}, np.array([0, 2, 4, 4, 5]))
    asked = [(0, 1, 0), (0, 2, 1), (0, 4, -1), (1, 0, 2), (1, 3, 3), (1, 99, -1), (2, 1, -1), (3, 4, 4), (3, 5, -1)]
    trials, steps, expected = (np.array(column) for column in zip(*asked, strict=True))
    np.testing.assert_array_equal(first_from(reports, trials, steps), expected)
    assert first_from(_no_reports(reports), np.array([0]), np.array([1])).tolist() == [-1]


def _no_reports(reports: Reports) -> Reports:
    none = np.array([], np.int64)
    return Reports(none, none, {}, reports.starts * 0)
