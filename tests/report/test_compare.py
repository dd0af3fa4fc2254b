"""The figures and the page of a comparison, over all kinds of studies."""

from __future__ import annotations

import itertools
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from search.records.anytime import AXES
from search.records.comparison import Comparison, compare
from search.report.compare import PLOTS, page, payload
from search.report.figures import compare_anytime, compare_difference, compare_values
from search.report.plot import Plot
from tests.records.test_comparison import X, trials
from tests.report.extremes import EXTREMES, HOSTILE, history_of, made, searched

KEYS = [plot.key for plot in PLOTS]


def two(tmp_path: Path, first: Any, second: Any, **changes: Any) -> Comparison:
    return compare([history_of(tmp_path, given, name=name, **changes) for name, given in (("a", first), ("b", second))])


def test_curves_are_steps_up_to_what_was_spent(tmp_path: Path) -> None:
    found = two(tmp_path, trials([0.5, 0.7, 0.25]), trials([0.4, 0.3]))
    info = compare_anytime.info("trials")(found)
    assert info._asdict() == {
        "axis": "trials",
        "measure": "val_loss",
        "more_is_better": False,
        "place": [0, 1],
        "name": ["a", "b"],
        "spent": [[1, 3, 3], [1, 2, 2]],
        "best": [[0.5, 0.25, 0.25], [0.4, 0.3, 0.3]],
        "common": 2,
        "at_common": [0.5, 0.3],
        "names": ["a", "b"],
        "known": True,
    }
    assert compare_anytime.words(info).finding == "After 2 trials b is ahead: 0.3 against 0.5 of a"


def test_values_are_ranked_among_all_that_ended(tmp_path: Path) -> None:
    info = compare_values.info(two(tmp_path, trials([0.5, None, 0.25, None]), trials([0.4])))
    assert (info.values, info.trial, info.ended) == ([[0.25, 0.5], [0.4]], [[2, 0], [0]], [4, 1])
    (first, _) = compare_values.figure(info).data
    assert (list(first.x), list(first.y)) == ([0.25, 0.5], [0.25, 0.5])


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_best_is_at_the_left_whatever_is_better(tmp_path: Path, direction: str) -> None:
    info = compare_values.info(two(tmp_path, trials([0.1, 0.9]), trials([0.3, 0.5]), directions=(direction,)))
    assert info.values[0] == ([0.1, 0.9] if direction == "minimize" else [0.9, 0.1])
    left, right = compare_values.figure(info).layout.xaxis.range
    assert (left < right) is (direction == "minimize")


def test_an_interval_that_is_open_ends_at_the_edge_of_the_figure(tmp_path: Path) -> None:
    found = two(tmp_path, trials([0.5, *[None] * 19]), trials([0.1 + n / 100 for n in range(10)]))
    info = compare_difference.info(found)
    assert (info.better, info.worse, info.trials) == (["b"], ["a"], [10])
    (interval,) = compare_difference.figure(info).data  # most draws of a have no completed trial: there is no middle
    assert [*interval.marker.symbol] == ["line-ns", "triangle-right"]
    assert 0 < interval.x[1] < 1
    assert (compare_difference.data(info)["difference"], compare_difference.data(info)["high"]) == (["open"], ["open"])
    assert "Where there is no point" in compare_difference.words(info).note


def test_an_interval_that_is_open_on_both_sides_is_no_point(tmp_path: Path) -> None:
    found = two(tmp_path, *[trials([0.5, 0.5, None, None, None, None])] * 2)
    info = compare_difference.info(found)
    assert (info.low, info.value, info.high) == ([-math.inf], [0.0], [math.inf])
    interval, middle = compare_difference.figure(info).data
    assert [*interval.marker.symbol] == ["triangle-left", "triangle-right"]
    assert [*interval.x] == [-1.0, 1.0]
    assert [*middle.x] == [0.0]


