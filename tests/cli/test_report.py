"""`sweep report` writes a page and figures; a Python program gets the same."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.io
import pytest
from plotly.io.base_renderers import ExternalRenderer

import search
from search.cli.main import main
from search.errors import InputError, SurroundingsError
from search.paths import StudyFolder
from search.records.history import History
from search.records.study import read
from search.report.catalogue import PLOTS, study_figures
from search.report.export import export
from search.study.lock import acquire
from tests.records import studies
from tests.report.extremes import EXTREMES, searched

Output = pytest.CaptureFixture[str]
PAGES = Path(__file__).parents[2] / "docs"


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder whose `results` is the default one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_RESULTS", raising=False)
    return tmp_path / "results"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("stored")
    return studies.store(results, "found", searched(), baseline={"val_loss": 1.0}, max_epochs=9).root


@pytest.fixture
def found(results: Path, stored: Path) -> StudyFolder:
    return StudyFolder(Path(shutil.copytree(stored, results / "found")))


def told_json(capsys: Output) -> Any:
    told = capsys.readouterr()
    assert told.out.count("\n") == 1
    return json.loads(told.out)


def test_the_page_lies_in_the_folder_of_the_study(found: StudyFolder, capsys: Output) -> None:
    assert main(["report", "fou"]) == 0
    told = capsys.readouterr()
    written = Path("results/found/report.html").read_bytes()
    size = f"{len(written) / 1e6:.1f} MB"
    assert re.match(rf"results/found/report\.html: {re.escape(size)}, \d+ figures?, written in \d", told.out)
    finding = PLOTS[0].words(PLOTS[0].info(History.of(read(found)))).finding
    assert re.sub(r"\s+", " ", told.out.split("\n\n")[1]).startswith(f"Progress {finding}"[:90])
    assert told.err.splitlines() == ["", "next", "  sweep show found --trial best"]
    assert written.startswith(b"<!doctype html>")
    assert [path.name for path in found.root.glob(".report*")] == []  # nothing half written stays


def test_every_figure_is_told_as_json(found: StudyFolder, capsys: Output) -> None:
    assert main(["report", "found", "-o", "here/page.html", "--json"]) == 0
    told = told_json(capsys)
    assert {name: told[name] for name in ("study", "file")} == {"study": "found", "file": "here/page.html"}
    assert told["bytes"] == Path("here/page.html").stat().st_size
    assert 0 < told["seconds"] < 60
    assert [one["key"] for one in told["figures"]] == [plot.key for plot in PLOTS]
    assert all(one["finding"] for one in told["figures"])
    assert all(set(one) == {"key", "name", "finding", "empty"} for one in told["figures"])
    assert told["figures"][0]["empty"] == ""
    assert not found.report.exists()


@pytest.mark.parametrize("name", EXTREMES)
def test_a_study_of_any_kind_has_a_page(name: str, results: Path, capsys: Output) -> None:
    EXTREMES[name](results)
    assert main(["report", "s", "--json"]) == 0
    assert told_json(capsys)["bytes"] == (results / "s" / "report.html").stat().st_size


def test_a_study_without_trials_says_what_it_lacks(results: Path, capsys: Output) -> None:
    studies.store(results, "empty")
    assert main(["report", "empty"]) == 0
    told = capsys.readouterr()
    assert ", 0 figures, " in told.out
    assert re.search(r"^Progress +no trial has ", told.out, re.MULTILINE)
    assert told.err.splitlines()[-1] == "  sweep resume empty --trials +20"


def test_the_page_is_written_while_the_sweep_runs(found: StudyFolder, capsys: Output) -> None:
    with acquire(found.root, study="found"):
        assert main(["report", "found", "--json"]) == 0
        before = found.report.read_bytes()
        assert main(["report", "found", "--json"]) == 0
    assert len(before) > 100_000


def test_next_commands_name_the_results_folder(results: Path, capsys: Output) -> None:
    studies.store(results.parent / "else where", "m", studies.MIXED)
    assert main(["report", "m", "--results", "else where"]) == 0
    assert "  sweep show m --trial best --results 'else where'" in capsys.readouterr().err


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize("file", ["page", "page.pdf", "", "\0.html", "folder.html"])
def test_a_page_of_another_kind_is_refused(file: str, capsys: Output) -> None:
    Path("folder.html").mkdir()
    assert main(["report", "found", "-o", file]) == 2
    assert capsys.readouterr().err.startswith("error: -o takes an .html file, got ")


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize("folder", ["", " ", "\0", "file"])
def test_figures_go_to_a_folder(folder: str, capsys: Output) -> None:
    Path("file").touch()
    assert main(["report", "found", "--figures", folder]) == 2
    assert capsys.readouterr().err.startswith("error: --figures takes a folder, got ")


@pytest.mark.parametrize(
    "arguments",
    [["-o", "file/page.html"], ["-o", "/proc/page.html"], ["--figures", "file/figures"], ["--figures", "/proc"]],
)
def test_a_file_that_cannot_be_written_is_a_sentence(found: StudyFolder, arguments: list[str], capsys: Output) -> None:
    Path("file").touch()
    assert main(["report", "found", *arguments]) == 3
    told = capsys.readouterr()
    assert re.fullmatch(r"error: (file|/proc)/[^\n]* cannot be (written|made): [^\n]*\n", told.err)


def test_figures_alone_hold_what_the_page_shows(found: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chrome")  # which saves time
    history = History.of(read(found))
    exported = export(history, Path("out"))
    drawn = study_figures(history)
    assert [*exported.files] == [*drawn]
    for key, figure in drawn.items():
        stored = json.loads(Path(f"out/{key}.json").read_text())
        assert stored == json.loads(figure.to_json())
        assert stored["layout"]["title"]["text"]
    plot = PLOTS[0]
    table = pd.read_csv("out/history.csv")
    written = table.astype(object).where(table.notna(), None)
    assert {name: [*column] for name, column in written.items()} == plot.data(plot.info(history))


def test_figures_that_a_study_does_not_have_are_not_left_there_from_another_one(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chrome")
    studies.store(results, "empty")
    Path("out").mkdir()
    for name in ("history.json", "history.csv", "history.png", "notes.csv"):
        Path("out", name).touch()
    assert export(History.of(read(StudyFolder(results / "empty"))), Path("out")).files == {}
    assert [path.name for path in Path("out").iterdir()] == ["notes.csv"]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_figures_alone_are_pictures_too(results: Path, capsys: Output) -> None:
    studies.store(results, "few", studies.EXTREMES["one trial"])
    assert main(["report", "few", "--figures", "out", "--json"]) == 0
    told = {one["key"]: one["files"] for one in told_json(capsys)["figures"]}
    assert told["history"] == ["out/history.json", "out/history.csv", "out/history.png"]
    for key, files in told.items():
        assert not files or Path(f"out/{key}.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_browser_there_are_no_pictures_and_a_sentence(
    found: StudyFolder, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chrome")
    assert main(["report", "found", "--figures", "out"]) == 0
    count = 2 * len(study_figures(History.of(read(found))))
    said = "no PNG: BROWSER_PATH names /nowhere/chrome, where there is no program"
    assert f"{count} files of figures; {said}" in capsys.readouterr().err.splitlines()
    assert len([*Path("out").iterdir()]) == count


def test_a_program_gets_the_same_figures(found: StudyFolder) -> None:
    sweep = search.load("found")
    history = History.of(read(found))
    for given in ("found", "fou", found.root, str(found.root), sweep, history):
        assert [*search.study_figures(given, ["history"])] == ["history"]
        assert [*search.study_figures(given, "history")] == ["history"]
    assert [*search.study_figures("found", results="results")] == [*sweep.figures]
    title = sweep.figures["history"].layout.title.text
    assert title == PLOTS[0].words(PLOTS[0].info(history)).finding


def test_a_figure_that_is_not_there_is_refused() -> None:
    studies.store(Path("results"), "empty")
    assert search.study_figures("empty") == {}
    for wrong in (["histori"], "histori"):
        with pytest.raises(InputError, match="there is no figure 'histori'") as refused:
            search.study_figures("empty", wrong)
        assert refused.value.hint.startswith("did you mean 'history'? known: history, curves, ")
    assert search.study_figures("empty", "pareto").empty.keys() == {"pareto"}
    with pytest.raises(KeyError, match="history: no trial has a value yet: no trials"):
        search.load("empty").figures["history"]
    with pytest.raises(KeyError, match="nowhere: there is no such figure"):
        search.load("empty").figures["nowhere"]


@pytest.mark.usefixtures("found")
def test_a_program_writes_the_page() -> None:
    sweep = search.load("found")
    assert sweep.report() == Path("results/found/report.html")
    assert sweep.report("mine/page.html") == Path("mine/page.html")
    assert Path("mine/page.html").stat().st_size == pytest.approx(sweep.report().stat().st_size, abs=100)
    for wrong in ("page.pdf", "", "\0.html"):
        with pytest.raises(InputError, match=r"report\(\) takes an \.html file, got "):
            sweep.report(wrong)
    Path("file").touch()
    with pytest.raises(SurroundingsError, match=r"file/page\.html cannot be written: "):
        sweep.report("file/page.html")


class Shown(ExternalRenderer):  # type: ignore[misc]
    """Keeps what a notebook would show."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    def render(self, fig: dict[str, Any]) -> None:
        self.titles.append(fig["layout"]["title"]["text"])


def test_a_notebook_shows_every_figure(found: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Shown()
    plotly.io.renderers["kept"] = shown
    monkeypatch.setattr(plotly.io.renderers, "default", "kept")
    figures = search.load("found").figures
    figures._ipython_display_()
    assert shown.titles == [figure.layout.title.text for figure in figures.values()]


def test_every_figure_stands_in_the_manual() -> None:
    page = (PAGES / "report.md").read_text(encoding="utf-8")
    assert [plot.key for plot in PLOTS if f"| `{plot.key}` | {plot.name} |" not in page] == []
