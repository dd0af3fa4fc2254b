"""A worker whose machine is about to be taken away hears it by SIGTERM, and finishes with its trial first.

Mutation that turns these red: leave SIGTERM to Ray, which leaves the process at once (`search.tuner.notice`).
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from search.tuner.notice import Notice


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """Signals that whoever listened before has heard."""
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda signum, _: heard.append(signum))
    yield heard
    signal.signal(signal.SIGTERM, before)


def test_the_first_notice_waits_for_a_trial_in_hand_and_the_second_does_not(heard: list[int]) -> None:
    notice = Notice()
    notice.is_busy = lambda: True
    signal.raise_signal(signal.SIGTERM)
    assert (notice.given, heard) == (True, [])
    signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_without_a_trial_in_hand_the_process_is_left_at_once(heard: list[int]) -> None:
    notice = Notice()
    signal.raise_signal(signal.SIGTERM)
    assert (notice.given, heard) == (False, [signal.SIGTERM])
