"""Ranks over pairs of parameters."""

from __future__ import annotations

from pathlib import Path

from optuna.distributions import FloatDistribution

from search.report.figures import rank
from tests.report.extremes import history_of, made, searched
from tests.report.standing import stands
from tests.report.test_slices import many

UNIT = FloatDistribution(0.0, 1.0)


def test_a_rank_is_the_share_of_better_trials_and_equals_share_one(tmp_path: Path) -> None:
    values = [0.5, 0.1, 0.5, 0.9, *(2.0 + n for n in range(7))]
    trials = [made(n, {"x": n / 11, "y": n % 3 / 3}, {"x": UNIT, "y": UNIT}, [one]) for n, one in enumerate(values)]
    found = rank.info(history_of(tmp_path, trials))
    assert {number: round(10 * share, 3) for number, share in found.ranks.items() if number < 4} == {
        0: 1.5,
        1: 0.0,
        2: 1.5,
        3: 3.0,
    }
    (pair,) = found.pairs
    assert (pair.number, found.front) == ([*range(11)], [1])
    assert rank.data(found)["share of better trials"][:2] == [0.15, 0.0]


def test_more_is_better_where_the_metric_says_so(tmp_path: Path) -> None:
    trials = [made(n, {"x": n / 12, "y": n % 3 / 3}, {"x": UNIT, "y": UNIT}, [n / 12]) for n in range(12)]
    found = rank.info(history_of(tmp_path, trials, directions=("maximize",)))
    assert (found.ranks[11], found.ranks[0]) == (0.0, 1.0)


def test_the_finding_is_where_the_best_lie(tmp_path: Path) -> None:
    found = rank.words(rank.info(history_of(tmp_path, searched())))
    assert found.finding == "The best 8 of 88 trials lie at train.lr from 0.0066 to 0.017"


def test_the_best_are_drawn_last_and_brightest(tmp_path: Path) -> None:
    drawn = stands(rank.PLOT, history_of(tmp_path, searched()))
    colors = drawn["data"][0]["marker"]["color"]
    assert isinstance(colors, dict) or colors == sorted(colors, reverse=True)
    assert drawn["layout"]["coloraxis"]["reversescale"] is True


def test_of_many_trials_few_are_drawn(tmp_path: Path) -> None:
    study = many(history_of(tmp_path, searched()), 10_000)
    assert len(str(stands(rank.PLOT, study))) < 300_000
    assert "one of each" not in rank.words(rank.info(study)).note
    assert "of every small square of the plane" in rank.words(rank.info(study)).note
