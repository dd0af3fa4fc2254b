"""A sweep may be interrupted at any moment; eight of them here, of which `benchmarks/interrupts.py` tries hundreds."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.interrupts import Moment, Study
from search.paths import StudyFolder
from search.study.lock import acquire
from tests.records import studies

SERIES = [
    Moment("start", 0.3, "int", terminal=False, script=True),
    Moment("ray", 1.0, "term", terminal=False),
    Moment("opening", 0.1, "typed", resume=True),
    Moment("first", 0.1, "typed", script=True, resume=True),
    Moment("full", 0.0, "twice", gap_s=0.2, resume=True, report=3),
    Moment("saving", 0.0, "term", resume=True),
    Moment("last", 0.3, "int", terminal=False, resume=True),
]


def test_a_sweep_that_is_interrupted_again_and_again_ends_as_it_should_each_time_and_then_finishes(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path, "study", seed=0)
    for moment in SERIES:
        ended = study.interrupt(moment)
        assert not ended.breaches, f"{moment}: {ended}"
    assert not study.to_the_end()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", [["watch", "s"], ["watch", "s", "--json"], ["logs", "s", "6", "-f"]], ids=" ".join)
def test_whoever_only_looks_on_leaves_quietly(tmp_path: Path, command: Sequence[str], sent: signal.Signals) -> None:
    studies.store(tmp_path, "s", studies.MIXED)
    (log := StudyFolder(tmp_path / "s").trial(6).log).parent.mkdir(parents=True)
    log.write_text("a line\n")
    with acquire(tmp_path / "s", study="s"):  # it runs, then: they would look on for ever
        process = subprocess.Popen(
            [sys.executable, "-m", "search", *command, "--results", str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(2)
        assert process.poll() is None
        process.send_signal(sent)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 128 + sent
    assert "Traceback" not in err
