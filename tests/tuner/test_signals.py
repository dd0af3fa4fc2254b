"""Ctrl-C and SIGTERM: the sweep pauses, the exit code says why, and nothing is left running."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.tuner.sweeps import SLOW, stored, write


def start(folder: Path) -> subprocess.Popen[str]:
    """Start a sweep from the command line, and return once a trial has reported."""
    arguments = [str(write(folder, SLOW)), "--max-epochs", "1000", "--study", "s", "--results", str(folder), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "search", "run", *arguments, "--pruner", "none", "--patience", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    journal = folder / "s" / "study.journal"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        if journal.exists() and '"intermediate_value"' in journal.read_text():
            return process
        time.sleep(0.2)
    process.kill()
    raise AssertionError(f"no trial reported: {process.communicate()}")


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_pauses_what_runs_and_leaves_nothing_behind(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    process = start(tmp_path)
    family = psutil.Process(process.pid).children(recursive=True)
    begun = time.monotonic()
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert time.monotonic() - begun < 20
    status = json.loads(out)
    assert status["state"] == "interrupted"
    assert status["trials"]["running"] == 0
    assert status["trials"]["paused"] >= 1
    assert "Traceback" not in err
    assert not [one for one in psutil.wait_procs(family, timeout=5)[1] if one.status() != psutil.STATUS_ZOMBIE]
    trial = stored(tmp_path)[0]
    assert trial.system_attrs["sweep:lease"]["held"] is False


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    process = start(tmp_path)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert not [one for one in psutil.wait_procs(family, timeout=5)[1] if one.status() != psutil.STATUS_ZOMBIE]
    assert any(trial.intermediate_values for trial in stored(tmp_path))
