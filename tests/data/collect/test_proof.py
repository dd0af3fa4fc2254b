"""The proof in short: killed five times under load, nothing acknowledged is lost, and nothing is there twice.

The whole of it is `benchmarks/collector.py`. Mutations that turn it red: acknowledge before the write, or forget the
keys (`Collection._write`, `Collection._count`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.data.collect.servers import ROOT


def test_five_kills_lose_nothing_and_double_nothing(memory: Path) -> None:
    told = subprocess.run(
        [sys.executable, "benchmarks/collector.py", "--kills", "5", "--seconds", "0", "--seed", "3"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(memory)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.splitlines()[-1] == "14 passed, 0 failed"
