"""The figures and the page of a comparison, over all kinds of studies."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from search.records.comparison import Comparison, compare
from search.report.compare import PLOTS, page, payload
from search.report.figures import compare_anytime, compare_difference, compare_values
from search.report.plot import Plot
from tests.records.test_comparison import trials
from tests.report.extremes import EXTREMES, HOSTILE, history_of, searched

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
    found = two(tmp_path, trials([0.5, *[None] * 9]), trials([0.1 + n / 100 for n in range(10)]))
    info = compare_difference.info(found)
    assert (info.better, info.worse, info.trials) == (["b"], ["a"], [10])
    (trace,) = compare_difference.figure(info).data
    assert 0 < trace.x[0] + trace.error_x.array[0] < 1


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


def test_a_hostile_name_is_text_in_the_page(tmp_path: Path) -> None:
    given = [history_of(tmp_path, trials([0.5]), name=name) for name in ("a<b>&", "c")]
    assert "a&lt;b&gt;&amp; against c" in page(compare(given))
