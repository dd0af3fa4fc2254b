"""Several that run one study at once: one does, the others are refused with its name; a dead one is in nobody's way.

Mutation that turns these red: let `search.study.lock.acquire` take a lock whose record names a sweep that has just
begun, and whose study server is on its way.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from search.cli.main import main
from search.errors import RefusedError
from search.study.lock import acquire
from tests.tuner.sweeps import stored, write

ROOT = Path(__file__).parents[2]
MANY = 20

WAITS = """
import time

def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)

@objective(space=space, metrics={"val_loss": "minimize"})
def waits(run):
    for epoch in run.epochs:
        while not (HERE / "go on").exists():
            time.sleep(0.05)
        yield {"val_loss": 1.0 / epoch}
"""


def command(said: Path, arguments: tuple[str, ...]) -> None:
    """Be the command `sweep`, in a process of its own; what it says goes into two files."""
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(said.with_suffix(f".{name}"), os.O_WRONLY | os.O_CREAT, 0o600), stream)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")  # no longer those of the process that forked
    sys.argv = ["sweep", *arguments, "--json"]
    code = main()
    atexit._run_exitfuncs()  # which a forked process would leave out
    sys.exit(code)


@contextmanager
def many(folder: Path, *arguments: str) -> Iterator[dict[int, BaseProcess]]:
    """Start the same command many times at once: its modules are imported already, so all get there together."""
    forks = get_context("forkserver")
    forks.set_forkserver_preload(["tests.faults.imported"])
    processes = [forks.Process(target=command, args=(folder / f"{number}", arguments)) for number in range(MANY)]
    try:
        for process in processes:
            process.start()
        yield dict(enumerate(processes))
    finally:
        for process in processes:
            process.kill()


def one_of_many_runs(folder: Path, *arguments: str) -> None:
    """See that of many the first runs the study to its end, and that all others name it and exit with 4."""
    (folder / "go on").unlink(missing_ok=True)
    (told := folder / f"told by {arguments[0]}").mkdir()
    with many(told, *arguments) as processes:
        deadline = time.monotonic() + 150
        while sum(process.is_alive() for process in processes.values()) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (folder / "go on").touch()
        for process in processes.values():
            process.join(timeout=90)
    said = {number: [(told / f"{number}.{name}").read_text() for name in ("out", "err")] for number in processes}
    (winner,) = [number for number, process in processes.items() if process.exitcode == 0]
    assert [process.exitcode for number, process in processes.items() if number != winner] == [4] * (MANY - 1), said
    pid, here = processes[winner].pid, re.escape(socket.gethostname())
    who = f"study 's' is being run by pid {pid} on {here} since [0-9][0-9]:[0-9][0-9]"
    for number, (out, err) in said.items():
        if number != winner:
            assert out == ""
            error = json.loads(err.splitlines()[-1])["error"]
            assert re.fullmatch(who, error["message"]), err
            assert error["hint"].startswith("`sweep watch s")


def test_of_many_runs_and_then_of_many_resumes_of_a_study_one_goes_on(tmp_path: Path) -> None:
    objective = str(write(tmp_path, WAITS))
    flags = ["--max-epochs", "3", "--trials", "4", "--seed", "1", "--results", str(tmp_path)]
    one_of_many_runs(tmp_path, "run", objective, "--study", "s", *flags)
    assert len(stored(tmp_path)) == 4
    one_of_many_runs(tmp_path, "resume", "s", "--trials", "7", "--results", str(tmp_path))
    assert [trial.number for trial in stored(tmp_path)] == list(range(7))
    runs = stored_runs(tmp_path)
    assert len(runs) == 2
    assert not (tmp_path / "s" / "study.lock").exists()


def stored_runs(folder: Path) -> list[object]:
    """Return the runs that the study knows of."""
    lines = (folder / "s" / "study.journal").read_text().splitlines()
    runs = [json.loads(line)["system_attr"].get("sweep:runs") for line in lines if '"sweep:runs"' in line]
    return list(runs[-1])


def test_a_killed_owner_is_followed_within_a_second_and_a_stopped_one_never(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.records.owners", str(tmp_path), "s"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        for _ in range(3):
            with pytest.raises(RefusedError, match=f"by pid {owner.pid} on {re.escape(socket.gethostname())} since "):
                acquire(tmp_path / "s", study="s")
            owner.send_signal(signal.SIGSTOP)
            time.sleep(0.5)
        begun = time.monotonic()
        owner.kill()
        owner.wait()
        with acquire(tmp_path / "s", study="s") as lock:
            assert time.monotonic() - begun < 1
        assert lock.predecessor is not None
        assert lock.predecessor.pid == owner.pid
