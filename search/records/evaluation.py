"""Reads how a trial does on the validation rows, from its best checkpoint."""

from __future__ import annotations

import json

from search.evaluation import Evaluation, evaluation_in
from search.paths import StudyFolder
from search.trialfiles import EVALUATION


def evaluation_of(folder: StudyFolder, number: int) -> Evaluation | None:
    """Return the evaluation of a trial; None where none was kept, or what is there cannot be read."""
    try:
        found = json.loads((folder.trial(number).checkpoint / "best.json").read_text(encoding="utf-8"))
        return evaluation_in(found[EVALUATION])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
