"""Several processes at once: no version is lost, none is given twice, and the history adds up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from search.registry.registry import Registry
from search.registry.resolving import resolve
from tests.bundle.bundles import tiny
from tests.registry.models import FACTS

PROCESSES, EACH = 8, 3

WRITER = """
import sys
from pathlib import Path
from search.errors import RefusedError
from search.registry.entries import Facts
from search.registry.registry import Registry
one = Registry.of(Path(sys.argv[1]), "churn")
sys.stdin.readline()
for staged in sorted(one.folder.root.glob(f".staged-{sys.argv[2]}-*")):
    while True:  # as a promotion does that finds another one was quicker
        try:
            number = one.add(staged, Facts(), {"production": one.read().aliases.get("production")}, "gate")
        except RefusedError as error:
            assert "by now" in error.message, error.message
        else:
            break
    one.move(f"seen-{sys.argv[2]}", number, "mine")
    sys.stdout.write(f"{number} ")
"""


def test_eight_processes_add_and_move_at_once(tmp_path: Path) -> None:
    one = Registry.of(tmp_path, "churn")
    for process in range(PROCESSES):
        for index in range(EACH):
            tiny(
                one.folder.root / f".staged-{process}-{index}",
                number=process * EACH + index,
                shift=process + index / 10,
            )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(process)], stdin=-1, stdout=-1, stderr=-1, text=True
        )
        for process in range(PROCESSES)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    seen = [one.read() for _ in range(50)]  # a reader takes no lock and finds a whole file each time
    told = [writer.communicate(timeout=60) for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * PROCESSES, told

    total = PROCESSES * EACH
    contents = one.read()
    assert sorted(int(number) for out, _ in told for number in out.split()) == list(range(1, total + 1))
    assert sorted(contents.versions) == list(range(1, total + 1))
    assert sorted(one.bundle(number).manifest.members[0].number for number in contents.versions) == list(range(total))
    moves = [move for move in contents.history if move.alias == "production"]
    assert [move.was for move in moves] == [None, *(move.to for move in moves[:-1])]
    assert len(moves) == total
    assert len(contents.history) == 2 * total
    assert all(contents.history[: len(early.history)] == early.history for early in seen)
    assert set(contents.aliases) == {"production", *(f"seen-{process}" for process in range(PROCESSES))}
    left = {path.name for path in one.folder.root.iterdir()}
    assert left == {".lock", "registry.json", *map(str, range(1, total + 1))}


FOLLOWER = """
import sys
from pathlib import Path
from search.registry.resolving import resolve
results = Path(sys.argv[1])
for _ in range(40):
    found = resolve(results, "churn")
    assert found.open().digest == found.digest
"""


def test_who_follows_an_alias_meanwhile_always_finds_a_whole_version(tmp_path: Path) -> None:
    one = Registry.of(tmp_path, "churn")
    with one.staging() as staged:
        tiny(staged)
        one.add(staged, FACTS, {"production": None}, "")
    followers = [subprocess.Popen([sys.executable, "-c", FOLLOWER, str(tmp_path)], stderr=-1) for _ in range(2)]
    number = 1
    while any(follower.poll() is None for follower in followers):
        with one.staging() as staged:
            tiny(staged, shift=float(number))
            number = one.add(staged, FACTS, {"production": number}, "")
    assert [follower.communicate()[1] for follower in followers] == [b"", b""]
    assert resolve(tmp_path, "churn").version == number
