"""The model card: what it says, that it is the same every time, and that no name can break it.

Mutations that turn these red: leave out `|` or a line break where names are escaped; put
seconds of the confirmation into the card; say "better" of a model whose gain may be none.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt

from search.bundle.manifest import Manifest, Member
from search.bundle.signature import Input, Kind, Signature
from search.contract import Task
from search.promote.card import card
from search.promote.markdown import name, prose, visible
from search.promote.measures import Judged
from search.promote.scores import Scores, score

MANIFEST = Manifest(
    study="cancer",
    objective="tabular.py:Tabular",
    members=(Member(7, {"preprocess.scale": "standard", "model.family": "linear", "train.lr": 0.0123}, 123, 9),),
    metric="val_loss",
    data_hash="ab" * 32,
    split_hash="cd" * 32,
    code_hash="",
    versions={"numpy": "2.4"},
    options={"calibrate": True},
)
SIGNATURE = Signature(
    "binary",
    "diagnosis",
    (
        Input("radius", Kind.NUMBER, 13.4, 6.9, 28.1),
        Input("town", Kind.TEXT, "Bern", levels=("Bern", "Basel"), missing=0.1),
        Input("id", Kind.NUMBER, 3.0, 1, 9, used=False, whole=True),
    ),
    ("benign", "malignant"),
)
HOSTILE = (
    "a|b",
    "`x`|`y`",
    "new\nline\r\n\n# title",
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "http://evil.example",
    "---",
    "```",
    "\u202eright to left\u2066",
    "it's; rm -rf / #",
    "\\",
    "",
    "x" * 500,
    "Größe €",
)


def scores_of(*, better: float = 4.0, rows: int = 114, groups: bool = False) -> Scores:
    random = np.random.default_rng(0)
    target = (random.random(rows) < 0.4).astype(np.int64)
    said = 1 / (1 + np.exp(-(random.normal(size=rows) + better * (target - 0.5))))
    judged = Judged(np.stack([1 - said, said], axis=1), target, Task.BINARY)
    by = ("town", random.choice(["Bern", "Basel"], rows)) if groups else None
    return score(judged, target, classes=SIGNATURE.classes, searched=("val_loss", 0.12), by=by)


SCORES = scores_of()
CONFIRMED = {
    "metric": "val_loss",
    "equal": [3],
    "seconds": 98765.4,
    "rows": [
        {"number": 7, "searched": 0.12, "mean": 0.14, "low": 0.1, "high": 0.18, "values": [0.1, 0.2], "best": 0.9},
        {"number": 3, "searched": 0.13, "mean": 0.15, "low": None, "high": None, "values": [0.15], "best": None},
    ],
}


def tables(text: str) -> list[list[list[str]]]:
    """Return the cells of every table, as Markdown reads them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text.split("---\n", 2)[2])
    found: list[list[list[str]]] = []
    for place, token in enumerate(tokens):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("th_open", "td_open"):
            inside = tokens[place + 1].children or []
            assert {one.type for one in inside} <= {"text", "code_inline", "text_special"}, tokens[place + 1].content
            found[-1][-1].append("".join(one.content for one in inside))
    return found


def test_the_front_matter_is_what_other_tools_read() -> None:
    told = yaml.safe_load(card(MANIFEST, SIGNATURE, SCORES).split("---\n")[1])
    assert told["library_name"] == "onnxruntime"
    assert told["pipeline_tag"] == "tabular-classification"
    found = told["model-index"][0]["results"][0]["metrics"]
    assert {one["type"]: one["value"] for one in found} == pytest.approx(
        {name: one.value for name, one in SCORES.metrics.items()}, rel=1e-5
    )


def test_scores_stand_beside_their_intervals_and_the_baseline() -> None:
    rows = tables(card(MANIFEST, SIGNATURE, SCORES))[0]
    one = SCORES.metrics["accuracy"]
    assert rows[0] == ["measure", "value", "95 % interval", "baseline", "better is"]
    assert rows[1][:4] == [
        "accuracy",
        f"{one.value:.4g}",
        f"{one.low:.4g} to {one.high:.4g}",
        f"{SCORES.baseline['accuracy']:.4g}",
    ]


def test_the_parts_are_there_once_and_in_their_order() -> None:
    text = card(MANIFEST, SIGNATURE, SCORES, confirmation=CONFIRMED, rows={"train": 300, "test": 114})
    heads = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert heads == [
        "What it predicts",
        "How to use it",
        "How good it is",
        "How good the search thought it was",
        "Confirmation",
        "Data",
        "How it was made",
        "Limits",
        "Provenance",
    ]
    assert "train 300, test 114" in text
    assert "Equal to the winner within noise: 3." in text
    assert "numbers are scaled to mean 0 and variance 1" in text
    assert "**Trial 7**, trained for 9 units of training (epochs, batches of trees, whole fits)." in text


def test_a_search_that_promised_what_the_test_says_is_said_to() -> None:
    assert SCORES.optimism is not None
    even = replace(SCORES, optimism=replace(SCORES.optimism, gap=0.0))
    assert "The search's looks the same;" in card(MANIFEST, SIGNATURE, even)


