"""Which folders of a project a worker may search before its own packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.tuner.shadowing import hides_a_library

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("files", "hides"),
    [
        (["search.py"], True),
        (["search/__init__.py"], True),
        (["search/mine.txt"], False),  # a mere folder of files
        (["queue.py"], True),
        (["pytest/__init__.py"], True),
        (["train.py", "helpers.py", "data/rows.csv", "test.py"], False),
        ([], False),
    ],
)
def test_a_folder_hides_a_library_by_a_module_of_its_name(files: list[str], hides: bool, tmp_path: Path) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("")
    assert hides_a_library(str(tmp_path)) == hides


def test_a_folder_that_is_gone_or_that_the_library_is_loaded_from_hides_none(tmp_path: Path) -> None:
    assert not hides_a_library(str(tmp_path / "gone"))
    assert not hides_a_library(str(ROOT))
    assert not hides_a_library(str(Path(pytest.__file__).parents[1]))
