"""Commands that run no trials import nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LIGHT = {"ray", "torch", "pandas", "optuna", "sklearn", "numpy"}
READING = {"ray", "torch", "sklearn"}


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], LIGHT),
        (["--version"], LIGHT),
        (["run", "--help"], LIGHT),
        (["show", "--help"], LIGHT),
        (["rnu"], LIGHT),
        (["run", "nofile.py"], READING),
        (["list"], LIGHT),
        (["show", "nothing"], LIGHT),
        (["watch", "nothing"], LIGHT),
        (["table", "nothing", "-o", "x.csv"], READING),
        (["doctor"], LIGHT),
        (["doctor", "nothing"], READING),
        (["logs", "nothing", "3"], READING),
        (["rm", "nothing"], READING),
        (["init", "project"], LIGHT),
        (["collect", "--help"], LIGHT),
        (["collect", "nothing"], READING),
    ],
    ids=" ".join,
)
def test_a_command_that_runs_no_trials_imports_nothing_heavy(
    tmp_path: Path, arguments: list[str], absent: set[str]
) -> None:
    code = (
        "import sys; from search.cli.main import main; main(sys.argv[1:]);"
        f"found = {absent!r} & set(sys.modules); assert not found, found"
    )
    told = subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


def test_python_m_search_is_the_command(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, "-m", "search", "rnu"], cwd=tmp_path, capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == "error: no command 'rnu'; did you mean 'run'?\n"
