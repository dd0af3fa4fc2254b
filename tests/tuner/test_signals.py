"""Ctrl-C and SIGTERM: the sweep pauses, the exit code says why, and nothing is left running."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.together import together
from tests.tuner.sweeps import SLOW, stored, write

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Path, subprocess.Popen[str]]]]:
    """A running sweep and its folder for each test, started at once."""
    folders = {name: tmp_path_factory.mktemp(name) for name in (*(sent.name for sent in CODES), "twice")}
    with ExitStack() as stack:
        processes = together({name: partial(start, folder) for name, folder in folders.items()})
        for process in processes.values():
            stack.enter_context(process)
            stack.callback(process.kill)
        yield {name: (folders[name], process) for name, process in processes.items()}


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


@pytest.mark.parametrize("sent", CODES)
def test_one_signal_pauses_what_runs_and_leaves_nothing_behind(
    begun: dict[str, tuple[Path, subprocess.Popen[str]]], sent: signal.Signals
) -> None:
    folder, process = begun[sent.name]
    family = psutil.Process(process.pid).children(recursive=True)
    since = time.monotonic()
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == CODES[sent], err
    assert time.monotonic() - since < 20
    status = json.loads(out)
    assert status["state"] == "interrupted"
    assert status["trials"]["running"] == 0
    assert status["trials"]["paused"] >= 1
    assert "Traceback" not in err
    assert not [one for one in psutil.wait_procs(family, timeout=5)[1] if one.status() != psutil.STATUS_ZOMBIE]
    trial = stored(folder)[0]
    assert trial.system_attrs["sweep:lease"]["held"] is False


def test_a_second_signal_ends_it_at_once(begun: dict[str, tuple[Path, subprocess.Popen[str]]]) -> None:
    folder, process = begun["twice"]
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert not [one for one in psutil.wait_procs(family, timeout=5)[1] if one.status() != psutil.STATUS_ZOMBIE]
    assert any(trial.intermediate_values for trial in stored(folder))


END = """
import ray, time
from search.tuner import cluster
from search.tuner.signals import Family

cluster.set_environment(None)
family = Family()
with cluster.connected(None, family, num_cpus=1):
    held = ray.put(bytes(10**6))
    cluster.end_workers(family)
    time.sleep(3)
    print([node["Alive"] for node in ray.nodes()], len(ray.get(held)))
"""


def test_the_end_of_workers_is_not_the_end_of_ray_nor_of_this_process() -> None:
    """Without its agents raylet ends, and so does every process that holds an object in it."""
    done = subprocess.run([sys.executable, "-c", END], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "[True] 1000000\n"), done.stderr
