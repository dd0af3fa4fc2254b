"""What fresh trainings say of candidates, by figures that were worked out apart."""

from __future__ import annotations

import json
import math

import pytest

from search.promote.means import interval, welch
from search.promote.standings import Optimism, Sample, Standings, optimism, standings

FAR = Sample(88, 0.30, (0.31, 0.32, 0.33), cost_s=6.0)
NEAR = Sample(41, 0.31, (0.32, 0.33, 0.34), cost_s=2.0)
POOR = Sample(7, 0.35, (0.90, 0.91, 0.92), cost_s=1.0)


@pytest.mark.parametrize(
    ("values", "half"),
    [
        ((1.0, 3.0), 12.706205 * math.sqrt(2) / math.sqrt(2)),  # t of 1 degree, by the tables
        ((1.0, 2.0, 3.0), 4.302653 * 1.0 / math.sqrt(3)),  # of 2
        ((1.0, 2.0, 3.0, 2.0), 3.182446 * math.sqrt(2 / 3) / 2),  # of 3
        ((2.0, 2.0, 2.0), 0.0),
    ],
)
def test_a_mean_has_the_interval_of_student(values: tuple[float, ...], half: float) -> None:
    low, high = interval(values) or (0.0, 0.0)
    assert (low, high) == pytest.approx((2 - half, 2 + half), rel=1e-6)


def test_one_training_tells_of_no_noise() -> None:
    assert interval((0.5,)) is None
    assert welch((0.5,), (0.1, 0.2)) is None
    row = standings([Sample(0, 0.4, (0.5,))], "minimize").winner
    assert (row.deviation, row.low, row.high, row.best, row.equal) == (None,) * 5


def test_two_means_are_held_against_each_other_as_welch_does() -> None:
    one, other = (27.5, 21.0, 19.0, 23.6, 17.0, 17.9), (27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0)
    # scipy.stats.ttest_ind(other, one, equal_var=False).confidence_interval()
    assert welch(one, other) == pytest.approx((-1.696094, 6.696094), abs=1e-5)
    assert welch(other, one) == pytest.approx((-6.696094, 1.696094), abs=1e-5)
    assert welch((1.0, 1.0), (1.5, 1.5)) == (0.5, 0.5)


@pytest.mark.parametrize(("direction", "order"), [("minimize", [88, 41, 7]), ("maximize", [7, 41, 88])])
def test_the_best_mean_wins_whatever_the_search_found(direction: str, order: list[int]) -> None:
    found = standings([NEAR, POOR, FAR], direction)
    assert [row.number for row in found.rows] == order
    assert [row.number for row in found.equal] == [number for number in (41,) if direction == "minimize"]
    assert found.optimism is not None
    assert found.optimism.number == 41


def test_what_noise_hides_is_equal_and_what_trains_faster_is_cheaper() -> None:
    found = standings([FAR, NEAR, POOR], "minimize")
    assert [row.number for row in found.equal] == [41]
    assert [row.number for row in found.cheaper] == [41]
    best = {row.number: row.best or 0.0 for row in found.rows}
    # of two t posteriors with 2 degrees and one scale, 0.01 apart: by integration
    assert best[88] == pytest.approx(0.7967, abs=0.012)
    assert sum(best.values()) == pytest.approx(1, abs=1e-3)
    said = f"winner 88 (p = {best[88]:.2f}); 41 is equal within noise and trains 3 times faster"
    assert found.sentences("val_loss")[0] == said


@pytest.mark.parametrize("cost", [None, 5.0, 6.0, 20.0])
def test_what_is_hardly_faster_is_not_called_cheaper(cost: float | None) -> None:
    found = standings([FAR, Sample(41, 0.31, NEAR.values, cost_s=cost)], "minimize")
    assert [row.number for row in found.equal] == [41]
    assert found.cheaper == ()
    assert "faster" not in found.sentences("val_loss")[0]


def test_of_several_equal_ones_the_fastest_is_named() -> None:
    found = standings([FAR, NEAR, Sample(5, 0.3, (0.31, 0.325, 0.34), cost_s=4.0)], "minimize")
    assert [row.number for row in found.cheaper] == [41, 5]
    said = found.sentences("val_loss")[0]
    assert said.endswith("; 5 and 41 are equal within noise, and 41 trains 3 times faster")


def test_a_candidate_that_misses_a_constraint_wins_only_where_all_do() -> None:
    bad = Sample(1, 0.1, (0.1, 0.11), feasible=False)
    found = standings([bad, NEAR, FAR], "minimize")
    assert [row.number for row in found.rows] == [88, 41, 1]
    assert found.rows[-1].best == 0.0
    alone = standings([bad], "minimize")
    assert alone.winner.number == 1
    assert "no candidate keeps to the constraints when it is trained again" in alone.sentences("val_loss")


@pytest.mark.parametrize("size", [1e155, 1e300, 1.7e308])
def test_values_of_any_size_are_ranked(size: float) -> None:
    found = standings([FAR, Sample(1, 0.5, (size, size / 2, size)), Sample(2, 0.5, (size, -size))], "minimize")
    assert [row.number for row in found.rows] == [2, 88, 1]
    assert Standings.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found


def test_equal_values_share_the_first_place() -> None:
    found = standings([Sample(0, 0.5, (0.5, 0.5)), Sample(1, 0.5, (0.5, 0.5))], "minimize")
    assert [row.number for row in found.rows] == [0, 1]
    assert [row.best for row in found.rows] == [0.5, 0.5]
    assert found.rows[1].equal
    assert "every seed gives the same value: nothing in these trainings depends on the seed" in found.sentences("x")


@pytest.mark.parametrize(
    ("direction", "values", "expected"),
    [
        ("minimize", (0.4, 0.5, 0.6), (0.2, -0.048414, 0.448414)),
        ("maximize", (0.1, 0.2, 0.3), (0.1, -0.148414, 0.348414)),
        ("minimize", (0.2, 0.2, 0.2), (-0.1, -0.1, -0.1)),
        ("maximize", (0.5,), (-0.2, None, None)),
    ],
)
def test_a_search_is_optimistic_by_what_its_best_lacks_with_fresh_seeds(
    direction: str, values: tuple[float, ...], expected: tuple[float, float | None, float | None]
) -> None:
    found = optimism(Sample(3, 0.3, values), direction)
    assert (found.value, found.low, found.high) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            Optimism(17, 0.12, 0.131, 0.011, 0.007, 0.015),
            "; with fresh seeds it has 0.131: it looked 0.011 better than it is (95%: 0.007 to 0.015)",
        ),
        (
            Optimism(17, 0.12, 0.1, -0.02, -0.05, 0.01),
            "; with fresh seeds it has 0.1: it looked 0.02 worse than it is (95%: -0.01 to 0.05), which may be chance",
        ),
        (Optimism(17, 0.12, 0.12, 0.0, 0.0, 0.0), ", and has the same with fresh seeds"),
    ],
)
def test_the_optimism_is_told_in_a_sentence(found: Optimism, said: str) -> None:
    rows = standings([FAR], "minimize").rows
    sentences = Standings("minimize", rows, found).sentences("val_loss")
    assert sentences[-1] == f"trial 17, the search's own best, had val_loss 0.12 there{said}"


def test_standings_come_back_from_json_as_they_were() -> None:
    for one in (standings([FAR, NEAR, POOR], "minimize"), standings([Sample(0, 1.0, (1.5,))], "maximize")):
        assert Standings.from_json(json.loads(json.dumps(one.to_json()))) == one
