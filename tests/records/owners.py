"""A study whose owner does what it is told, a word at a time: `python -m tests.records.owners RESULTS NAME`.

Words on stdin: `ask` (a trial is asked for and begun), `report VALUE`, `complete`, `fail`, `prune`, `pause` (of the
trial asked for last), `finish` (and end), `die`. Each is answered by a line.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from search.errors import FailReason
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trial import Ending, Outcome, Progress
from tests.study.studies import flat_space


def folder_of(results: Path, name: str, **changes: Any) -> tuple[StudyFolder, SweepPlan]:
    """Make a study's folder with its plan."""
    given: dict[str, Any] = {
        "objective": "objective",
        "space": "space",
        "study": name,
        "results": str(results),
        "metrics": ("val_loss",),
        "directions": ("minimize",),
        "seed": 1,
        "trials": 50,
        "max_epochs": 9,
        "pruner": "none",
        **changes,
    }
    plan, folder = SweepPlan(**given), StudyFolder(results / name)
    folder.root.mkdir(parents=True, exist_ok=True)
    folder.plan.write_text(json.dumps({"schema": 1, "plan": plan.to_json(), "code_hash": "", "data_hash": ""}))
    return folder, plan


def main(results: str, name: str) -> None:
    folder, plan = folder_of(Path(results), name)
    owner = StudyOwner.open(plan, folder.root, flat_space, slots=4, run=Run("run"))
    owner.prepare({"val_loss": 0.69})
    number = step = 0
    _answer("open")
    for line in sys.stdin:
        word, *rest = line.split()
        token = f"t{number}"
        if word == "ask":
            spec = owner.ask(f"slot:{number}:{step}").spec
            assert spec is not None
            number, step = spec.number, 0
            owner.begin(number, f"t{number}", worker="here")
        elif word == "report":
            step += 1
            owner.report(number, token, Progress(step, {"val_loss": float(rest[0]), "val_accuracy": 0.5}, step))
        elif word == "complete":
            owner.tell(
                number, token, Outcome(Ending.COMPLETE, step, {"val_loss": 1 / (number + 1)}, text="full budget")
            )
        elif word == "fail":
            owner.tell(number, token, Outcome(Ending.FAIL, step, reason=FailReason.NAN, text="loss is nan"))
        elif word == "prune":
            owner.tell(number, token, Outcome(Ending.PRUNED, step))
        elif word == "pause":
            owner.tell(number, token, Outcome(Ending.PAUSED, step))
        elif word == "finish":
            owner.stop("finished", "told so")
            owner.finish()
            owner.close()
        elif word == "die":
            os._exit(9)
        _answer(word)
        if word == "finish":
            return


def _answer(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
