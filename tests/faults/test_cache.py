"""A store on a disk that is full or cannot be written: trials get their rows all the same, and come to the same.

The disk is real: a small tmpfs of a process's own, with less and less room, or one that is mounted for reading only.

Mutations that turn these red: take the store's OSError for the stage's; leave half an entry behind; throw nothing out
before giving up.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from search.contract import Context, Part, Prepared
from search.prepared import Preparations
from search.store import Store

ROOT: Final = Path(__file__).parents[2]
ROWS: Final = 40_000  # of 8 bytes


@pytest.fixture(autouse=True, scope="module")
def mounts() -> None:
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    if probe.returncode:
        pytest.skip("this machine does not let us mount a small disk")


def seen_on(disk: Path, options: str, what: str) -> list[dict[str, Any]]:
    """Return what a process of its own sees on a disk of its own."""
    disk.mkdir()
    script = 'mount -t tmpfs -o "$0" tmpfs "$1" && shift 1 && exec "$@"'
    command = [sys.executable, "-m", "tests.faults.test_cache", what, str(disk)]
    ended = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, options, str(disk), *command], text=True, capture_output=True, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_whatever_room_is_left_every_trial_gets_its_rows(tmp_path: Path) -> None:
    seen = seen_on(tmp_path / "disk", "size=1200k", "less room")
    assert all(one["right"] for one in seen)
    hows = [one["how"] for one in seen]
    assert hows[:2] == ["made", "found"]
    assert hows[-2:] == ["unkept", "unkept"]
    for one in seen:
        assert one["trouble"] == ("prepared rows could not be kept: No space left on device" * (one["how"] == "unkept"))
        assert not one["left"]
        assert one["computed"] == (one["how"] != "found")


def test_a_full_disk_throws_out_what_was_kept_before_it_gives_up(tmp_path: Path) -> None:
    seen = seen_on(tmp_path / "disk", "size=800k", "other kinds")
    assert [one["how"] for one in seen] == ["made"] * 4
    assert all(one["right"] for one in seen)
    assert [len(one["keys"]) for one in seen] == [1, 2, 1, 2]  # it holds two


def test_a_store_that_can_only_be_read_gives_what_it_has_or_lets_trials_compute(tmp_path: Path) -> None:
    seen = seen_on(tmp_path / "disk", "size=20m", "read only")
    assert all(one["right"] for one in seen)
    assert [one["how"] for one in seen] == ["made", "found", "unkept"]
    assert seen[-1]["trouble"] == "prepared rows could not be kept: Read-only file system"


def test_trials_of_a_sweep_whose_store_is_full_run_all_the_same(tmp_path: Path) -> None:
    flags = ("--trials", "4", "--max-epochs", "2", "--concurrency", "1", "--set", "model.family=linear")
    command = [sys.executable, "-m", "search", "run", "tabular", *flags, "--json"]
    place = {**os.environ, "SWEEP_STORE": str(tmp_path / "disk" / "store")}
    (tmp_path / "disk").mkdir()
    script = 'mount -t tmpfs -o size=16k tmpfs "$0" && exec "$@"'
    kept = ["unshare", "-m", "sh", "-c", script, str(tmp_path / "disk"), *command]
    ended = subprocess.run(kept, text=True, capture_output=True, cwd=tmp_path, env=place, timeout=120)
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert answer["prepared"] == {"unkept": 4, "saved_s": 0.0}
    assert answer["trials"]["complete"] + answer["trials"]["pruned"] == 4


# --- in a process of its own, on a disk of its own ---


def tried(store: Store, kind: int) -> dict[str, Any]:
    """Ask for the rows of a kind, and say what came."""
    computed = False

    def make() -> Prepared:
        nonlocal computed
        computed = True
        return Prepared(Part(np.full(ROWS, float(kind)), np.arange(3)), Part(np.ones(2), np.arange(2)))

    kept = Preparations(store, {})
    prepared, reuse = kept.get({"kind": kind}, Context(), make)
    right = bool((prepared.train.features == kind).all()) and len(prepared.train.features) == ROWS
    left = [path.name for path in store.root.glob(".*-*")] if store.root.exists() else []
    keys = store.keys()
    return {"how": reuse.how, "right": right, "trouble": kept.trouble, "computed": computed, "left": left, "keys": keys}


def main(what: str, place: str) -> None:
    disk = Path(place)
    store = Store(disk / "store", 2**30)
    seen = [tried(store, 0)]
    if what == "other kinds":
        seen += [tried(store, kind) for kind in range(1, 4)]
    elif what == "read only":
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        seen += [tried(store, 0), tried(store, 1)]
    else:
        seen.append(tried(store, 0))
        filler = disk / "filler"
        for size in range(500_000, 1_200_000, 100_000):
            shutil.rmtree(store.root)
            filler.write_bytes(b"x" * size)
            seen.append(tried(store, size))
    for one in seen:
        sys.stdout.write(f"{json.dumps(one)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
