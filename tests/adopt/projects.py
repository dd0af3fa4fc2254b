"""Files as users of other tools have them, and what our loader makes of them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

from search import loading
from search.choosing import choose
from search.launch import Launch, prepare
from search.local import run_here, setting_of
from search.study.owner import StudyOwner
from search.study.record import TrialRecord, from_frozen
from search.study.runs import Run


def write(folder: Path, body: str, name: str = "train.py") -> Path:
    path = folder / name
    path.write_text(dedent(body))
    return path


def load(path: Path, name: str = "", kind: Any = "objective") -> Any:
    """Load what a file holds, as `sweep run` does."""
    return loading.load(f"{path}{':' if name else ''}{name}", kind=kind, folder=path.parent).value


def launch_of(path: Path, name: str, results: Path, **flags: Any) -> Launch:
    given = {"seed": 0, "study": "s", "pruner": "none", "max-epochs": 4, "trials": 3}
    given |= {flag.replace("_", "-"): value for flag, value in flags.items()}
    return prepare(f"{path}:{name}", choose(given), results=results, folder=path.parent)


def run(path: Path, name: str, results: Path, **flags: Any) -> list[TrialRecord]:
    """Run a sweep in this process, and return its trials."""
    launch = launch_of(path, name, results, **flags)
    launch.folder.root.mkdir(parents=True)
    owner = StudyOwner.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=Run("r"))
    try:
        owner.prepare({})
        run_here(owner, launch.problem, setting_of(launch.plan, launch.problem), launch.folder.root)
        owner.finish()
        return [from_frozen(trial) for trial in owner._parts.study.get_trials()]
    finally:
        owner.close()
