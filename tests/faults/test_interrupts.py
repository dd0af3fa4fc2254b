"""A sweep may be interrupted at any moment; seven of them here, of which `benchmarks/interrupts.py` tries hundreds.

Mutations that turn these red: do not listen before the imports (`start`: exit -15); leave SIGTERM to Ray in `ray.init`
(`ray`, `first`, with SIGTERM: exit 15 or -6, C++ traces); end nothing after the grace (`hang`: hung); let Ray's monitor
end by itself (`hang`: more than 10 s); leave the lock to whom was killed (`opening`); show no cursor at an end at once
(`full`); remove the temporary folder only where Python ends as usual (`full`, `ray`); kill nobody at an end at once and
start no reaper (`full`: two agents of Ray stay) - each of the two alone is enough.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import pytest

from benchmarks.interrupts import Moment, Study
from search.paths import StudyFolder
from search.study.lock import acquire
from tests.records import studies

SERIES = [
    Moment("start", 0.6, "term", terminal=False, script=True),
    Moment("ray", 1.0, "int", terminal=False),
    Moment("hang", 1.0, "int", terminal=False),
    Moment("opening", 0.1, "typed", resume=True),
    Moment("first", 0.1, "typed", script=True, resume=True),
    Moment("full", 0.0, "twice", gap_s=0.2, resume=True, report=3),
    Moment("saving", 0.0, "term", resume=True),
]


def test_a_sweep_that_is_interrupted_again_and_again_ends_as_it_should_each_time_and_then_finishes(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path, "study", seed=0)
    for moment in SERIES:
        ended = study.interrupt(moment)
        assert not ended.breaches, f"{moment}: {ended}"
    assert not study.to_the_end()


LOOKING_ON = ("watch s", "watch s --json", "logs s 6 -f")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(scope="module")
def looking_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, int], subprocess.Popen[str]]]:
    """Everyone who looks on at a study that runs, twice, for as long as they are let."""
    folder = tmp_path_factory.mktemp("looked at")
    studies.store(folder, "s", studies.MIXED)
    (log := StudyFolder(folder / "s").trial(6).log).parent.mkdir(parents=True)
    log.write_text("a line\n")
    with acquire(folder / "s", study="s"), ExitStack() as stack:
        begun: dict[tuple[str, int], subprocess.Popen[str]] = {}
        for command, sent in product(LOOKING_ON, SIGNALS):
            begun[command, sent] = process = subprocess.Popen(
                [sys.executable, "-m", "search", *command.split(), "--results", str(folder)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
        time.sleep(4)
        yield begun


@pytest.mark.parametrize("sent", SIGNALS)
@pytest.mark.parametrize("command", LOOKING_ON)
def test_whoever_only_looks_on_leaves_quietly(
    looking_on: dict[tuple[str, int], subprocess.Popen[str]], command: str, sent: signal.Signals
) -> None:
    process = looking_on[command, sent]
    assert process.poll() is None
    process.send_signal(sent)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 128 + sent
    assert "Traceback" not in err


IN_AN_EXEC = """
import os, signal, sys
from search.cli import commands, interrupts
from search.cli.main import main

def run(arguments):
    interrupts.raise_from_here()
    try:
        exec("os.kill(os.getpid(), signal.SIGTERM)")  # as dataclasses and named tuples are made
    except KeyboardInterrupt:
        return 130

commands.run = run
sys.exit(main())
"""


def test_python_does_not_end_itself_by_sigint_after_an_interruption_that_came_through_an_exec(tmp_path: Path) -> None:
    """Turns red when `main` returns its code in place of leaving with it: `python -m` then ends with -2."""
    (tmp_path / "interrupted_in_an_exec.py").write_text(IN_AN_EXEC)
    told = subprocess.run(
        [sys.executable, "-m", "interrupted_in_an_exec"], cwd=tmp_path, capture_output=True, timeout=60
    )
    assert (told.returncode, told.stderr) == (143, b"")
