"""How much of a log is kept: what somebody may learn yet, and what a label may come for.

Mutations that turn these red: keep all of it where there is no snapshot, or take one of no event for none; remove what
the older of two snapshots needs; count the segment that is written, or one that was written to of late, as old.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from search.online.eventlog import EventLog
from search.online.retention import first_needed
from search.online.storing import Snapshot, Snapshots
from search.paths import OnlineFolder


@pytest.mark.parametrize(
    ("snapshots", "old", "needed"),
    [
        ((), 0, 0),
        ((), 1, 3),
        ((), 3, 7),
        ((), 4, 7),  # the last one is written to, however long ago that was
        ((0,), 4, 0),  # somebody has begun to learn
        ((0, 9), 4, 0),
        ((4, 9), 4, 4),
        ((8, 9), 4, 7),
        ((9,), 1, 3),
    ],
)
def test_nothing_goes_that_is_learnt_yet_or_may_be_labelled(
    snapshots: tuple[int, ...], old: int, needed: int, tmp_path: Path
) -> None:
    folder = OnlineFolder(tmp_path / "rain")
    log = EventLog.open(folder, seen=lambda _: None, segment_bytes=40)
    for _ in range(8):  # two a segment
        log.append(b'{"k":"shown"}')
    log.close()
    assert log.number == 4
    for number in range(1, 5):
        at_s = 1000.0 if number <= old else 3000.0
        os.utime(folder.segment(number), (at_s, at_s))
    for sequence in snapshots:
        Snapshots(folder).write(Snapshot({}, {}), sequence, 0)
    assert first_needed(folder, 2000.0) == needed


def test_of_no_log_nothing_is_needed(tmp_path: Path) -> None:
    assert first_needed(OnlineFolder(tmp_path / "rain"), 2000.0) == 0
