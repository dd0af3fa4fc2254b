"""The watcher of a sweep on a cluster gives up by time: as late as its workers do, and before Ray ends it."""

from __future__ import annotations

import pytest

from search.tuner.calls import OUT_OF_REACH_S
from search.tuner.watcher import GONE_S, MEET_EVERY_S, Away


def test_a_head_that_is_out_of_reach_is_given_up_at_the_time_that_ray_leaves_us_for_it() -> None:
    assert OUT_OF_REACH_S - 15 <= GONE_S <= OUT_OF_REACH_S - 5


@pytest.mark.parametrize("look_s", [0.0, 2.0], ids=["refused at once", "silent"])
def test_being_out_of_reach_is_counted_in_seconds_from_the_first_look_to_the_end_of_the_last(look_s: float) -> None:
    away, now = Away(), 100.0
    for _ in range(12):
        lasted = away.lasts_s(True, since=now, now=now + look_s)
        assert lasted == now + look_s - 100.0
        now += look_s + MEET_EVERY_S
    assert away.lasts_s(False, since=now, now=now) == 0.0
    assert away.lasts_s(True, since=now + 1, now=now + 1 + look_s) == look_s
