"""A disk that fills up at any moment: one sentence, no told trial lost, and after space is freed the sweep goes on.

The disk is real: a small tmpfs, filled to another level each time, or out of inodes at another file each time; and a
limit of the process's file size makes each single write of a journal fall short.

Mutations that turn these red: let `TrialRun` take a `SurroundingsError` for the trial's own fault; leave the beginning
of a record in the journal (`JournalWriter._cut_back`); let `TrialFiles` raise a bare OSError; have a slot take the
error of its files' actor for a lost session (`search.tuner.calls.call`).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from search.choosing import choose
from search.errors import SurroundingsError
from search.launch import Launch, prepare
from search.local import run_here, setting_of
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trial import Outcome
from tests.together import together
from tests.tuner.sweeps import stored

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = 4096

LEARNS: Final = '''
import numpy as np
from search.contract import Dataset, Metric, Prepared, State, Task


class Learner:
    """A random walk whose state, of 16 kB, is all it has."""

    budget = 9

    def __init__(self, params, context):
        self.x, self.weights, self.epoch = params["train.x"], np.zeros(2000), 0

    def fit_epoch(self):
        self.epoch += 1
        self.weights += np.random.normal(self.x, 1.0, 2000) / self.epoch
        return {"train_loss": float(self.weights.sum())}

    def evaluate(self):
        return {"val_loss": float((self.weights**2).mean()) / self.epoch}

    def state(self):
        return State({"weights": self.weights}, {"epoch": self.epoch})

    def load_state(self, state):
        self.weights, self.epoch = state.arrays["weights"].copy(), state.meta["epoch"]


def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)


class Learns:
    space = staticmethod(space)

    def data(self, source):
        rows = np.arange(60.0).reshape(60, 1)
        return Dataset("rows", Task.REGRESSION, rows, rows[:, 0])

    def metrics(self, dataset):
        return (Metric("val_loss", "minimize"),)

    def preprocess(self, params, train, validation, context):
        return Prepared(train, validation)

    def learner(self, params, prepared, context):
        return Learner(params, context)
'''


class Telling(StudyOwner):
    """An owner that remembers the trials whose end it has acknowledged."""

    told: list[int]

    def tell(self, number: int, token: str, outcome: Outcome) -> None:
        super().tell(number, token, outcome)
        self.told.append(number)


def launch_in(results: Path, objective: Path, *, trials: int, pruner: str = "asha") -> Launch:
    flags = {"study": "s", "seed": 5, "trials": trials, "max-epochs": 9, "pruner": pruner}
    return prepare(str(objective), choose(flags), results=results, folder=objective.parent)


def go_on(launch: Launch, run: str, told: list[int], *, keeps: str) -> str:
    """Run trials to the end of the budget; they keep a checkpoint of each epoch, as by default, or no files at all."""
    owner = Telling.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=Run(run))
    owner.told = told
    try:
        owner.prepare(launch.baseline)
        setting = setting_of(launch.plan, launch.problem)
        folder = None if keeps == "nothing" else launch.folder.root
        every_s = 0.0 if keeps == "each epoch" else None
        run_here(owner, launch.problem, setting, folder, checkpoint_every_s=every_s)
        return owner.finish().why_stopped
    finally:
        owner.close()


def what_happened(results: Path) -> list[Any]:
    """Return what a resumed study must have in common with an uninterrupted one, as plain Optuna reads it."""
    try:
        trials = stored(results)
    except (FileNotFoundError, KeyError):  # no journal, or nothing in it yet
        return []
    return [
        [trial.number, trial.state.name, trial.params, sorted(trial.intermediate_values.items()), trial.values]
        for trial in trials
    ]


# --- in a process of its own, which may mount and limit what it likes ---


def resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{size}", disk], check=True)


@contextlib.contextmanager
def full_disk(disk: Path, level: int) -> Iterator[None]:
    """Leave room for a page more at every second level: the levels in between keep more checkpoints."""
    resize(disk, "size=64m,nr_inodes=10000")
    filler = disk / "filler"
    filler.write_bytes(b"")
    used = shutil.disk_usage(disk).used
    resize(disk, f"size={used + (level // 2 + 40) * PAGE}")
    filler.write_bytes(b"x" * 40 * PAGE)
    try:
        yield
    finally:
        filler.unlink()
        resize(disk, "size=64m")


@contextlib.contextmanager
def no_inodes(disk: Path, level: int) -> Iterator[None]:
    """Leave room for `level` more files and folders."""
    resize(disk, "size=64m,nr_inodes=10000")
    used = os.statvfs(disk).f_files - os.statvfs(disk).f_ffree
    resize(disk, f"nr_inodes={used + level}")
    try:
        yield
    finally:
        resize(disk, "nr_inodes=10000")


@contextlib.contextmanager
def file_size_limit(_disk: Path, size: int) -> Iterator[None]:
    """Let no write of this process go beyond `size` bytes of a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