def test_the_card_is_the_same_every_time_and_does_not_know_the_time() -> None:
    given: dict[str, Any] = {"confirmation": CONFIRMED, "rows": {"train": 300, "test": 114}}
    text = card(MANIFEST, SIGNATURE, SCORES, **given)
    assert text == card(MANIFEST, SIGNATURE, Scores.from_json(SCORES.to_json()), **given)
    assert "98765" not in text
    slower = {**CONFIRMED, "seconds": 1.0}
    assert text == card(MANIFEST, SIGNATURE, SCORES, confirmation=slower, rows=given["rows"])


def test_a_gain_that_may_be_none_is_not_called_better() -> None:
    assert "is better than the baseline" in card(MANIFEST, SIGNATURE, SCORES)
    assert "is **not told apart from** the baseline" in card(MANIFEST, SIGNATURE, scores_of(better=0.0))


def test_rows_that_were_used_before_are_told_beside_the_scores() -> None:
    text = card(MANIFEST, SIGNATURE, SCORES, openings="12 of the 114 test rows were seen before", notes=["it is new"])
    assert "**Not all of them are new:** 12 of the 114 test rows were seen before." in text
    assert "- It is new." in text


def test_the_texts_that_leave_with_the_model_are_told() -> None:
    number, town, _ = SIGNATURE.inputs
    text = card(
        MANIFEST, replace(SIGNATURE, inputs=(town, replace(town, name="remark", levels=(), example=""))), SCORES
    )
    seen = {row[0]: row[2] for rows in tables(text) for row in rows if len(row) == 5}
    assert (seen["town"], seen["remark"]) == ("Bern, Basel", "not listed")
    told = "`signature.json` holds up to 50 of the most frequent texts"
    assert told in text
    assert told not in card(MANIFEST, replace(SIGNATURE, inputs=(number,)), SCORES)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_name_breaks_the_card(hostile: str) -> None:
    usual = card(MANIFEST, SIGNATURE, scores_of(groups=True), confirmation=CONFIRMED)
    first, *others = SIGNATURE.inputs
    signature = replace(
        SIGNATURE,
        target=hostile,
        inputs=(replace(first, name=hostile), replace(others[0], levels=(hostile, "b"), example=hostile), others[1]),
        classes=(hostile, "other"),
    )
    params = {"preprocess.scale": hostile, "model.family": "linear", "train.lr": 0.0123}
    manifest = replace(MANIFEST, study=hostile, members=(replace(MANIFEST.members[0], params=params),))
    told = scores_of(groups=True)
    assert told.groups is not None
    groups = replace(
        told.groups, column=hostile, groups=tuple(replace(one, name=hostile) for one in told.groups.groups)
    )
    classes = tuple(replace(one, name=hostile) for one in told.classes)
    text = card(manifest, signature, replace(told, groups=groups, classes=classes), confirmation=CONFIRMED)
    assert [[len(row) for row in one] for one in tables(text)] == [[len(row) for row in one] for one in tables(usual)]
    assert re.findall(r"^#+ ", text, re.MULTILINE) == re.findall(r"^#+ ", usual, re.MULTILINE)
    assert yaml.safe_load(text.split("---\n")[1])["library_name"] == "onnxruntime"
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text.split("---\n", 2)[2])
    tags = {tag.lower() for tag in re.findall(r"<([a-zA-Z]+)", html)}
    assert tags <= {"h", "p", "code", "pre", "table", "thead", "tbody", "tr", "th", "td", "strong", "ul", "li"}, tags
    assert not any(one in text for one in "\u202e\u2066\r")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_example_is_a_request_of_the_row(hostile: str) -> None:
    signature = replace(SIGNATURE, inputs=(Input(hostile, Kind.TEXT, hostile), SIGNATURE.inputs[0]))
    text = card(MANIFEST, signature, SCORES)
    command = shlex.split(next(line for line in text.splitlines() if line.startswith("curl ")))
    body = json.loads(command[command.index("-d") + 1])
    assert body == {"rows": [{hostile: hostile, "radius": 13.4}]}
    code = text.split("```python\n")[1].split("\n```")[0]
    compile(code, "card", "exec")


def test_a_card_of_values_and_one_of_images() -> None:
    values = score(Judged(np.arange(30.0) + 1, np.arange(30.0), Task.REGRESSION), np.arange(30.0))
    text = card(MANIFEST, replace(SIGNATURE, task="regression", classes=(), low=0.0, high=29.0), values)
    assert "in training it was 0 to 29" in text
    assert "tabular-regression" in text
    assert "### Each class" not in text
    images = Signature("binary", "", (Input("image", Kind.IMAGE, shape=(1, 8, 8)),), ("a", "b"))
    text = card(MANIFEST, images, SCORES)
    assert "image-classification" in text
    assert "np.zeros((1, 1, 8, 8), np.float32)" in text
    assert "Images of 1 x 8 x 8" in text


@pytest.mark.parametrize(
    ("text", "seen"), [("a\tb\n", "a b"), ("  ", ""), ("x" * 100, "x" * 79 + "…"), ("\u200bz", "z"), ("é", "é")]
)
def test_a_name_is_one_visible_line(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_plain_names_are_code_and_others_are_escaped() -> None:
    assert name("mean radius (mm)") == "`mean radius (mm)`"
    assert name("a|b") == "a\\|b"
    assert name("") == "(empty)"
    assert prose("<b>") == "\\<b\\>"
