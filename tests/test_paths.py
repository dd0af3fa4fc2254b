from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import InputError
from search.paths import StudyFolder, check_name, inside, write_atomic


@pytest.mark.parametrize("name", ["a", "7", "tabular-2024.11.02_a", "A" * 100])
def test_a_plain_name_may_name_a_study(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "-a", "_a", "a b", "ä", "a\n", "a\0", "A" * 101]
)
def test_any_other_name_may_not_and_is_quoted(name: str) -> None:
    with pytest.raises(InputError) as refusal:
        check_name(name)
    assert refusal.value.message == (
        f"a study name is 1-100 of letters, digits, . _ -, starting with a letter or digit; got {name!r}"
    )
    assert refusal.value.field == "study"


def test_a_long_name_is_quoted_in_part() -> None:
    with pytest.raises(InputError) as refusal:
        check_name("x" * 10_000)
    assert len(refusal.value.message) < 250


@given(name=st.text(max_size=12))
def test_a_name_that_passes_stays_in_its_folder(name: str) -> None:
    root = Path("/results")
    try:
        folder = StudyFolder.of(root, name)
    except InputError:
        return
    assert folder.root.parent == root
    assert folder.name == name


@pytest.mark.parametrize("path", ["..", "a/../..", "/etc/passwd", "../results2"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "results"
    root.mkdir()
    with pytest.raises(InputError, match="leads out of"):
        inside(root, path)


@pytest.mark.parametrize("path", ["a", "a/b", "a/../b", "."])
def test_a_path_that_stays_inside_is_resolved(tmp_path: Path, path: str) -> None:
    assert inside(tmp_path, path) == (tmp_path / path).resolve()


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "results"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(InputError, match="leads out of"):
        inside(root, "link/x")


@pytest.mark.parametrize("content", ["text, ü", b"\x00\xff", ""])
def test_a_written_file_is_whole_and_leaves_nothing_beside_it(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "new" / "folder" / "plan.json"
    write_atomic(path, content)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert os.listdir(path.parent) == ["plan.json"]  # noqa: PTH208, hidden files count


def test_a_file_is_replaced_and_not_written_into(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_atomic(path, "old")
    with path.open() as reader:
        write_atomic(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_a_write_that_fails_keeps_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "plan.json"
    (target / "in the way").mkdir(parents=True)  # a folder cannot be replaced by a file
    with pytest.raises(OSError, match=r"plan\.json"):
        write_atomic(target, "new")
    assert os.listdir(tmp_path) == ["plan.json"]  # noqa: PTH208


def test_the_files_of_a_study_have_their_places(tmp_path: Path) -> None:
    folder = StudyFolder.of(tmp_path, "a")
    root = tmp_path.resolve() / "a"
    assert (folder.plan, folder.journal) == (root / "plan.json", root / "study.journal")
    trial = folder.trial(42)
    assert trial.log == root / "trials" / "00042" / "log.txt"
    assert trial.error == root / "trials" / "00042" / "error.txt"
    assert trial.checkpoint == root / "trials" / "00042" / "checkpoint"


def test_a_study_exists_once_it_has_a_plan(tmp_path: Path) -> None:
    folder = StudyFolder.of(tmp_path, "a")
    folder.root.mkdir()
    assert not folder.exists()
    write_atomic(folder.plan, "{}")
    assert folder.exists()


@pytest.mark.parametrize("name", ["data", "models", "online"])
def test_a_study_cannot_have_the_folder_of_other_things(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"no study is called '{name}'"):
        StudyFolder.of(tmp_path, name)
