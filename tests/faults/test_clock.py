"""A wall clock that is set forward and back by a day, while a sweep runs and between its runs, changes nothing.

libfaketime stands between a process and its clock, and reads from a file by how much it is wrong. With it
`time.sleep` fails after a jump (it waits for a moment that is past), so what waits here waits in `select`.

Mutations that turn these red: give `StudyOwner` or `TrialRun` `time.time` for a clock; sort ended trials by their
dates in `search/study/takeover.py`; believe the wall clock in `search.records.study._seconds`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from search.choosing import choose
from search.launch import Launch, prepare
from search.local import run_here, setting_of
from search.study.owner import StudyOwner
from search.study.runs import Run
from tests.tuner.sweeps import stored, write

ROOT = Path(__file__).parents[2]
DAY_S = 86_400

JUMPS = """
import os, select

def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)

@objective(space=space, metrics={"val_loss": "minimize"})
def jumps(run):
    order = HERE / "jumps.txt"
    for epoch in run.epochs:
        select.select([], [], [], 0.05)
        if epoch == 2 and order.exists():
            now, *later = order.read_text().split()
            order.write_text(" ".join(later)) if later else order.unlink()
            (HERE / "clock").write_text(now)
        if run.params["train.x"] == 0.5:
            select.select([], [], [], 0.3)
        yield {"val_loss": run.params["train.x"] + 1.0 / epoch}
"""


def library() -> Path | None:
    """Return where libfaketime is installed, if it is."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


@pytest.fixture
def seen(tmp_path: Path) -> dict[str, Any]:
    """Return what a process whose clock jumps saw of two runs of a study."""
    found = library()
    if found is None:
        pytest.skip("libfaketime is not installed (package libfaketime)")
    write(tmp_path, JUMPS)
    (tmp_path / "clock").write_text("+0")
    environment = {
        **os.environ,
        "LD_PRELOAD": str(found),
        "FAKETIME_TIMESTAMP_FILE": str(tmp_path / "clock"),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
    }
    begun = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.test_clock", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stderr
    return {**json.loads((tmp_path / "seen.json").read_text()), "took_s": time.monotonic() - begun}


def test_a_clock_that_jumps_by_a_day_changes_no_duration_no_limit_and_no_order(
    seen: dict[str, Any], tmp_path: Path
) -> None:
    trials = stored(tmp_path)
    starts = [trial.datetime_start.timestamp() for trial in trials if trial.datetime_start]
    steps = [after - before for before, after in pairwise(starts)]
    assert max(steps) > DAY_S / 2  # the clock did jump
    assert min(steps) < -DAY_S / 2

    assert [trial.number for trial in trials] == list(range(12))
    ends = [trial.system_attrs["sweep:end"] for trial in trials]
    assert [end["at_s"] for end in ends] == sorted(end["at_s"] for end in ends)
    for trial, end in zip(trials, ends, strict=True):
        hangs = trial.params["train.x"] == 0.5
        assert end["reason"] == ("timeout" if hangs else None)
        assert 0.04 < end["held_s"] < 5
        assert all(0 <= seconds < 5 for seconds in end["stage_s"].values())
    for run in seen["runs"]:
        assert run["status"]["why_stopped"] == run["expected"]
        assert abs(run["status"]["seconds"] - run["took_s"]) < 1
        assert abs(run["read"] - run["status"]["seconds"]) < 0.1
        assert run["best_age"] == run["status_best_age"]
        for known in run["while_it_ran"]:
            assert 0 <= known <= seen["took_s"] + 61


# --- in a process of its own, whose clock is wrong ---


def go_on(launch: Launch, run: str) -> dict[str, Any]:
    """Do a run of the study, reading it from beside at each report, and say how long it took by a sound clock."""
    from search.records import study as records

    seconds: list[float] = []

    class Read(StudyOwner):
        def report(self, *arguments: Any) -> Any:
            verdict = super().report(*arguments)
            seconds.append(records.status(records.read(launch.folder)).seconds)
            return verdict

    owner = Read.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=Run(run))
    begun = time.monotonic()
    before_s = owner.status().seconds
    owner.prepare(launch.baseline)
    run_here(owner, launch.problem, setting_of(launch.plan, launch.problem), launch.folder.root)
    status = owner.finish()
    took_s = before_s + time.monotonic() - begun
    owner.close()
    again = Read.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=None)
    best_age = again.status().best_age
    again.close()
    return {
        "status": status.to_json(),
        "took_s": took_s,
        "read": records.status(records.read(launch.folder)).seconds,
        "while_it_ran": seconds,
        "best_age": best_age,
        "status_best_age": status.best_age,
    }


def main(folder: str) -> None:
    root = Path(folder)
    (root / "points").write_text('{"train.x": 0.9}\n{"train.x": 0.5}\n{"train.x": 0.1}\n')
    first, second = (_launch(root, trials) for trials in (6, 12))  # both before there is a study
    first.folder.root.mkdir(exist_ok=True)
    runs = []
    for run, launch, orders in (("one", first, "+1d -1d +1d +0 -1d"), ("two", second, "+1d -1d +0 +1d -1d")):
        (root / "jumps.txt").write_text(orders)
        record = {"plan": launch.plan.to_json(), "code_hash": "", "data_hash": "", "schema": 1}
        launch.folder.plan.write_text(json.dumps(record))
        runs.append({**go_on(launch, run), "expected": f"{launch.plan.trials} of {launch.plan.trials} trials"})
    (root / "seen.json").write_text(json.dumps({"runs": runs}))


def _launch(root: Path, trials: int) -> Launch:
    given = {"seed": 1, "study": "s", "max-epochs": 5, "pruner": "none", "time": "60s", "trial-timeout": "1s"}
    plan = choose({**given, "trials": trials, "enqueue": str(root / "points")})
    return prepare(str(root / "problem.py"), plan, results=root, folder=root)


if __name__ == "__main__":
    main(*sys.argv[1:])
