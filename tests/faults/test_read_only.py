"""A results folder that cannot be written: said before any trial starts, and what stands in it is shown all the same.

Mutation that turns these red: leave the OSError as it is where a study is announced (`search.study.lock.acquire`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.records.owners import folder_of
from tests.tuner.sweeps import write

ROOT = Path(__file__).parents[2]

MARKS = """
def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)

@objective(space=space, metrics={"val_loss": "minimize"})
def marks(run):
    (HERE / "ran").touch()
    yield {"val_loss": 1.0}
"""

Sweep = Callable[..., subprocess.CompletedProcess[str]]


def mounted(results: Path) -> list[str]:
    """Return what to put before a command so that it finds the folder mounted for reading only."""
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, str(results)]


def nobody(results: Path) -> list[str]:
    """Return what to put before a command so that it runs as a user who owns nothing here."""
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture(params=[mounted, nobody])
def sweep(request: pytest.FixtureRequest, tmp_path: Path) -> Sweep:
    results = tmp_path / "results"
    results.mkdir()
    prefix: list[str] = request.param(results)
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip(f"this machine does not let us use {prefix[0]}")
    home = tmp_path / "home"  # somewhere to write for whoever has no home
    home.mkdir()
    for folder in (*tmp_path.parents, tmp_path):
        if folder.is_relative_to(tmp_path.parents[1]):
            folder.chmod(0o755)
    home.chmod(0o777)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*prefix, sys.executable, "-m", "search", *arguments, "--results", str(results), "--json"]
        environment = {**os.environ, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, capture_output=True, text=True, cwd=home, env=environment, timeout=120)

    return run


def test_a_sweep_into_a_read_only_folder_ends_before_ray_starts(sweep: Sweep, tmp_path: Path) -> None:
    objective = write(tmp_path / "home", MARKS)
    ended = sweep("run", str(objective), "--study", "s", "--trials", "2")
    assert ended.returncode == 3, ended.stderr
    assert "Traceback" not in ended.stderr
    message = json.loads(ended.stderr.splitlines()[-1])["error"]["message"]
    assert message.startswith(str(tmp_path / "results" / "s"))
    assert message.endswith((" cannot be written: Read-only file system", " cannot be written: Permission denied"))
    assert list((tmp_path / "results").iterdir()) == []
    assert not (tmp_path / "home" / "ran").exists()


def test_a_study_in_a_read_only_folder_is_listed_and_shown(sweep: Sweep, tmp_path: Path) -> None:
    folder_of(tmp_path / "results", "s")
    command = [sys.executable, "-m", "tests.records.owners", str(tmp_path / "results"), "s"]
    words = "ask\nreport 0.5\ncomplete\nask\nreport 0.25\ncomplete\nask\nreport 0.7\nfail\nfinish\n"
    subprocess.run(command, cwd=ROOT, input=words, text=True, check=True, capture_output=True)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*")}
    for arguments in (["list"], ["show", "s"], ["show", "s", "--trial", "1"], ["show", "s", "--trial", "best"]):
        ended = sweep(*arguments)
        assert ended.returncode == 0, ended.stderr
        assert "Traceback" not in ended.stderr
    assert json.loads(sweep("show", "s").stdout)["trials"]["complete"] == 2
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*")} == before
