"""`sweep compare`: studies side by side in the terminal, as JSON and as a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.cli.compare import lines
from search.cli.main import main
from search.paths import StudyFolder
from search.records.comparison import compare
from search.records.history import History
from search.records.study import read
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


@pytest.mark.parametrize("columns", [30, 60, 200])
def test_curves_fit_the_terminal_and_keep_their_values(results: Path, columns: int) -> None:
    histories = [History.of(read(StudyFolder(results / name))) for name in ("tab-random", "tab-tpe")]
    told = lines(compare(histories, [0.0, 0.0]), columns=columns)
    curves = [line for line in told if line.startswith("  tab-") and set("▁█") & {*line}]
    assert [line.split()[-1] for line in curves] == ["0.3", "0.18"] * 3
    assert all(len(line) <= columns for line in curves)


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("file", ["file/c.html", "/proc/c.html"])
def test_a_page_that_cannot_be_written_is_a_sentence(capsys: Output, file: str) -> None:
    Path("file").touch()
    assert main(["compare", "tab-random", "tab-tpe", "-o", file]) == 3
    assert capsys.readouterr().err.startswith(f"error: {file} cannot be written: ")


def test_a_difference_that_is_no_number_is_told_in_words(results: Path, capsys: Output) -> None:
    store(results, "few", trials([0.1, *[None] * 19]))
    assert main(["compare", "few", "tab-tpe"]) == 0
    out = capsys.readouterr().out
    assert "inf" not in out
    assert "  tab-tpe is ahead of few, of which as many are mostly without a completed one, [" in out
    assert ", open] at 7 trials each: not told apart\n  open: as many trials" in out


def test_a_best_stays_in_the_curves_when_its_study_has_ended(results: Path, capsys: Output) -> None:
    store(results, "short", trials([0.4]))
    assert main(["compare", "short", "tab-tpe"]) == 0
    (curve, *_) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  short")]
    assert curve.count("▁") + curve.count("█") > 30


@pytest.mark.usefixtures("results")
def test_a_narrow_terminal_loses_nothing() -> None:
    from search.cli.compare import lines
    from search.paths import StudyFolder
    from search.records.comparison import compare
    from search.records.history import History
    from search.records.study import read

    found = compare([History.of(read(StudyFolder(Path("results") / name))) for name in ("tab-random", "tab-tpe")])
    told = lines(found, columns=36)
    tables = told[told.index("searched val_loss (minimize)") :]
    assert max(len(line) for line in tables if not line.startswith("best ")) <= 36
    assert [line.split() for line in tables if line.strip().startswith("median")] == [
        ["median", "0.5"],
        ["median", "0.2"],
    ]
    assert tables[tables.index("  sampler") :][:3] == ["  sampler", "    tab-random  random", "    tab-tpe     tpe"]


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
        (["tab-random", "tab-tpe", "-o", "folder.html"], "-o takes an .html file, got 'folder.html'"),
    ],
)
@pytest.mark.usefixtures("results")
def test_what_cannot_be_compared_is_one_sentence(capsys: Output, arguments: list[str], said: str) -> None:
    Path("folder.html").mkdir()
    assert main(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