FAULTS: Final = {"space": full_disk, "inodes": no_inodes, "file size": file_size_limit}


def suffer(disk: Path, objective: Path, fault: str, trials: int, levels: list[int]) -> Iterator[dict[str, Any]]:
    """Run a study at each level until the disk ends it, free the disk, go on to the end, and say what was seen."""
    launch = launch_in(disk, objective, trials=trials)
    for level in levels:
        shutil.rmtree(launch.folder.root, ignore_errors=True)
        launch.folder.root.mkdir()
        told: list[int] = []
        keeps = "nothing" if fault == "file size" else ("default", "each epoch")[level % 2]
        with FAULTS[fault](disk, level):
            try:
                said = f"ended: {go_on(launch, 'one', told, keeps=keeps)}"
            except SurroundingsError as error:
                said = error.sentence()
            except Exception:
                said = traceback.format_exc()
        there = {row[0]: row for row in what_happened(disk)}
        kept = [there[number] for number in told if number in there and there[number][1] != "RUNNING"]
        acknowledged = len(told)
        written = launch.folder.journal.read_bytes().count(b"\n") if launch.folder.journal.exists() else 0
        try:
            after = go_on(launch, "two", told, keeps=keeps)
        except Exception:
            after = traceback.format_exc()
        yield {
            "level": level,
            "said": said,
            "records": written,
            "told": acknowledged,
            "kept": kept,
            "after": after,
            "trials": what_happened(disk),
        }


def command_lines(disk: Path, objective: Path, trials: int, levels: list[int]) -> Iterator[dict[str, Any]]:
    """Do the same with `sweep run` and `sweep resume`."""
    flags = [
        "--study",
        "s",
        "--seed",
        "5",
        "--trials",
        str(trials),
        "--max-epochs",
        "9",
        "--concurrency",
        "1",
        "--pruner",
        "asha",
    ]
    for level in levels:
        shutil.rmtree(disk / "s", ignore_errors=True)
        with full_disk(disk, level):
            ran = sweep("run", str(objective), *flags, "--results", str(disk), "--json")
            left = what_happened(disk)
        resumed = sweep("resume", "s", "--results", str(disk), "--json")
        yield {
            "level": level,
            "codes": [ran.returncode, resumed.returncode],
            "said": [ran.stderr, resumed.stderr],
            "left": left,
            "trials": what_happened(disk),
        }


def sweep(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "search", *arguments], text=True, capture_output=True)


def main(disk: str, objective: str, fault: str, trials: str, levels: str) -> None:
    place, count, where = (Path(disk), Path(objective)), int(trials), json.loads(levels)
    seen = command_lines(*place, count, where) if fault == "command line" else suffer(*place, fault, count, where)
    for one in seen:
        sys.stdout.write(f"{json.dumps(one)}\n")


# --- the tests ---


@pytest.fixture(scope="module")
def mounts() -> None:
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    if probe.returncode:
        pytest.skip("this machine does not let us mount a small disk")


