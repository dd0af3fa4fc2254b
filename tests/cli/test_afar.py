"""A sweep that is left to a cluster: from here it looks like one that runs here.

Mutations that turn these red: print the home's words without its exit code; leave `--results` of the head in a next
command; let a Ctrl-C here end the process before the sweep at home is paused.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from search.cli.leaving import resume_afar
from search.paths import StudyFolder
from search.records.study import read
from search.tuner.home import Look
from tests.cluster.one import One, one_node
from tests.tuner.sweeps import HEADER, sleeping


@pytest.fixture(scope="module")
def one() -> Iterator[One]:
    with one_node() as cluster:
        yield cluster


def start(one: One, folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start `sweep` on the laptop, whose folder this is."""
    folder.mkdir(exist_ok=True)
    for name, pause in (("quick", 0.0), ("slow", 0.3)):
        (folder / f"{name}.py").write_text(HEADER + sleeping(pause))
    return subprocess.Popen(
        [sys.executable, "-m", "search", *words],
        cwd=folder,
        env={**one.environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(one: One, folder: Path, *words: str) -> tuple[int, str, str]:
    process = start(one, folder, *words)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def test_of_several_that_come_first_at_the_same_moment_all_are_answered(one: One, tmp_path: Path) -> None:
    asking = [start(one, tmp_path / str(laptop), "list", "--address", one.outside) for laptop in range(2)]
    said = [process.communicate(timeout=240)[1] for process in asking]
    assert [process.returncode for process in asking] == [0, 0], said


def test_a_sweep_on_a_cluster_ends_as_one_here_and_comes_home(one: One, tmp_path: Path) -> None:
    flags = ("--trials", "2", "--max-epochs", "2", "--pruner", "none", "--study", "s", "--json")
    (tmp_path / "pyproject.toml").write_text('[tool.sweep]\nship = ["large.bin"]')
    (tmp_path / "large.bin").write_bytes(os.urandom(11_000_000))
    code, out, err = run(one, tmp_path, "run", "quick.py", "--address", one.outside, *flags)
    assert code == 0, err
    assert "Warning" not in err
    told = json.loads(out)
    assert (told["state"], told["trials"]["complete"], told["results"]) == ("finished", 2, "results/s")
    assert json.loads((tmp_path / "results/s/plan.json").read_text())["fetched"]["address"] == one.outside
    assert (one.results / "s/study.journal").exists()
    assert one.results.stat().st_mode & 0o077 == 0
    code, out, err = run(one, tmp_path, "show", "other", "--address", one.outside, "--json")
    assert code == 2, err
    assert json.loads(err.splitlines()[-1])["error"]["message"].startswith("no study 'other' in")
    code, out, err = run(one, tmp_path, "run", "quick.py", "--address", one.outside, "--gpus", "1", "--study", "g")
    assert (code, out) == (3, ""), err
    assert "error: a trial asks 1 GPU, the cluster has 0" in err
    assert not (one.results / "g").exists()


def test_a_sweep_that_is_left_to_a_cluster_is_paused_from_here_and_goes_on_there(one: One, tmp_path: Path) -> None:
    flags = ("--trials", "2", "--max-epochs", "30", "--patience", "0", "--study", "p", "--pruner", "none")
    process = start(one, tmp_path, "run", "slow.py", "--address", one.outside, *flags)
    wait_for_reports(one, "p", process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert f"sweep resume p --address {one.outside}" in err
    assert "Traceback" not in err
    assert not (tmp_path / "results/p").exists()
    assert "2 paused" in out
    code, out, err = run(one, tmp_path, "resume", "p", "--address", one.outside, "--json", "--grace", "5s")
    assert code == 0, err
    assert json.loads(out)["trials"] == {
        "complete": 2,
        **dict.fromkeys(("pruned", "fail", "running", "paused", "waiting"), 0),
    }


def test_a_detached_sweep_goes_on_by_itself_though_its_home_is_killed(one: One, tmp_path: Path) -> None:
    flags = ("--trials", "2", "--max-epochs", "15", "--pruner", "none", "--patience", "0", "--study", "d", "--detach")
    code, out, err = run(one, tmp_path, "run", "slow.py", "--address", one.inside, *flags)
    assert (code, out) == (0, "d\n"), err
    assert f"sweep fetch d --address {one.inside}" in err
    assert f"d runs on {one.inside}" in err
    home_of(one).kill()
    deadline = time.monotonic() + 240
    while not (one.results / "d/ended.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert json.loads((one.results / "d/ended.json").read_text())["error"] is None
    assert [len(trial.reports) for trial in read(StudyFolder(one.results / "d")).records] == [15, 15]


class Line:
    """A line to a home where a study runs."""

    address = "ray://10.0.0.1:10001"

    def __init__(self) -> None:
        self.held: list[str] = []

    def call(self, method: str, *_: object) -> object:
        return {"name_of": "rain", "results": "/there", "look": Look(None, begun=True, held=True, end=None)}[method]

    def hold(self, _: str, arguments: list[str]) -> None:
        self.held += arguments


def test_a_study_that_goes_on_may_be_left_to_its_home(capsys: pytest.CaptureFixture[str]) -> None:
    line: Any = Line()
    assert resume_afar(line, "ra", ["--trials=+5", "--detach", "--json"]) == 0
    assert line.held == ["--trials=+5"]
    told = capsys.readouterr()
    assert json.loads(told.out)["study"] == "rain"
    assert "sweep watch rain --address ray://10.0.0.1:10001" in told.err


def home_of(one: One) -> psutil.Process:
    """Return the process of the home on this cluster."""
    for process in psutil.process_iter(["cmdline"]):
        is_home = "ray::Home" in " ".join(process.info["cmdline"] or [])
        if is_home and str(one.results).encode() in Path(f"/proc/{process.pid}/environ").read_bytes():
            return process
    raise AssertionError("no home runs")


def wait_for_reports(one: One, study: str, process: subprocess.Popen[str]) -> None:
    journal, deadline = one.results / study / "study.journal", time.monotonic() + 240
    while not (journal.exists() and journal.read_text().count('"intermediate_value"') >= 3):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
