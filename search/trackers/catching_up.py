"""What the trackers of a study that nobody runs have missed, told afterwards: `catch_up`."""

from __future__ import annotations

import time
from typing import Final

from search.paths import StudyFolder
from search.records.study import StoredStudy, read, status
from search.trackers.chosen import Chosen, check
from search.trackers.following import Say, Tracking, marks_of
from search.trackers.hearers import to_stderr
from search.trackers.marks import STUDY

_LOOK_EVERY_S: Final = 0.1


def catch_up(folder: StudyFolder, say: Say = to_stderr) -> None:
    """Open the trackers of a study that do not know all of it, tell them the rest, and wait until they have it.

    Args:
        folder: Of the study, which nobody runs.
        say: Hears of each tracker that is told, and of each that is off.

    Raises:
        SurroundingsError: A tracker's package is not installed.
    """
    stored = read(folder)
    behind = [one for one in map(Chosen.of, stored.plan.track) if _misses(one, stored)]
    check(one.text for one in behind)
    trackings = [Tracking(one, folder, say) for one in behind]
    try:
        for chosen, tracking in zip(behind, trackings, strict=True):
            say(f"tracker {chosen.kind} is told what it missed")
            tracking.finish(status(stored))
            tracking.start()
        while any(tracking.is_at_work() for tracking in trackings):
            time.sleep(_LOOK_EVERY_S)
            for tracking in trackings:
                tracking.look_after()
    finally:
        for tracking in trackings:
            tracking.wait(time.monotonic())


def _misses(chosen: Chosen, stored: StoredStudy) -> bool:
    marks = marks_of(chosen, stored.folder)
    if not marks.of(STUDY).ended:
        return True
    return any(record.ended is not None and not marks.of(record.number).ended for record in stored.records)
