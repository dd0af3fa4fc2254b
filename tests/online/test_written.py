"""Lines for people: each once in a life of a model, whole, and not more than a disk has room for.

Mutations that turn these red: forget the life of a line; look at the last line of the file only; look for a line break
in the last 64 KB; keep what a kill left; take a line for written that a full disk refused; forget the older file, or
never make it; let a half of a character take the line down.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search.errors import SurroundingsError
from search.online.written import Written


def told(path: Path) -> list[tuple[str, int]]:
    return [(one["life"], one["number"]) for one in map(json.loads, path.read_bytes().splitlines())]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rain" / "audit.jsonl"


def test_what_is_told_again_is_written_once_also_by_another_process(path: Path) -> None:
    for numbers in ((1, 2, 2, 1), (2, 3), (1, 2, 3, 4)):
        written = Written(path, "a")
        for number in numbers:
            written.add(number, {"why": "ü"})
    assert told(path) == [("a", 1), ("a", 2), ("a", 3), ("a", 4)]
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[0]) == {"number": 1, "life": "a", "why": "ü"}


def test_a_life_that_begins_anew_has_its_own_lines_and_the_one_before_may_come_back(path: Path) -> None:
    for identity, numbers in (("a", (1, 2, 3)), ("b", (1, 2)), ("a", (3, 4))):
        written = Written(path, identity)
        for number in numbers:
            written.add(number, {"why": '"life": "a", "b"'})
    assert told(path) == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("a", 4)]


@pytest.mark.parametrize("size", [10, 65_000, 65_536, 70_000, 1_000_000])
def test_lines_of_any_length_are_known_again_and_a_torn_one_is_cut_at_any_byte(path: Path, size: int) -> None:
    written = Written(path, "a")
    for number in (1, 2):
        written.add(number, {"row": "x" * size})
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    for end in {second, second + 1, second + 40, len(whole) - 2, len(whole) - 1}:
        path.write_bytes(whole[:end])
        again = Written(path, "a")
        assert path.read_bytes() == whole[:second]
        again.add(1, {})
        again.add(2, {"row": "x" * size})
        assert path.read_bytes() == whole
    path.write_bytes(whole[:30])  # no whole line at all
    Written(path, "a").add(1, {})
    assert told(path) == [("a", 1)]


def test_a_line_that_is_damaged_is_passed_over(path: Path) -> None:
    Written(path, "a").add(7, {})
    with path.open("ab") as file:
        file.write(b'\0\0"a"\0\n["a"]\n{"life": "a", "number": null}\n{"life": "b", "number": 9, "x": "a"}\n\n')
    written = Written(path, "a")
    before = path.read_bytes()
    written.add(7, {})
    assert path.read_bytes() == before
    written.add(8, {})
    assert path.read_bytes() == before + b'{"number": 8, "life": "a"}\n'


def test_a_file_that_is_full_goes_aside_and_its_lines_are_known_yet(path: Path) -> None:
    older = path.with_name("audit.1.jsonl")
    for number in range(1, 40):
        for again in (max(1, number - 1), number):  # a start each: the last line may be in the older file alone
            Written(path, "a", older=older, most_bytes=200).add(again, {"row": "x" * 20})
        assert path.stat().st_size <= 200
    numbers = [number for _, number in told(older) + told(path)]
    assert numbers == [*range(numbers[0], 40)]
    assert 2 < len(numbers) < 10

    path.unlink()  # between the two steps of a change of files
    Written(path, "a", older=older, most_bytes=200).add(told(older)[-1][1], {})
    assert not path.exists()


def test_a_line_larger_than_a_file_may_be_is_written_all_the_same(path: Path) -> None:
    older = path.with_name("audit.1.jsonl")
    written = Written(path, "a", older=older, most_bytes=100)
    for number in (1, 2):
        written.add(number, {"row": "x" * 500})
    assert (told(older), told(path)) == ([("a", 1)], [("a", 2)])


def test_half_of_a_character_does_not_take_a_line_down(path: Path) -> None:
    Written(path, "a").add(1, {"why": "\ud800 and ü"})
    assert json.loads(path.read_bytes())["why"] == "\ud800 and ü"


def test_a_full_disk_is_a_sentence_and_the_line_comes_whole_when_there_is_room(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Written(path, "a")
    written.add(1, {})
    open_ = Path.open

    class Full:
        """Takes five bytes of a line."""

        def __init__(self, file: Any) -> None:
            self._file = file

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *given: object) -> None:
            self._file.close()

        def write(self, data: bytes) -> int:
            self._file.write(data[:5])
            raise OSError(28, "No space left on device")

    def opened(self: Path, mode: str = "r") -> Any:
        return Full(open_(self, mode)) if mode == "ab" else open_(self, mode)

    with monkeypatch.context() as full:
        full.setattr(Path, "open", opened)
        with pytest.raises(SurroundingsError, match=r"no space left on .*rain: .* MB free") as caught:
            written.add(2, {})
    assert "free some" in caught.value.sentence()
    written.add(2, {})
    assert told(path) == [("a", 1), ("a", 2)]


def test_a_place_that_takes_no_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "rain").write_text("a file where a folder should be")
    with pytest.raises(SurroundingsError, match="cannot be written"):
        Written(tmp_path / "rain" / "audit.jsonl", "a")
    (tmp_path / "audit.jsonl").mkdir()
    with pytest.raises(SurroundingsError, match="cannot be written: Is a directory"):
        Written(tmp_path / "audit.jsonl", "a")
