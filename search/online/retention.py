"""Which records of a log nobody needs any more: they are learnt, and their rows are too old for a label."""

from __future__ import annotations

from search import lines
from search.online.log import sequence_of
from search.online.storing import Snapshots
from search.paths import OnlineFolder


def first_needed(folder: OnlineFolder, oldest_s: float) -> int:
    """Return the number of a record before which none is needed; 0 where all are.

    Where there is no snapshot, nobody has learnt anything, and who begins to begins with what there is then: age alone
    counts. Where there is one, all behind it is needed, also while nothing learns: it may go on later. A segment was
    last written to when its newest record came.

    Args:
        folder: Of the model.
        oldest_s: Unix time of the oldest row that is known yet.

    Raises:
        OSError: Log or snapshots cannot be read.
    """
    learnt = min(Snapshots(folder).sequences(), default=None)
    old = 0
    for number in lines.numbered(folder.log)[:-1]:
        if folder.segment(number).stat().st_mtime >= oldest_s:
            break
        old = number
    if not old:
        return 0
    with folder.segment(old + 1).open("rb") as file:
        text = lines.text_of(file.readline())
    if text is None:
        return 0
    return sequence_of(text) if learnt is None else min(sequence_of(text), learnt)
