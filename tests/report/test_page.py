"""The page as a file: whole, safe, small; what it carries of a study; its sentences."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution

from search.records.history import History
from search.report import chosen, page
from search.report.cards import cards
from search.report.columns import columns
from search.report.curves import curves
from search.report.ends import end
from search.report.evidence import Evidence
from search.report.head import head
from search.report.html import Markup, as_json, tag
from search.report.packing import cell, rounded
from search.report.ranges import ranges
from tests.records import studies
from tests.report.extremes import EXTREMES, HOSTILE, history_of, made, searched
from tests.report.extremes import extreme as extreme


class Reading(HTMLParser):
    """What stands in a page: its tags in order, and the content of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and self.scripts and not self.scripts[-1][1]:
            self.scripts[-1] = (self.scripts[-1][0], data)
        else:
            self.words.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.tags if found == name]

    @property
    def policy(self) -> str:
        (found,) = [one["content"] for one in self.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
        assert found is not None
        return found


def column(history: History, key: str) -> Mapping[str, Any]:
    found: dict[str, Any]
    (found,) = [one for one in columns(history)["list"] if one["key"] == key]
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page has of a realistic search."""
    return page.payload(EXTREMES["searched"](tmp_path_factory.mktemp("results")))


def test_every_study_makes_a_whole_page_that_runs_our_scripts_alone(extreme: History) -> None:
    given = page.payload(extreme)
    text = page.html(given)
    read = Reading(text)
    assert read.tags[0][0] == "html"
    (carried,) = [json.loads(script) for attributes, script in read.scripts if attributes.get("id") == "payload"]
    assert carried["columns"]["count"] == len(extreme)
    assert {len(one["values"]) for one in carried["columns"]["list"]} <= {len(extreme)}
    assert {one["data-key"] for one in read.all("figure")} == set(given["figures"])
    for figure in given["figures"].values():
        assert (figure["spec"] is None) == bool(figure["empty"])
        assert len({len(values) for values in figure["data"].values()}) <= 1
    assert_safe(read)
    assert HOSTILE not in text
    assert "\u202e" not in "".join(read.words)


def assert_safe(read: Reading) -> None:
    """Nothing but our scripts may run, and nothing is fetched."""
    code = [script for attributes, script in read.scripts if "type" not in attributes]
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in code}
    rules = dict(rule.split(" ", 1) for rule in read.policy.split("; "))
    assert set(rules["script-src"].split()) == hashes
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules
    assert not [one for name, one in read.tags if name in ("img", "link", "iframe", "object", "embed")]
    assert not [one for _, one in read.tags if "src" in one or any(key.startswith("on") for key in one)]
    assert all(str(one["href"]).startswith("#") for one in read.all("a"))


def test_names_of_a_study_stand_in_the_head_as_words(tmp_path: Path) -> None:
    head = page.payload(EXTREMES["odd names"](tmp_path))["head"]
    assert HOSTILE not in head
    assert HOSTILE in "".join(Reading(head).words)


def test_a_live_page_may_ask_its_server_and_only_it() -> None:
    assert "connect-src 'self'" in page._policy([Markup("1")], live=True)


@pytest.mark.parametrize("live", [False, True])
def test_a_page_says_that_it_needs_no_network_where_it_needs_none(whole: dict[str, Any], live: bool) -> None:
    assert ("This page needs no network." in page.html(whole, live=live)) is not live


def test_of_a_url_that_hears_of_the_sweep_the_page_shows_the_host_alone(tmp_path: Path) -> None:
    hook = "https://hooks.example.com/services/T00/SECRET"
    history = history_of(tmp_path, searched(40), notify=hook, origins={"notify": "flag"})
    edit = {"changes": {"notify": hook, "trials": 3}, "trials": 2}
    history = replace(history, attributes={**history.attributes, "sweep:edits": [edit]})
    text = page.html(page.payload(history))
    assert "SECRET" not in text
    assert "<td>https://hooks.example.com</td>" in text
    assert "notify=https://hooks.example.com, trials=3" in text


def test_letters_that_are_not_shown_are_the_same_for_the_server_and_the_browser() -> None:
    script = (files("search.report") / "assets" / "page.js").read_text(encoding="utf-8")
    browsers = re.compile(re.search(r"UNSEEN = /(.+)/g;", script)[1])  # type: ignore[index]
    letters = [chr(one) for one in range(0x11000) if not 0xD800 <= one <= 0xDFFF]  # which no browser is sent
    assert [one for one in letters if browsers.match(one)] == [
        one for one in letters if tag("p", one)[3] == "\ufffd" != one
    ]


def test_headings_go_down_by_one_level_at_most(whole: dict[str, Any]) -> None:
    read = Reading(page.html(whole))
    levels = [int(name[1]) for name, _ in read.tags if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1
    assert all(later - one <= 1 for one, later in itertools.pairwise(levels))


def test_every_figure_is_told_in_words(whole: dict[str, Any]) -> None:
    told = [one.get("aria-label") for one in Reading(page.html(whole)).all("div") if one.get("class") == "plot"]
    assert len(told) == len(whole["figures"])
    assert all(figure["finding"] in str(one) for one, figure in zip(told, _in_order(whole), strict=True))


def _in_order(given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [given["figures"][key] for section in given["sections"] for key in section["figures"]]


def test_elements_escape_what_they_are_given_but_not_each_other() -> None:
    assert tag("p", "a<b", tag("b", '"x"'), None, title='"&') == (
        '<p title="&quot;&amp;">a&lt;b<b>&quot;x&quot;</b></p>'
    )
    assert tag("button", "1", hidden=True, disabled=False, data_copy="x") == '<button hidden data-copy="x">1</button>'
    assert tag("p", "a\u202eb\x1b\ud800") == "<p>a\ufffdb\ufffd\ufffd</p>"


@pytest.mark.parametrize("text", ["1\u202f234\u00a0kg", "日\u3000本", "می\u200cخواهم", "👩\u200d🔬", "a\nb\tc"])
def test_spaces_and_joined_letters_of_other_scripts_stay(text: str) -> None:
    assert tag("p", text) == f"<p>{text}</p>"


def test_json_in_a_page_ends_no_script_and_is_json_still() -> None:
    given = {"a": "</script><!--\u2028&", "b": "\ud800"}
    written = as_json(given)
    assert not set(written) & set("<>&\u2028\u2029")
    assert json.loads(written) == {**given, "b": "?"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_json(math.nan)


@pytest.mark.parametrize(
    ("value", "packed"),
    [
        (0.0, 0),
        (3.0, 3),
        (0.123456789, 0.12346),
        (-123456.7, -123460),
        (1.23456e-20, 1.2346e-20),
        (1e300, 1e300),
        (math.nan, None),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers_keep_five_digits(value: float, packed: object) -> None:
    assert rounded([value]) == [packed]
    assert repr(rounded([value])) == repr([packed])


def test_numbers_are_rounded_as_python_writes_them() -> None:
    dice = np.random.default_rng(0)
    values = dice.normal(size=2000) * 10 ** dice.uniform(-12, 12, 2000)
    assert rounded(values) == [float(f"{value:.5g}") for value in values.tolist()]


def test_cells_of_a_figure_are_numbers_or_text() -> None:
    given = (1, 0.1234567, True, None, "x", np.float64("nan"), np.int64(3), np.bool_(False), (1, 2))
    assert [cell(one) for one in given] == [1, 0.123457, "True", None, "x", None, 3, "False", "(1, 2)"]


def test_columns_are_those_of_the_trials(tmp_path: Path) -> None:
    history = history_of(tmp_path, studies.MIXED)
    state = column(history, "state")
    assert [state["levels"][code] for code in state["values"]] == (
        ["complete", "pruned", "complete", "fail", "fail", "complete", "running", "paused", "waiting"]
        if history.status.state == "running"
        else ["complete", "pruned", "complete", "fail", "fail", "complete", "paused", "paused", "waiting"]
    )
    assert column(history, "value:val_loss")["values"] == [0.5, 0.9, 0.4, None, None, 0.4, None, None, None]
    assert column(history, "value:val_loss")["better"] == "less"
    assert column(history, "rank")["values"] == [3, None, 1, None, None, 2, None, None, None]
    family = column(history, "param:model.family")
    assert family["levels"][family["values"][2]] == "Größe 100%"
    assert family["values"][0] is None
    assert column(history, "param:train.lr") == {
        "key": "param:train.lr",
        "name": "train.lr",
        "kind": "number",
        "low": 1e-5,
        "high": 1.0,
        "log": True,
        "values": [0.1, 0.01, 0.2, 0.01, 0.01, 0.01, 0.01, 0.01, None],
    }
    assert columns(history)["front"] == [2]


def test_a_trial_without_an_epoch_was_best_at_none(tmp_path: Path) -> None:
    plain: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1)}
    trials = [
        made(0, {"x": 0.5}, plain, [0.5], curve=[0.5]),
        made(1, {"x": 0.5}, plain, None, state="fail", reason="nan"),
    ]
    (found,) = (one for one in columns(history_of(tmp_path, trials))["list"] if one["key"] == "best_step")
    assert found["values"] == [1, None]


def test_a_column_of_zeros_is_a_column_and_one_of_nothing_is_none(tmp_path: Path) -> None:
    history = history_of(tmp_path, studies.MIXED)
    count = len(history)
    measured = {"accuracy": np.zeros(count), "recall": np.full(count, np.nan)}
    history = replace(history, measured=measured, constraints={"latency_ms<=30": np.zeros(count)})
    assert column(history, "metric:accuracy")["values"] == [0] * count
    assert column(history, "constraint:latency_ms<=30")["values"] == [0] * count
    keys = {one["key"] for one in columns(history)["list"]}
    assert not keys & {"metric:recall", "lost", "same_as"}


def test_curves_are_those_of_the_trials(tmp_path: Path) -> None:
    history = history_of(tmp_path, studies.MIXED)
    found = curves(history, np.arange(len(history)))
    assert found["metrics"] == ["val_loss", "val_accuracy"]
    assert found["of"]["2"] == [None, [0.5, 0.4], [0.5, 0.6]]
    assert "4" not in found["of"]


def test_a_large_study_carries_chosen_curves_and_says_which(tmp_path: Path) -> None:
    history = history_of(tmp_path, searched(120))
    numbers = chosen.chosen(history, 300)
    assert len(numbers) < 60
    assert history.best in numbers
    assert chosen.ranked(history)[:5].tolist() == [one for one in chosen.ranked(history)[:5].tolist() if one in numbers]
    assert chosen.note(history, numbers).startswith(f"Curves and words of {len(numbers)} of 120 trials")
    assert chosen.note(history, np.arange(120)) == ""


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (0, "complete: full budget, best at epoch 2 of 3"),
        (1, "pruned at epoch 3 by asha: 0.9 against 0.5, 4th of 4"),
        (3, "failed (exception) after 1 epoch: ValueError: trial 3 \x1b[31mbroke"),
        (4, "failed (nan): metric 'val_loss' is nan"),
        (7, "paused after 2 epochs, and goes on from there"),
        (8, "waits"),
    ],
)
def test_ends_are_told_with_their_rule(tmp_path: Path, number: int, sentence: str) -> None:
    assert end(history_of(tmp_path, studies.MIXED), number) == sentence


def test_cards_have_the_end_of_logs_and_errors(tmp_path: Path) -> None:
    history = history_of(tmp_path, studies.MIXED)
    folder = history.folder.trial(3)
    folder.root.mkdir(parents=True)
    folder.log.write_text("line\n" * 5_000 + "the last\n")
    folder.error.write_text("Traceback\nValueError: 3\n")
    card = cards(history, np.array([0, 3]))["of"]["3"]
    assert card["error"] == "Traceback\nValueError: 3"
    assert card["log"].startswith("…\nline\n")
    assert card["log"].endswith("\nthe last")
    assert len(card["log"]) < 4_100


def test_a_figures_table_is_cut_where_it_is_long_and_says_so() -> None:
    data, cut = page._table({"trial": range(20_000), "value": [0.1] * 20_000})
    assert {len(values) for values in data.values()} == {page.MOST_CELLS // 2}
    assert cut.startswith("The page has the first 5,000 of 20,000 rows")
    assert page._table({"trial": range(10)}) == ({"trial": [*range(10)]}, "")


HEADS = [
    ("no trials", "There are no trials yet."),
    ("all failed", "No trial has completed: 2 fail."),
    ("several metrics", "on the Pareto front"),
]


@pytest.mark.parametrize(("name", "words"), HEADS)
def test_the_head_says_where_the_study_stands(tmp_path: Path, name: str, words: str) -> None:
    assert words in "".join(Reading(head(Evidence.of(EXTREMES[name](tmp_path)))).words)


@pytest.mark.parametrize(
    ("curve", "said"), [([0.9, 0.4, 0.6], "its best epoch was 2 of 3; the last had 0.6"), ([0.9, 0.4], None)]
)
def test_the_head_says_where_the_best_was_better_than_at_its_end(
    tmp_path: Path, curve: list[float], said: str | None
) -> None:
    found = head(Evidence.of(history_of(tmp_path, [studies.trial("complete", curve)])))
    assert re.findall("its best epoch[^<]*", found) == ([said] if said else [])


def test_the_head_has_the_parameters_of_the_front(tmp_path: Path) -> None:
    history = EXTREMES["several metrics"](tmp_path)
    found = head(Evidence.of(history))
    assert '<th scope="col">x</th><th scope="col">y</th>' in found
    assert f"<td>{history.params(history.front[0])['y']:.4g}</td></tr>" in found
    longer = replace(history, parameters=tuple(replace(one, name=one.name * 99) for one in history.parameters))
    assert f'<th scope="col">{"x" * 14}…{"x" * 13}</th>' in head(Evidence.of(longer))


def test_the_head_counts_the_trials_that_ended_while_there_are_more_to_come(tmp_path: Path) -> None:
    plain: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1)}
    trials = [made(0, {"x": 0.5}, plain, [0.5]), made(1, {"x": 0.6}, plain, None, state="running")]
    for count, told in ((1, " · 1 of 10 trials ended"), (0, " · 0 of 10 trials ended")):
        history = history_of(tmp_path / str(count), [*trials[:count], *trials[1:]])
        assert told in head(Evidence.of(history))


def test_a_parameter_of_one_value_is_fixed(tmp_path: Path) -> None:
    history = history_of(tmp_path, [made(0, {"x": 3.0}, {"x": FloatDistribution(3.0, 3.0)}, [0.5])])
    assert "<small>fixed</small>" in ranges(history, 0)


@pytest.mark.parametrize("words", ["val_loss less is better", "25 pruned", "7 failed", "naive baseline 1", "15% saved"])
def test_the_head_says_what_came_of_a_search(whole: dict[str, Any], words: str) -> None:
    assert words in "".join(Reading(whole["head"]).words)


@pytest.mark.parametrize(("baseline", "is_warned"), [(0.45, True), (0.5, True), (0.51, False)])
def test_the_head_warns_of_a_best_that_is_no_better_than_the_baseline(
    tmp_path: Path, baseline: float, is_warned: bool
) -> None:
    trials = [made(0, {"x": 0.5}, {"x": FloatDistribution(0, 1)}, [0.5])]
    found = head(Evidence.of(history_of(tmp_path, trials, baseline={"val_loss": baseline})))
    assert ("Not better than the naive baseline" in found) == is_warned


def test_a_trial_takes_few_bytes_of_the_page(tmp_path: Path) -> None:
    history = history_of(tmp_path, searched(200))
    every = np.arange(200)
    written = as_json([columns(history), cards(history, every), curves(history, every)])
    assert len(written) < 200 * 300
