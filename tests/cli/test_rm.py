"""`rm` deletes studies after asking, whole or not at all, and nothing beside them."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from search.cli.main import main
from search.paths import StudyFolder
from search.records import find
from search.study import removal
from search.study.lock import acquire
from search.study.storage import open_for_writing, trials_in
from tests.records import studies
from tests.study.studies import add_trials, flat_space, open_study

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder whose `results` is the default one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_RESULTS", raising=False)
    return tmp_path / "results"


@pytest.fixture
def mixed(results: Path) -> StudyFolder:
    folder = studies.store(results, "mixed", studies.MIXED)
    folder.trial(3).root.mkdir(parents=True)
    folder.trial(3).log.write_bytes(b"x" * 2_000_000)
    return folder


def answer(text: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `sweep rm` with a terminal as its input, and type `text`."""
    ours, theirs = pty.openpty()
    os.write(ours, text.encode())
    try:
        return subprocess.run(
            [sys.executable, "-m", "search", "rm", *arguments],
            stdin=theirs,
            capture_output=True,
            text=True,
            cwd=cwd,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.usefixtures("mixed")
def test_what_will_be_deleted_is_said_and_asked_about(results: Path, tmp_path: Path) -> None:
    for text in ("n\n", "\n", "yesterday\n", "\x04"):
        told = answer(text, "mixed", cwd=tmp_path)
        assert (told.returncode, told.stdout) == (0, "")
        assert told.stderr.startswith("delete study 'mixed' with 9 trials, 2.0 MB, in results/mixed? [y/N] ")
        assert told.stderr.endswith("kept mixed\n")
        assert (results / "mixed" / "plan.json").exists()
    told = answer("y\n", "mixed", "--json", cwd=tmp_path)
    assert json.loads(told.stdout) == {"removed": ["mixed"]}
    assert [*results.iterdir()] == []


def test_yes_does_not_ask(results: Path, mixed: StudyFolder, capsys: Output) -> None:
    other = studies.store(results, "other", studies.MIXED)
    studies.store(results, "third")
    assert main(["rm", "mixed", str(other.root), "other", "--yes"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "removed mixed\nremoved other\n")
    assert [path.name for path in results.iterdir()] == ["third"]


def test_without_a_terminal_yes_must_be_given(mixed: StudyFolder, tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "search", "rm", "mixed"],
        input="y\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert told.returncode == 2
    assert "give --yes to delete" in told.stderr
    assert mixed.exists()


@pytest.mark.parametrize("text", ["mix", "", "mixed2", ".", "..", "results", "a\0b", "mixed/trials", "/"])
def test_only_an_exact_name_or_a_folder_is_taken(mixed: StudyFolder, text: str, capsys: Output) -> None:
    assert main(["rm", "mixed", "--yes", "--", text]) == 2
    assert "`sweep rm` takes exact names or folders only" in capsys.readouterr().err
    assert mixed.exists()


@pytest.mark.usefixtures("mixed")
def test_the_start_of_a_name_is_answered_with_the_whole_one(capsys: Output) -> None:
    assert main(["rm", "mi", "--yes"]) == 2
    assert "; did you mean 'mixed'?" in capsys.readouterr().err


def test_a_study_that_is_being_run_is_refused_and_keeps_the_others(
    results: Path, mixed: StudyFolder, capsys: Output
) -> None:
    other = studies.store(results, "other")
    with acquire(mixed.root, study="mixed"):
        assert main(["rm", "other", "mixed", "--yes"]) == 4
    assert "study 'mixed' is being run by pid" in capsys.readouterr().err
    assert mixed.exists()
    assert other.exists()


def test_a_link_is_refused_and_what_it_leads_to_stays(results: Path, tmp_path: Path, capsys: Output) -> None:
    outside = studies.store(tmp_path / "elsewhere", "mixed", studies.MIXED)
    results.mkdir()
    (results / "mixed").symlink_to(outside.root)
    assert main(["rm", "mixed", "--yes"]) == 4
    assert "is a link to" in capsys.readouterr().err
    assert main(["rm", "results/mixed/", "--yes"]) == 4
    assert outside.journal.exists()


def test_a_folder_elsewhere_is_refused_with_the_option_that_takes_it(
    mixed: StudyFolder, tmp_path: Path, capsys: Output
) -> None:
    outside = studies.store(tmp_path / "elsewhere", "mixed")
    nested = studies.store(mixed.root, "nested")
    for folder in (outside, nested):
        assert main(["rm", str(folder.root), "--yes"]) == 2
        assert f"does not lie in results; give its own: --results {folder.root.parent}" in capsys.readouterr().err
        assert folder.exists()
    assert main(["rm", str(outside.root), "--yes", "--results", "elsewhere"]) == 0
    assert not outside.root.exists()


def test_links_inside_a_study_are_deleted_and_not_followed(mixed: StudyFolder, tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "file").write_text("x")
    (mixed.root / "trials" / "00001").symlink_to(outside)
    (mixed.root / "report.html").symlink_to(outside / "file")
    assert main(["rm", "mixed", "--yes"]) == 0
    assert (outside / "file").read_text() == "x"


def test_models_and_data_are_no_studies(results: Path, mixed: StudyFolder, capsys: Output) -> None:
    for name in ("models", "data", "online"):
        (results / name / "digits").mkdir(parents=True)
        assert main(["rm", name, "--yes"]) == 2
        (results / name / "plan.json").write_text("{}")
        assert main(["rm", name, "--yes"]) == 4
        (results / name / "plan.json").unlink()
    assert main(["rm", "mixed", "--yes"]) == 0
    assert {path.name for path in results.iterdir()} == {"models", "data", "online"}


def test_a_removal_that_was_killed_is_not_listed_and_finished_by_the_next(
    results: Path, mixed: StudyFolder, capsys: Output
) -> None:
    studies.store(results, "other")
    left = results / removal.BIN / "mixed.1.0"
    left.parent.mkdir()
    mixed.root.rename(left)
    (left / "study.journal").unlink()
    assert [folder.name for folder in find.all_studies(results)] == ["other"]
    assert main(["rm", "mixed", "--yes"]) == 2
    assert left.exists()
    assert main(["rm", "other", "--yes"]) == 0
    assert [*results.iterdir()] == []


def test_out_of_sight_is_never_behind_a_link(results: Path, mixed: StudyFolder, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    (results / removal.BIN).symlink_to(tmp_path / "precious")
    assert main(["rm", "mixed", "--yes"]) == 4
    assert mixed.exists()
    assert (tmp_path / "precious" / "file").exists()


def test_a_name_is_free_again_at_once(results: Path, mixed: StudyFolder) -> None:
    removal.remove(results, mixed)
    again = studies.store(results, "mixed")
    with acquire(again.root, study="mixed"):
        assert (again.root / "study.lock").exists()


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(
    "content", ["{", "{}", "[]", '{"plan": {"storage": "oracle://x"}}', '{"plan": {"storage": 7}}']
)
def test_a_study_that_cannot_be_read_can_be_deleted(results: Path, content: str) -> None:
    (results / "mixed" / "plan.json").write_text(content)
    (results / "mixed" / "study.journal").write_bytes(b"x\n{}\n")
    assert main(["rm", "mixed", "--yes"]) == 0
    assert [*results.iterdir()] == []


def test_a_study_in_a_database_is_deleted_there_and_the_database_stays(
    results: Path, tmp_path: Path, capsys: Output
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    for name in ("a", "b"):
        folder = studies.store(results, name, storage=url)
        folder.journal.unlink()
        storage = open_for_writing(url, study=name, folder=folder.root)
        add_trials(open_study(storage.optuna, name=name), 3, space=flat_space)
        storage.close()
    told = answer("y\n", "a", cwd=tmp_path)
    assert told.stderr.startswith(f"delete study 'a' with 3 trials, 0.0 MB, in results/a and {url}? [y/N] ")
    assert (trials_in(url, "a"), trials_in(url, "b")) == (None, 3)
    assert [path.name for path in results.iterdir()] == ["b"]
    (tmp_path / "study.db").write_bytes(b"not a database, and long enough to be looked at " * 30)
    assert main(["rm", "b", "--yes"]) == 3
    assert (results / "b" / "plan.json").exists(), "or nobody would know of what is left in the database"
    (tmp_path / "study.db").unlink()
    assert main(["rm", "b", "--yes"]) == 0
    assert not (tmp_path / "study.db").exists()
    assert [*results.iterdir()] == []


def test_a_copied_folder_is_deleted_without_the_study_in_the_database(results: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    folder = studies.store(results, "a", storage=url)
    storage = open_for_writing(url, study="a", folder=folder.root)
    add_trials(open_study(storage.optuna), 3, space=flat_space)
    storage.close()
    shutil.copytree(folder.root, results / "copy")
    assert main(["rm", "copy", "--yes"]) == 0
    assert trials_in(url, "a") == 3
    assert folder.exists()
