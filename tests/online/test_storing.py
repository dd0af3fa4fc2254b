"""What was learnt is found again, or it is said that it cannot be: nothing begins anew in silence.

Mutations that turn these red: take no whole snapshot for no snapshot; let trouble with the disk pass for damage, or
damage for trouble; sort by name what is written last, so that it removes itself; keep a damaged one in place of a whole
one, or three; leave what a killed writer began.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.errors import SurroundingsError
from search.online.events import Array
from search.online.storing import Snapshot, Snapshots
from search.paths import OnlineFolder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> OnlineFolder:
    return OnlineFolder(tmp_path / "online" / "rain")


def write(folder: OnlineFolder, sequence: int, done: int = 0) -> None:
    arrays: dict[str, Array] = {
        "a": np.arange(min(sequence, 7), dtype=np.float64)[::2],
        "none": np.zeros((0, 3), np.float32),
    }
    Snapshots(folder).write(Snapshot({"at": [sequence, done], "text": "ü"}, arrays), sequence, done)


def files(folder: OnlineFolder) -> list[Path]:
    return sorted(folder.state.iterdir())


def newest(folder: OnlineFolder) -> Any:
    found = Snapshots(folder).newest()
    return None if found is None else found.told["at"]


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "other format":
        changed = content[32:].replace(b'"format": 1', b'"format": 2')
        path.write_bytes(hashlib.sha256(changed).digest() + changed)
    else:
        flipped = bytes([*content[:-3], content[-3] ^ 1, *content[-2:]])
        path.write_bytes({"cut": content[:-1], "empty": b"", "flipped": flipped, "longer": content + b"\0"}[how])


HOW = ("cut", "empty", "flipped", "longer", "other format")


def test_what_is_written_is_found_again_bit_for_bit(folder: OnlineFolder) -> None:
    assert Snapshots(folder).newest() is None
    folder.state.mkdir(parents=True)
    (folder.state / "notes-of-mine.safetensors").write_text("no snapshot")
    assert Snapshots(folder).newest() is None
    write(folder, 7)
    found = Snapshots(folder).newest()
    assert found is not None
    assert found.told == {"at": [7, 0], "text": "ü"}
    assert found.arrays["a"].tolist() == [0.0, 2.0, 4.0, 6.0]
    assert (found.arrays["none"].shape, found.arrays["none"].dtype) == ((0, 3), np.float32)


def test_two_are_kept_in_the_order_of_events_and_steps(folder: OnlineFolder) -> None:
    for place in ((0, 0), (9, 0), (9, 3), (10, 1), (10**12, 2)):
        write(folder, *place)
        assert newest(folder) == [*place]
    assert Snapshots(folder).sequences() == [10, 10**12]
    write(folder, 10**12, 2)  # the same again
    assert Snapshots(folder).sequences() == [10, 10**12]


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_one_is_passed_over_aloud_for_the_one_before(folder: OnlineFolder, how: str) -> None:
    write(folder, 4)
    write(folder, 8)
    damage(files(folder)[-1], how)
    said: list[str] = []
    found = Snapshots(folder, said.append).newest()
    assert found is not None
    assert found.told["at"] == [4, 0]
    assert len(said) == 1
    assert str(files(folder)[-1]) in said[0]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("count", [1, 2])
def test_where_all_are_damaged_nothing_begins_anew(folder: OnlineFolder, count: int, how: str) -> None:
    for sequence in (4, 8)[:count]:
        write(folder, sequence)
    before = files(folder)
    for path in before:
        damage(path, how)
    with pytest.raises(SurroundingsError, match="cannot be read") as caught:
        Snapshots(folder).newest()
    for path in before:
        assert str(path) in caught.value.message
    assert f"move {folder.root} away to begin anew" in caught.value.sentence()
    assert files(folder) == before


def test_what_is_written_after_a_damaged_one_stays_beside_the_one_it_came_from(folder: OnlineFolder) -> None:
    write(folder, 4)
    write(folder, 8)
    damage(files(folder)[-1], "flipped")
    assert newest(folder) == [4, 0]
    write(folder, 6)  # sorted before the damaged one
    assert newest(folder) == [6, 0]
    assert Snapshots(folder).sequences() == [4, 6]
    write(folder, 9)
    assert Snapshots(folder).sequences() == [6, 9]


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.EACCES])
@pytest.mark.parametrize("call", ["read_bytes", "iterdir"])
def test_trouble_with_the_disk_is_neither_damage_nor_no_snapshot(
    folder: OnlineFolder, number: int, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, 4)
    write(folder, 8)

    def failing(self: Path) -> Any:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as failed:
        failed.setattr(Path, call, failing)
        with pytest.raises(SurroundingsError, match=f"cannot be read: {os.strerror(number)}"):
            Snapshots(folder).newest()
    assert newest(folder) == [8, 0]


def test_a_full_disk_is_a_sentence_and_leaves_what_is_there(
    folder: OnlineFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, 4)

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as filled:
        filled.setattr(os, "fsync", full)
        with pytest.raises(SurroundingsError, match=r"no space left on .*state"):
            write(folder, 8)
    assert newest(folder) == [4, 0]
    assert len(files(folder)) == 1


WRITER = """
import os, signal, sys
from pathlib import Path
from tests.online.test_storing import write
from search.paths import OnlineFolder

def killed(fd):
    os.kill(os.getpid(), signal.SIGKILL)

os.fsync = killed
write(OnlineFolder(Path(sys.argv[1])), 8)
"""


def test_what_a_killed_writer_left_is_no_snapshot_and_goes(folder: OnlineFolder) -> None:
    write(folder, 4)
    done = subprocess.run([sys.executable, "-c", WRITER, str(folder.root)], cwd=ROOT, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert len(files(folder)) == 2
    assert newest(folder) == [4, 0]
    write(folder, 9)
    assert [path.suffix for path in files(folder)] == [".safetensors"] * 2


def test_a_snapshot_is_written_only_of_numbers_that_json_has(folder: OnlineFolder) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        Snapshots(folder).write(Snapshot({"x": float("nan")}, {}), 1, 0)
    assert json.dumps(newest(folder)) == "null"
