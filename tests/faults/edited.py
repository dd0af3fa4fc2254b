"""A process that edits a study and is killed on the way: `python -m tests.faults.edited WHEN COMMAND ...`.

WHEN is `unwished` (as the wish is about to be there), `wished` (before it is granted), `recorded` (in the storage, and
the wish still there) or `granted` (all done). COMMAND is `sweep`'s, or `owner RESULTS` for a study server within its
first run.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from search import loading
from search.cli.main import main
from search.paths import StudyFolder
from search.records.study import read
from search.study import wishes
from search.study.owner import StudyOwner
from search.study.runs import Run

EVENTS = {"unwished": "os.rename", "wished": "os.listdir", "recorded": "os.remove"}


def die_at(when: str) -> None:
    """Be killed as Python is about to do to a wish what the word stands for."""

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event == EVENTS.get(when) and any("wishes" in str(one) for one in arguments):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


def serve(results: str) -> None:
    """Do as a study server does that starts again and finds a wish."""
    folder = StudyFolder(Path(results) / "s")
    plan = read(folder).plan
    space = loading.load(plan.space, kind="space", folder=Path.cwd()).value
    owner = StudyOwner.open(plan, folder.root, space, slots=1, run=Run("first"))
    wishes.grant(folder, owner)


if __name__ == "__main__":
    when, *command = sys.argv[1:]
    die_at(when)
    if command[0] == "owner":
        serve(command[1])
    else:
        main(command)
    os.kill(os.getpid(), signal.SIGKILL)
