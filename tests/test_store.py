"""Folders by key: made once over real processes, started at once or killed; thrown out in turn; never half there.

Mutations that turn these red: take no lock in `Store.get`; do not look again once the lock is held; leave out the
checksums of an entry from before the last start; leave the lock of a maker to what it
forked, when it is done or when it is killed.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from search.store import Store

ROOT = Path(__file__).parents[1]
KEY = "ab" * 32
# what the processes of a test do: `sys.argv` is the store, the file that counts, and what happens in the middle
MAKER = """
import json, os, sys, time
from pathlib import Path
from search.store import Store

root, count, middle = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def make(folder):
    with count.open("a") as file:
        file.write(f"{os.getpid()}\\n")
    (folder / "half").write_bytes(b"1" * 1000)
    if "fork" in middle:
        child = os.fork()
        if child == 0:
            os.close(1), os.close(2)
            time.sleep(60)
            os._exit(0)
        count.with_name("child").write_text(str(child))
    if "sleep" in middle:
        time.sleep(60)
    time.sleep(0.3)
    (folder / "value").write_text("made")

entry = Store(root).get("ab" * 32, make)
print(json.dumps([entry.how, (entry.path / "value").read_text()]))
"""


def start(root: Path, count: Path, middle: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MAKER, str(root), str(count), middle]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def answer(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out)  # type: ignore[no-any-return]


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def files(**contents: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for name, content in contents.items():
            (folder / name).write_text(content)

    return make


def never(_folder: Path) -> None:
    raise AssertionError("it is there already")


def left_in(root: Path) -> list[str]:
    """Return what is neither an entry nor the folder of locks."""
    return sorted(path.name for path in root.iterdir() if path.name.startswith(".") and path.name != ".locks")


# --- one computation ---


def test_eight_processes_at_once_compute_once_and_get_the_same(tmp_path: Path) -> None:
    processes = [start(tmp_path / "store", tmp_path / "count") for _ in range(8)]
    answers = [answer(process) for process in processes]
    assert len((tmp_path / "count").read_text().split()) == 1
    assert [value for _, value in answers] == ["made"] * 8
    assert sorted(how for how, _ in answers).count("made") == 1
    assert {how for how, _ in answers} <= {"made", "waited", "found"}
    assert not left_in(tmp_path / "store")
    assert not list((tmp_path / "store" / ".locks").iterdir())


def test_where_the_one_that_computes_is_killed_the_next_one_computes(tmp_path: Path) -> None:
    root, count = tmp_path / "store", tmp_path / "count"
    doomed = start(root, count, "sleep")
    wait_until(count.exists)
    wait_until((root / f".making-{KEY}" / "half").exists)
    assert Store(root).is_being_made(KEY)
    waiting = [start(root, count) for _ in range(3)]
    time.sleep(0.5)
    doomed.kill()
    doomed.communicate()
    answers = [answer(process) for process in waiting]
    assert len(count.read_text().split()) == 2
    assert sorted(how for how, _ in answers)[0] in ("found", "made")
    assert [how for how, _ in answers].count("made") == 1
    entry = Store(root).find(KEY)
    assert entry is not None
    assert sorted(path.name for path in entry.path.iterdir()) == ["entry.json", "half", "value"]
    assert not Store(root).is_being_made(KEY)


def test_a_process_that_a_maker_leaves_behind_keeps_nobody_waiting(tmp_path: Path) -> None:
    root, count = tmp_path / "store", tmp_path / "count"
    maker = start(root, count, "fork")
    wait_until(count.exists)
    waiting = start(root, count)
    time.sleep(0.2)
    assert answer(maker)[0] == "made"
    begun = time.monotonic()
    assert answer(waiting) == ["waited", "made"]
    assert time.monotonic() - begun < 20
    assert len(count.read_text().split()) == 1
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


def test_what_a_maker_that_is_killed_has_forked_keeps_nobody_waiting(tmp_path: Path) -> None:
    root, count = tmp_path / "store", tmp_path / "count"
    maker = start(root, count, "fork, sleep")
    child = tmp_path / "child"
    wait_until(lambda: child.exists() and bool(child.read_text()))
    maker.kill()
    maker.communicate()
    assert answer(start(root, count)) == ["made", "made"]
    os.kill(int(child.read_text()), signal.SIGKILL)


def test_what_killed_makers_have_left_is_removed_when_something_else_is_made(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in (f".making-{KEY}", ".gone-1"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "half").write_text("x" * 1000)
    store.get("01", files(value="1"))
    assert not left_in(tmp_path)
    assert not list((tmp_path / ".locks").iterdir())


def test_on_a_full_disk_what_killed_makers_have_left_is_removed_before_the_store_gives_up(tmp_path: Path) -> None:
    left = tmp_path / ".making-ff"
    left.mkdir()

    def make(folder: Path) -> None:
        (folder / "value").write_text("1")
        if left.exists():
            raise OSError(errno.ENOSPC, "no room")

    assert Store(tmp_path).get(KEY, make).how == "made"


def test_what_another_process_is_making_is_left_to_it(tmp_path: Path) -> None:
    root, count = tmp_path / "store", tmp_path / "count"
    maker = start(root, count)
    wait_until((root / f".making-{KEY}" / "half").exists)
    Store(root).get("01", files(value="1"))
    assert answer(maker) == ["made", "made"]


def test_an_exception_of_make_is_raised_and_nothing_kept(tmp_path: Path) -> None:
    store, error = Store(tmp_path), ValueError("no such column")

    def fails(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise error

    with pytest.raises(ValueError, match="no such column") as raised:
        store.get(KEY, fails)
    assert raised.value is error
    assert store.find(KEY) is None
    assert not left_in(tmp_path)
    assert store.get(KEY, files(value="1")).how == "made"
    assert store.get(KEY, never).how == "found"


def test_an_entry_says_what_it_cost(tmp_path: Path) -> None:
    Store(tmp_path).get(KEY, lambda folder: time.sleep(0.2))
    found = Store(tmp_path).find(KEY)
    assert found is not None
    assert 0.2 <= found.cost_s < 2


# --- the least recently used goes first ---


def test_the_least_recently_used_entry_goes_first_and_the_newest_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path, 4000)
    for key in ("01", "02", "03"):
        store.get(key, files(value="x" * 1000))
        time.sleep(0.01)
    assert store.find("01") is not None  # a use
    time.sleep(0.01)
    store.get("04", files(value="x" * 1000))
    assert sorted(store.keys()) == ["01", "03", "04"]
    assert store.bytes_used() <= 4000
    store.get("05", files(value="x" * 9000))
    assert store.keys() == ["05"]
    assert not left_in(tmp_path)


def test_without_a_limit_it_takes_a_fifth_of_the_space_that_is_free(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for key in ("01", "02", "03"):
        store.get(key, files(value="x" * 1000))
    assert sorted(store.keys()) == ["01", "02", "03"]


def test_what_is_thrown_out_while_it_is_mapped_stays_readable(tmp_path: Path) -> None:
    store = Store(tmp_path, 2_000_000)
    entry = store.get("01", lambda folder: np.save(folder / "x.npy", np.arange(200_000)))
    mapped = np.load(entry.path / "x.npy", mmap_mode="r")
    store.get("02", files(value="x" * 1_900_000))
    assert store.keys() == ["02"]
    assert not entry.path.exists()
    assert int(mapped.sum()) == 199_999 * 100_000


def test_stores_of_two_folders_share_nothing(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    one.get(KEY, files(value="1"))
    assert two.find(KEY) is None
    assert one.identity != two.identity
    assert one.identity == Store(tmp_path / "one").identity


def test_processes_that_see_one_folder_agree_on_its_name(tmp_path: Path) -> None:
    code = "import sys, pathlib, search.store as s; print(s.Store(pathlib.Path(sys.argv[1])).identity)"
    command = [sys.executable, "-c", code, str(tmp_path / "store")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(6)]
    assert len({process.communicate(timeout=60)[0] for process in started}) == 1


# --- damage ---


def truncate(folder: Path) -> None:
    (folder / "value").write_text("")


def lose_a_file(folder: Path) -> None:
    (folder / "value").unlink()


def lose_the_facts(folder: Path) -> None:
    (folder / "entry.json").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        lose_a_file,
        lose_the_facts,
        *(
            lambda folder, text=text: (folder / "entry.json").write_text(text)
            for text in ("", "{", "[]", "5", '{"files": []}', '{"files": {"value": 4}}', '{"files": {}, "boots": 1}')
        ),
    ],
)
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    store = Store(tmp_path)
    damage(store.get(KEY, files(value="good")).path)
    assert store.find(KEY) is None
    again = store.get(KEY, files(value="good"))
    assert (again.how, (again.path / "value").read_text()) == ("made", "good")
    assert store.get(KEY, never).how == "found"


@pytest.mark.parametrize(("content", "believed"), [("good", True), ("evil", False)])
def test_an_entry_from_before_the_last_start_is_believed_if_its_checksums_hold(
    tmp_path: Path, content: str, believed: bool
) -> None:
    store = Store(tmp_path)
    folder = store.get(KEY, files(value="good")).path
    facts = json.loads((folder / "entry.json").read_text())
    (folder / "entry.json").write_text(json.dumps({**facts, "boots": ["another"]}))
    (folder / "value").write_text(content)
    assert (store.find(KEY) is not None) is believed
    if believed:  # and is not read again
        (folder / "value").write_text("evil")
        assert store.find(KEY) is not None


def test_machines_that_share_a_disk_each_check_an_entry_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = store.get(KEY, files(value="good")).path
    facts = json.loads((folder / "entry.json").read_text())
    (folder / "entry.json").write_text(json.dumps({**facts, "boots": ["another"]}))
    store.find(KEY)
    kept = json.loads((folder / "entry.json").read_text())["boots"]
    assert kept == ["another", *facts["boots"]]
