"""The test by betting: fair to the last bit, never wrong too often however one looks, and quick to see who is better.

Mutations that turn these red: let money that a row moves gain by that row; take a stake from nowhere (leave `waiting`
as it was); begin with more than 1; let differences beyond 1 in; put nothing at stake after the first row, or as much
after long stretches in which the champion was better as after others (`_SIGNAL` of 0); forget `time`, `signal` or `low`
in JSON; spend the same level on every test (`needed`).
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import pytest

from search.online.betting import PairedTest, needed, passes
from search.online.events import Array

Chances: TypeAlias = Sequence[tuple[float, float]]
"""(difference, probability) of the next row."""


def fair(past: tuple[float, ...]) -> Chances:
    return [(1.0, 1 / 3), (0.0, 1 / 3), (-1.0, 1 / 3)]


def skewed(past: tuple[float, ...]) -> Chances:
    return [(1.0, 0.1), (-1 / 9, 0.9)]


def dependent(past: tuple[float, ...]) -> Chances:
    """What comes next depends on how it went, and is fair all the same."""
    up = 1.0 if sum(past) > 0 else 0.5
    down = 0.25 if len(past) % 2 else 1.0
    return [(up, down / (up + down)), (-down, up / (up + down))]


def expectation(
    test: PairedTest, chances: Callable[[tuple[float, ...]], Chances], rows: int, past: tuple[float, ...] = ()
) -> float:
    """Return the expected capital after so many rows more, over all ways in which they can come."""
    if not rows:
        return math.exp(test.log_evidence)
    total = 0.0
    for difference, probability in chances(past):
        after = copy.deepcopy(test)
        after.update(difference)
        total += probability * expectation(after, chances, rows - 1, (*past, difference))
    return total


def after(differences: Sequence[float]) -> PairedTest:
    test = PairedTest()
    for one in differences:
        test.update(float(one))
    return test


def three_ways(seed: int, rows: int, up: float, down: float) -> list[float]:
    drawn = np.random.default_rng(seed).choice([1.0, -1.0, 0.0], rows, p=[up, down, 1 - up - down])
    return [float(one) for one in drawn]


def rows_until(test: PairedTest, differences: Sequence[float], bar: float) -> int:
    """Return after how many rows it passes the bar."""
    for row, one in enumerate(differences, start=1):
        test.update(one)
        if test.log_evidence >= bar:
            return row
    raise AssertionError(f"it has {test.log_evidence:.2f} after {len(differences)} rows, {bar:.2f} were needed")


@pytest.mark.parametrize(("chances", "rows"), [(fair, 6), (skewed, 9), (dependent, 9)])
@pytest.mark.parametrize("before", [[], [1.0] * 4, [1.0, -1.0, 0.2] * 40, [1.0] * 30 + [-0.3] * 60 + [0.5] * 8])
def test_what_is_fair_neither_gains_nor_loses_whatever_happened_before(
    chances: Callable[[tuple[float, ...]], Chances], rows: int, before: list[float]
) -> None:
    test = after(before)
    assert expectation(test, chances, rows) == pytest.approx(math.exp(test.log_evidence), rel=1e-12)


def test_a_competitor_that_is_worse_is_expected_to_lose() -> None:
    worse = expectation(PairedTest(), lambda past: [(1.0, 0.3), (-1.0, 0.4), (0.0, 0.3)], 6)
    assert worse < 1 - 1e-3


def test_the_capital_is_one_before_any_row() -> None:
    test = PairedTest()
    assert test.log_evidence == pytest.approx(0.0, abs=1e-15)
    assert (test.rows, test.since) == (0, 0)


def streams_without_a_better_one(kind: str, count: int, rows: int, seed: int) -> Array:
    """(count, rows) differences, of expectation 0 given those before."""
    random = np.random.default_rng(seed)
    if kind == "equal often":
        return np.array([1.0, 0.0, -1.0])[random.choice(3, (count, rows), p=[0.2, 0.6, 0.2])]
    if kind == "one rare large gain":
        return np.where(random.random((count, rows)) < 0.02, 1.0, -0.02 / 0.98)
    if kind == "one rare large loss":
        return np.where(random.random((count, rows)) < 0.02, -1.0, 0.02 / 0.98)
    if kind == "hardly any difference":
        return random.uniform(-1e-3, 1e-3, (count, rows))
    signs = random.choice([1.0, -1.0], (count, rows))  # "louder after a gain": sizes depend on what came before
    sizes = np.full((count, rows), 0.1)
    for row in range(1, rows):
        sizes[:, row] = np.where(signs[:, row - 1] > 0, np.minimum(2 * sizes[:, row - 1], 1.0), 0.1)
    louder: Array = signs * sizes
    return louder


@pytest.mark.parametrize(
    "kind",
    ["equal often", "one rare large gain", "one rare large loss", "hardly any difference", "louder after a gain"],
)
def test_looked_at_after_every_row_it_is_wrong_no_more_often_than_its_level(kind: str) -> None:
    alpha, count = 0.1, 400
    wrong = 0
    for stream in streams_without_a_better_one(kind, count, 250, seed=11):
        test = PairedTest()
        for one in stream.tolist():
            test.update(one)
            if test.log_evidence >= math.log(1 / alpha):
                wrong += 1
                break
    assert wrong <= alpha * count + 2 * math.sqrt(alpha * (1 - alpha) * count)


@pytest.mark.parametrize(
    ("up", "down", "seed"), [(0.5, 0.2, 0), (0.4, 0.1, 1), (0.3, 0.0, 2), (0.1, 0.05, 3), (0.6, 0.4, 4)]
)
def test_from_the_start_it_grows_as_the_best_fixed_bet_would_but_for_some_nats(
    up: float, down: float, seed: int
) -> None:
    stream = three_ways(seed, 1500, up, down)
    grid = np.linspace(0.01, 0.95, 95)
    best = max(float(np.log1p(share * np.array(stream)).sum()) for share in grid)
    assert after(stream).log_evidence >= 0.93 * best - 4.5


@pytest.mark.parametrize("seed", range(3))
def test_who_is_better_from_the_start_is_seen_within_eighty_rows(seed: int) -> None:
    bar = needed(0.05, 1)
    assert rows_until(PairedTest(), three_ways(seed, 500, 0.35, 0.05), bar) <= 80


@pytest.mark.parametrize(
    ("quiet", "most"),
    [
        ("equal", 50),
        ("hardly any difference", 50),
        ("now and then", 80),
        ("the champion is better", 80),
    ],
)
def test_after_ten_thousand_quiet_rows_a_drop_of_the_champion_is_seen_soon(quiet: str, most: int) -> None:
    random = np.random.default_rng(5)
    before = {
        "equal": np.zeros(10_000),
        "hardly any difference": random.normal(0, 0.01, 10_000),
        "now and then": random.choice([1.0, 0.0, -1.0], 10_000, p=[0.02, 0.96, 0.02]),
        "the champion is better": random.choice([1.0, 0.0, -1.0], 10_000, p=[0.1, 0.5, 0.4]),
    }[quiet]
    quiet_life = after(before.tolist())
    assert not passes(quiet_life.log_evidence, 0.05, 1)
    taken = [
        rows_until(copy.deepcopy(quiet_life), three_ways(seed, 500, 0.3, 0.0), needed(0.05, 1)) for seed in range(9)
    ]
    assert np.median(taken) <= most


def test_evidence_began_about_when_the_competitor_got_better() -> None:
    test = after(three_ways(0, 3000, 0.05, 0.1))
    for one in three_ways(1, 200, 0.4, 0.05):
        test.update(one)
    assert 170 <= test.since <= 230
    assert test.rows == 3200


def test_a_long_run_of_gains_stays_finite_and_what_follows_counts() -> None:
    test = after([1.0] * 5_000)
    most = test.log_evidence
    assert math.isfinite(most)
    for _ in range(50):
        test.update(-1.0)
    assert test.log_evidence < most - 5


def test_a_long_run_of_losses_costs_what_was_at_stake_and_no_more() -> None:
    test = after([-1.0] * 5_000)
    assert math.log(0.5) - 1e-9 <= test.log_evidence < 0


@pytest.mark.parametrize("difference", [1.0001, -1.0001, math.nan, math.inf])
def test_only_differences_of_losses_are_taken(difference: float) -> None:
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        PairedTest().update(difference)


@pytest.mark.parametrize("rows", [0, 1, 50, 2_000])
def test_kept_as_json_it_goes_on_as_if_nothing_had_been(rows: int) -> None:
    stream = three_ways(7, rows + 300, 0.3, 0.2)
    test = after(stream[:rows])
    again = PairedTest.from_json(json.loads(json.dumps(test.to_json(), allow_nan=False)))
    for one in stream[rows:]:
        test.update(one)
        again.update(one)
        assert (again.log_evidence, again.since, again.rows) == (test.log_evidence, test.since, test.rows)
    assert again.to_json() == test.to_json()


def test_json_of_other_accounts_is_refused() -> None:
    told = PairedTest().to_json()
    del told["accounts"][0]
    with pytest.raises(ValueError, match="9 accounts were expected, got 8"):
        PairedTest.from_json(told)


def test_all_tests_of_a_life_together_spend_the_level() -> None:
    spent = [math.exp(-needed(0.05, number)) for number in range(1, 10_000)]
    assert sum(spent) == pytest.approx(0.05, rel=2e-4)
    assert spent[0] == pytest.approx(0.025)
    assert passes(needed(0.05, 3), 0.05, 3)
    assert not passes(needed(0.05, 3) - 1e-9, 0.05, 3)


@pytest.mark.parametrize(("alpha", "number"), [(0.0, 1), (1.0, 1), (math.nan, 1), (0.05, 0)])
def test_a_level_and_a_number_that_are_none_are_refused(alpha: float, number: int) -> None:
    with pytest.raises(ValueError, match="were expected"):
        needed(alpha, number)
