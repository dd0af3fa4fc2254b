"""Reads how a trial does on the validation rows, from its best checkpoint."""

from __future__ import annotations

import json

from search.evaluation import Evaluation
from search.paths import StudyFolder
from search.trialfiles import EVALUATION

_ODD = (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError, AttributeError)


def evaluation_of(folder: StudyFolder, number: int) -> Evaluation | None:
    """Return the evaluation of a trial; None where none was kept, or what is there cannot be read."""
    try:
        found = json.loads((folder.trial(number).checkpoint / "best.json").read_text(encoding="utf-8"))
        return Evaluation.from_json(found[EVALUATION])
    except _ODD:  # it is drawn from, and nothing else depends on it
        return None
