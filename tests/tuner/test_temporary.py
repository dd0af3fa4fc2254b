"""What a process that was killed has left in the temporary folder goes with the next one; what is held stays."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from search.tuner import temporary

HOLDS = """
import sys
from search.tuner import temporary
print(temporary.make("sweep-token-"), flush=True)
sys.stdin.read()
"""


def test_the_folder_of_a_killed_process_goes_with_the_next_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "sweep-0").mkdir()  # of somebody who holds nothing
    mine = temporary.make()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"TMPDIR": str(tmp_path)},
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        with temporary.folder() as brief:
            assert {*tmp_path.iterdir()} == {tmp_path / "sweep-0", mine, theirs, brief}
        assert not brief.exists()
        other.kill()
        other.wait()
    with temporary.folder():
        assert not theirs.exists()
        assert mine.exists()
    temporary.let_go(mine)
    with temporary.folder():
        assert not mine.exists()
        assert (tmp_path / "sweep-0").exists()