@pytest.fixture(scope="module")
def objective(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("project") / "learns.py"
    path.write_text(LEARNS)
    return path


@pytest.fixture
def memory_folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder in memory where there is one: hundreds of syncs to a disk take long."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


def undisturbed(folder: Path, objective: Path, *, trials: int, pruner: str = "asha") -> list[Any]:
    launch = launch_in(folder, objective, trials=trials, pruner=pruner)
    assert go_on(launch, "one", [], keeps="default") == f"{trials} of {trials} trials"
    return json.loads(json.dumps(what_happened(folder)))  # type: ignore[no-any-return]


def seen_at(
    folder: Path, objective: Path, fault: str, levels: list[int], *, trials: int, mounted: bool = True
) -> list[dict[str, Any]]:
    """Return what a process sees at each level, on a small disk of its own where that is `mounted`."""
    disk = folder / "disk"
    disk.mkdir()
    arguments = [str(disk), str(objective), fault, str(trials), json.dumps(levels)]
    command = [sys.executable, "-m", "tests.faults.test_full_disk", *arguments]
    if mounted:
        script = 'mount -t tmpfs tmpfs "$0" && exec "$@"'
        command = ["unshare", "-m", "sh", "-c", script, str(disk), *command]
    ended = subprocess.run(command, text=True, capture_output=True, cwd=ROOT, timeout=200)
    assert ended.returncode == 0, ended.stderr
    seen = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [one["level"] for one in seen] == levels
    return seen


def check(seen: list[dict[str, Any]], expected: list[Any], sentence: str) -> None:
    """See that each level ended in the sentence, lost nothing, and came to the trials of an undisturbed study."""
    for one in seen:
        assert one["said"].startswith(sentence), one["said"]
        assert "\n" not in one["said"]
        assert len(one["kept"]) == one["told"], one["level"]
        assert one["after"] == f"{len(expected)} of {len(expected)} trials"
        assert one["trials"] == expected, one["level"]
        assert one["kept"] == [row for row in expected if row in one["kept"]]


@pytest.mark.usefixtures("mounts")
def test_at_each_level_of_a_full_disk_a_study_ends_in_a_sentence_and_resumes(tmp_path: Path, objective: Path) -> None:
    expected = undisturbed(tmp_path, objective, trials=70)
    seen = seen_at(tmp_path, objective, "space", [*range(30), *range(30, 120, 3)], trials=70)
    check(seen, expected, f"no space left on {tmp_path / 'disk' / 's'}: 0.0 MB free; free some and try again")
    assert len({one["told"] for one in seen}) > 10  # it filled up early and late


@pytest.mark.usefixtures("mounts")
def test_whichever_file_finds_no_inode_a_study_ends_in_a_sentence_and_resumes(tmp_path: Path, objective: Path) -> None:
    expected = undisturbed(tmp_path, objective, trials=8)
    seen = seen_at(tmp_path, objective, "inodes", list(range(12)), trials=8)
    check(seen, expected, f"no space left on {tmp_path / 'disk' / 's'}: as many files as it can hold; free some")


def test_whichever_write_of_a_journal_falls_short_a_study_ends_in_a_sentence_and_resumes(
    memory_folder: Path, objective: Path
) -> None:
    expected = undisturbed(memory_folder, objective, trials=5)
    journal = (memory_folder / "s" / "study.journal").read_bytes()
    ends = [index + 1 for index, byte in enumerate(journal) if byte == ord("\n")]
    levels = [end - before for end in ends for before in (40, 1)][:-8]  # times have more or fewer digits in each run
    seen = seen_at(memory_folder, objective, "file size", levels, trials=5, mounted=False)
    check(seen, expected, f"{memory_folder / 'disk' / 's'}")
    assert all(one["said"].endswith(" cannot be written: File too large") for one in seen)
    assert len({one["records"] for one in seen}) > len(ends) // 3  # a write has up to four records


@pytest.mark.usefixtures("mounts")
def test_a_sweep_that_fills_its_disk_exits_with_3_and_says_how_to_go_on(tmp_path: Path, objective: Path) -> None:
    expected = undisturbed(tmp_path, objective, trials=20)
    disks = {level: tmp_path / str(level) / "disk" for level in (6, 16, 30)}
    for disk in disks.values():
        disk.parent.mkdir()
    at_once = {
        level: partial(seen_at, disk.parent, objective, "command line", [level], trials=20)
        for level, disk in disks.items()
    }
    seen = [one for told in together(at_once).values() for one in told]
    for one in seen:
        assert one["codes"] == [3, 0], one["said"]
        error = json.loads(one["said"][0].splitlines()[-1])["error"]
        disk = disks[one["level"]]
        assert error["message"] == f"no space left on {disk / 's'}: 0.0 MB free"
        goes_on = f"free some; `sweep resume s --results {disk}` goes on"
        assert error["hint"] == (goes_on if one["left"] else "free some and try again")
        assert "Traceback" not in "".join(one["said"])
        assert [row for row in one["left"] if row[1] != "RUNNING"] == expected[
            : sum(r[1] != "RUNNING" for r in one["left"])
        ]
        assert one["trials"] == expected
    assert not seen[0]["left"]
    assert seen[-1]["left"]


if __name__ == "__main__":
    main(*sys.argv[1:])
