"""`sweep compare`: studies side by side in the terminal, as JSON and as a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.cli.main import main
from tests.records.studies import store
from tests.records.test_comparison import trials

Output = pytest.CaptureFixture[str]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    store(tmp_path / "results", "tab-random", trials([0.5, None, 0.4, 0.6, 0.3, 0.7], epochs=3))
    store(tmp_path / "results", "tab-tpe", trials([0.5, 0.2, 0.2, 0.21, 0.19, 0.18, 0.2], epochs=3), sampler="tpe")
    store(tmp_path / "results", "other", trials([0.5]), directions=("maximize",))
    return tmp_path / "results"


@pytest.mark.usefixtures("results")
def test_two_studies_are_told_side_by_side(capsys: Output) -> None:
    assert main(["compare", "tab-random", "tab-tpe"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[:2] == [
        "THIS COMPARISON IS UNFAIR:",
        "  ! they had different numbers of trials: tab-random 6, tab-tpe 7; compare at common budgets",
    ]
    assert lines[3] == "tab-tpe is ahead of tab-random by more than chance"
    assert lines[4].startswith("  tab-tpe is ahead of tab-random by 0.")
    assert lines[4].endswith("at 6 trials each: told apart")
    assert [line for line in lines if line.startswith(("6 trials", "18 epochs"))] == [
        "6 trials               0.3     0.18",
        "18 epochs              0.3     0.18",
    ]
    assert [line.split() for line in lines if line.startswith("sampler")] == [["sampler", "random", "tpe"]]
    curves = [line for line in lines if line.startswith("  tab-") and set("▁█") & {*line}]
    assert len(curves) == 6
    assert "sweep compare tab-random tab-tpe -o compare.html" in err


@pytest.mark.usefixtures("results")
def test_json_holds_all_of_it(capsys: Output) -> None:
    assert main(["compare", "tab-random", "tab-tpe", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "tab-tpe is ahead of tab-random by more than chance"
    assert [one["best"]["value"] for one in told["studies"]] == [0.3, 0.18]
    assert told["studies"][0]["curves"]["trials"] == {"spent": [1, 3, 5], "best": [0.5, 0.4, 0.3], "total": 6}
    assert told["choices"] == {"sampler": {"tab-random": "random", "tab-tpe": "tpe"}}
    (difference,) = told["differences"]
    assert (difference["better"], difference["worse"], difference["trials"]) == ("tab-tpe", "tab-random", 6)


@pytest.mark.usefixtures("results")
def test_the_page_is_written_where_it_is_asked_for(tmp_path: Path, capsys: Output) -> None:
    assert main(["compare", "tab-random", "tab-tpe", "-o", "out/c.html", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["file"] == "out/c.html"
    assert "unfair: they had different numbers" in err
    assert (tmp_path / "out" / "c.html").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tab-random"], "`sweep compare` takes 2 to 8 studies, got 1"),
        (["tab-random", "tab-r"], "study 'tab-random' was given twice"),
        (["tab-random", "other"], "tab-random searches val_loss (minimize) and other val_loss (maximize)"),
        (["tab-random", "nothing"], "no study 'nothing'"),
        (["tab-random", "tab-tpe", "-o", "c.pdf"], "-o takes an .html file, got 'c.pdf'"),
    ],
)
@pytest.mark.usefixtures("results")
def test_what_cannot_be_compared_is_one_sentence(capsys: Output, arguments: list[str], said: str) -> None:
    assert main(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
