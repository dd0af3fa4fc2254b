"""Which records of a log nobody needs any more: they are learnt, and their rows are too old for a label."""

from __future__ import annotations

from search import lines
from search.online.log import sequence_of
from search.online.storing import Snapshots
from search.paths import OnlineFolder


def first_needed(folder: OnlineFolder, oldest_s: float) -> int:
    """Return the number of a record before which none is needed; 0 where all are.

    Where nobody has learnt yet, all are needed. A segment was last written to when its newest record came.

    Args:
        folder: Of the model.
        oldest_s: Unix time of the oldest row that is known yet.
    """
    learnt = min(Snapshots(folder).sequences(), default=0)
    old = 0
    for number in lines.numbered(folder.log):
        if folder.segment(number).stat().st_mtime >= oldest_s:
            break
        old = number
    if not learnt or not old or not folder.segment(old + 1).exists():
        return 0
    with folder.segment(old + 1).open("rb") as file:
        text = lines.text_of(file.readline())
    return 0 if text is None else min(sequence_of(text), learnt)