def test_studies_in_which_nothing_completed_are_not_said_to_be_without_trials(tmp_path: Path) -> None:
    found = two(tmp_path, trials([None] * 3), trials([None] * 6))
    told = [compare_anytime.words(compare_anytime.info(axis)(found)).empty for axis in AXES]
    assert told == ["no study has a best yet"] * 3
    assert "none yet" not in page(found)


def test_with_several_metrics_it_is_said_which_one_is_meant(tmp_path: Path) -> None:
    points = [made(n, {"x": 0.5}, X, [n / 4, 1.0], metrics=("a", "b")) for n in range(5)]
    found = two(tmp_path, points, points[2:], metrics=("a", "b"), directions=("minimize",) * 2)
    finding = compare_values.words(compare_values.info(found)).finding
    assert finding.startswith("The middle completed trial of a is the best in a:")
    assert ">best a</th>" in payload(found)["head"]
    assert ">median a</th>" in payload(found)["head"]


def test_few_trials_are_told_in_place_of_an_interval(tmp_path: Path) -> None:
    words = compare_difference.words(compare_difference.info(two(tmp_path, trials([0.5]), trials([0.4]))))
    assert words.empty == "an interval needs 5 ended trials of each study, and a completed one"
    assert words.finding == "b has the best val_loss; there are too few trials to tell it from chance"


@pytest.mark.parametrize("name", EXTREMES)
def test_every_figure_stands_every_study(tmp_path: Path, name: str) -> None:
    found = compare([EXTREMES[name](tmp_path / place) for place in "ab"])
    for plot in PLOTS:
        check(plot, found)
    written = page(found)
    assert HOSTILE not in written
    json.loads(re.search(r'id="payload">(.*?)</script>', written, re.DOTALL)[1])  # type: ignore[index]


def check(plot: Plot, found: Comparison) -> None:
    info = plot.info(cast(Any, found))
    words = plot.words(info)
    assert words.finding
    if not words.empty:
        drawn = plot.figure(info).to_json()
        json.loads(drawn)
        assert HOSTILE not in drawn
        assert len({len(column) for column in plot.data(info).values()}) == 1


def test_what_is_drawn_does_not_grow_with_the_study(tmp_path: Path) -> None:
    found = two(tmp_path, searched(40), searched(20, seed=1))
    many = np.random.default_rng(0).random(100_000)
    side = replace(found.sides[0], values=tuple(many.tolist()), numbers=tuple(range(len(many))), ended=len(many))
    found = replace(found, sides=(side, found.sides[1]))
    sizes = {plot.key: len(plot.figure(plot.info(cast(Any, found))).to_json()) for plot in PLOTS}
    assert max(sizes.values()) < 40_000, sizes


def test_the_page_says_first_what_is_unfair_and_then_who_is_ahead(tmp_path: Path) -> None:
    found = two(tmp_path, trials([0.5] * 9), trials([0.4]))
    head = payload(found)["head"]
    unfair, verdict = head.index("different numbers of trials: a 9, b 1"), head.index(found.verdict())
    assert unfair < verdict < head.index("<table>")
    assert [section["heading"] for section in payload(found)["sections"]] == [
        "Who is ahead",
        "The bests",
        "Where they searched",
        "How they were made",
    ]
    assert payload(found)["sections"][0]["figures"] == KEYS


def test_headings_go_down_by_one_level_at_most(tmp_path: Path) -> None:
    text = page(two(tmp_path, trials([0.5, 0.3]), trials([0.4])))
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", text)]
    assert levels[0] == 1
    assert all(later - one <= 1 for one, later in itertools.pairwise(levels))


def test_a_url_that_hears_of_a_sweep_is_not_compared(tmp_path: Path) -> None:
    hooks = {"a": "https://example.com/SECRET", "b": None}
    found = compare([history_of(tmp_path, trials([0.5]), name=name, notify=hook) for name, hook in hooks.items()])
    assert "SECRET" not in page(found)


def test_a_hostile_name_is_text_in_the_page(tmp_path: Path) -> None:
    given = [history_of(tmp_path, trials([0.5]), name=name) for name in ("a<b>&", "c")]
    assert "a&lt;b&gt;&amp; against c" in page(compare(given))
