"""Killed between any two calls of the system, a change leaves a registry that opens, whole versions, and no litter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from search.registry.registry import Registry
from tests.bundle.bundles import tiny
from tests.registry.models import add, registry, three

KILLED = """
import json, os, shutil, signal, sys
from pathlib import Path
from search.bundle.bundle import Bundle
from search.errors import SweepError
from search.registry.entries import Facts
from search.registry.registry import Registry

work, change = Path(sys.argv[1]), sys.argv[2]
EVENTS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.listdir", "os.scandir", "fcntl.flock")


def changed(one):
    if change == "add":
        one.add(one.folder.root / ".staged-x", Facts(), {"production": one.read().aliases.get("production")}, "why")
    else:
        one.rollback("why")


def killed(results, point):
    # Return whether a child was killed before the `point`-th call of the system.
    child = os.fork()
    if child == 0:
        left = [point]

        def hook(event, arguments):
            if event in EVENTS:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        one = Registry.of(results, "churn")
        sys.addaudithook(hook)
        try:
            changed(one)
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def check(results, before):
    # Whole as it was, or whole as it was to be; and the next one goes through.
    one = Registry.of(results, "churn")
    contents = one.read()
    assert set(before.versions) <= set(contents.versions), "a version is lost"
    assert contents.history[: len(before.history)] == before.history, "a move is lost"
    for number in contents.versions:
        one.bundle(number)
    done = contents != before
    spare = one.folder.root / ".staged-y"
    number = one.add(spare, Facts(), {}, "after")
    assert number == max([0, *contents.versions]) + 1
    for each in one.read().versions:
        one.bundle(each)
    names = {path.name for path in one.folder.root.iterdir()}
    expected = {".lock", "registry.json", *map(str, one.read().versions)}
    assert names - {".staged-x"} == expected, names
    return done


outcomes, point = [], 0
while True:
    point += 1
    results = work / f"at-{point}"
    shutil.copytree(work / "before", results)
    before = Registry.of(results, "churn").read()
    was_killed = killed(results, point)
    outcomes.append(check(results, before))
    shutil.rmtree(results)
    if not was_killed:
        break
sys.stdout.write(json.dumps(outcomes))
"""


@pytest.mark.parametrize(("change", "versions"), [("add", 0), ("add", 3), ("rollback", 3)])
def test_kill_9_at_every_call_leaves_a_registry_that_opens(tmp_path: Path, change: str, versions: int) -> None:
    one = three(tmp_path / "before") if versions else registry(tmp_path / "before")
    tiny(one.folder.root / ".staged-x", shift=50.0)
    tiny(one.folder.root / ".staged-y", shift=60.0)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), change], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes = json.loads(done.stdout)
    assert len(outcomes) > 10, "the changes were not interrupted"
    assert outcomes == sorted(outcomes), "a change that was done is undone by a later kill"
    assert outcomes[0] is False
    assert outcomes[-1] is True


NOT_UNLINKED = """
import sys
from pathlib import Path
from search.registry.entries import Facts
from search.registry.registry import Registry


def hook(event, arguments):
    if event == "os.remove" and str(arguments[0]).endswith(one.folder.adding.name):
        raise PermissionError(1, "no")


one = Registry.of(Path(sys.argv[1]), "churn")
sys.addaudithook(hook)
sys.stdout.write(str(one.add(one.folder.root / ".staged-x", Facts(), {"production": None}, "why")))
"""


def test_a_note_that_stays_is_no_failure_of_a_version_that_serves(tmp_path: Path) -> None:
    one = registry(tmp_path)
    tiny(one.folder.root / ".staged-x")
    command = [sys.executable, "-c", NOT_UNLINKED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "1"), done.stderr[-2000:]
    assert one.read().aliases == {"production": 1}
    assert one.folder.adding.exists()
    assert add(one) == 2
    assert not one.folder.adding.exists()


def test_a_version_that_was_not_being_added_is_never_taken_away(tmp_path: Path) -> None:
    """The registry's file was put back from an older copy: what it does not know stays where it is."""
    one = three(tmp_path)
    older = one.folder.registry.read_bytes()
    add(one)
    one.folder.registry.write_bytes(older)
    assert add(one) == 5
    assert one.folder.version(4).is_dir()
    assert sorted(one.read().versions) == [1, 2, 3, 5]


@pytest.mark.parametrize("note", ["", "{}", '{"version": "1"}', '{"version": 1}', '{"version": 99}', "[1]"])
def test_a_note_that_says_nothing_costs_nothing(tmp_path: Path, note: str) -> None:
    one = three(tmp_path)
    one.folder.adding.write_text(note)
    assert add(one) == 4
    assert not one.folder.adding.exists()
    for number in range(1, 5):
        assert Registry.of(tmp_path, "churn").bundle(number)
