"""How a cluster is shared: rules over any cluster and any sweeps, and a few cases by hand.

Mutations that turn these red: let the first comer take all (`_fair` without `min`), forget the classes, place on the
emptiest node, give what is held by others.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from search.study.shares import UNLIMITED, Bid, Grant, Room, Sizes, grants, shares

GB = float(2**30)
SMALL: Sizes = (4.0, 0.0, 8 * GB)
GPUS: Sizes = (16.0, 2.0, 64 * GB)


def bid_of(name: str, *, priority: int = 0, asks: Sizes = (1.0, 0.0, 0.0), want: int = UNLIMITED, held: int = 0) -> Bid:
    return Bid(name, name, float(ord(name[0])), priority, asks, want, held)


NODES = st.lists(st.sampled_from([SMALL, GPUS, (1.0, 0.0, 2 * GB), (3.0, 1.0, 4 * GB)]), min_size=1, max_size=4)
ASKS = st.sampled_from([(1.0, 0.0, 0.0), (2.0, 0.0, 0.0), (0.5, 0.0, GB), (1.0, 0.25, 0.0), (3.0, 1.0, 2 * GB)])


@st.composite
def sweeps(draw: st.DrawFn, *, asks: st.SearchStrategy[Sizes] = ASKS) -> list[Bid]:
    count = draw(st.integers(1, 5))
    return [
        Bid(
            f"s{index}",
            str(index),
            float(index),
            draw(st.integers(-2, 2)),
            draw(asks),
            draw(st.sampled_from([0, 1, 2, 5, UNLIMITED])),
            draw(st.integers(0, 4)),
        )
        for index in range(count)
    ]


def packed(nodes: list[Sizes], bids: list[Bid], counts: dict[str, int]) -> bool:
    """Tell whether so many trials need no more of any resource than there is."""
    needed = [sum(bid.asks[i] * counts[bid.sweep] for bid in bids) for i in range(3)]
    return all(need <= sum(node[i] for node in nodes) * (1 + 1e-5) + 1e-5 for i, need in enumerate(needed))


@given(NODES, sweeps())
def test_shares_fit_the_cluster_and_nobody_gets_more_than_it_wants(nodes: list[Sizes], bids: list[Bid]) -> None:
    due = shares(nodes, bids)
    assert packed(nodes, bids, due)
    assert all(0 <= due[bid.sweep] <= bid.want for bid in bids)


@given(NODES, sweeps())
def test_nothing_idles_that_somebody_could_use(nodes: list[Sizes], bids: list[Bid]) -> None:
    due = shares(nodes, bids)
    for bid in bids:
        more = [replace(one, want=due[one.sweep] + (one is bid)) for one in bids]
        if due[bid.sweep] < bid.want:
            assert shares(nodes, more)[bid.sweep] == due[bid.sweep]


@given(NODES, sweeps(), st.randoms())
def test_the_order_of_bids_and_what_is_held_change_no_share(
    nodes: list[Sizes], bids: list[Bid], chance: Random
) -> None:
    due = shares(nodes, bids)
    shuffled = [replace(bid, held=0) for bid in bids]
    chance.shuffle(shuffled)
    assert shares(nodes, shuffled) == due


@given(NODES, sweeps(asks=st.just((1.0, 0.0, 0.0))), st.integers(0, 4))
def test_a_higher_priority_never_gets_a_sweep_less(nodes: list[Sizes], bids: list[Bid], which: int) -> None:
    mine = bids[which % len(bids)]
    raised = [replace(bid, priority=bid.priority + (bid is mine)) for bid in bids]
    assert shares(nodes, raised)[mine.sweep] >= shares(nodes, bids)[mine.sweep]


@given(NODES, sweeps(asks=st.just((1.0, 0.0, 0.0))))
def test_equals_that_want_more_are_within_one_trial_of_each_other(nodes: list[Sizes], bids: list[Bid]) -> None:
    due = shares(nodes, bids)
    for one in bids:
        for other in bids:
            if one.priority == other.priority and due[one.sweep] < one.want:
                assert due[one.sweep] >= due[other.sweep] - 1


@given(NODES, sweeps(asks=st.just((1.0, 0.0, 0.0))))
def test_a_lower_priority_gets_what_higher_ones_leave(nodes: list[Sizes], bids: list[Bid]) -> None:
    due = shares(nodes, bids)
    for one in bids:
        above = [bid for bid in bids if bid.priority > one.priority]
        if any(due[bid.sweep] < bid.want for bid in above):
            assert due[one.sweep] == 0


@given(NODES, sweeps())
def test_what_may_be_begun_has_room_beside_what_is_held(nodes: list[Sizes], bids: list[Bid]) -> None:
    room = Room(nodes)  # the largest first
    assume(all(room.place_many(bid.asks, bid.held) == bid.held for bid in sorted(bids, key=lambda bid: bid.asks)[::-1]))
    said = grants(nodes, bids)
    after = {bid.sweep: max(bid.held, said[bid.sweep].trials) for bid in bids}
    assert packed(nodes, bids, after)
    assert all(said[bid.sweep].trials <= shares(nodes, bids)[bid.sweep] for bid in bids)


@given(NODES, sweeps())
def test_sweeps_that_follow_what_is_said_come_to_their_shares_and_stay_there(
    nodes: list[Sizes], bids: list[Bid]
) -> None:
    now = [replace(bid, held=0) for bid in bids]
    for _ in range(3):
        said = grants(nodes, now)
        now = [replace(bid, held=said[bid.sweep].trials) for bid in now]
    assert {bid.sweep: bid.held for bid in now} == shares(nodes, bids)
    assert all(grant.keep is None for grant in grants(nodes, now).values())


@given(NODES, sweeps())
def test_only_for_a_higher_priority_are_trials_paused(nodes: list[Sizes], bids: list[Bid]) -> None:
    said, top = grants(nodes, bids), max(bid.priority for bid in bids)
    assert all(said[bid.sweep].keep is None for bid in bids if bid.priority == top)
    for bid in bids:
        keep = said[bid.sweep].keep
        assert keep is None or keep < bid.held


def test_the_dominant_resource_is_what_is_shared() -> None:
    # Ghodsi et al., section 4.1: 9 CPUs and 18 GB, trials of <1 CPU, 4 GB> and <3 CPUs, 1 GB>
    bids = [bid_of("a", asks=(1.0, 0.0, 4 * GB)), bid_of("b", asks=(3.0, 0.0, GB))]
    assert shares([(9.0, 0.0, 18 * GB)], bids) == {"a": 3, "b": 2}


def test_trials_without_gpus_go_where_there_are_none() -> None:
    room = Room([GPUS, SMALL])
    assert room.place_many((1.0, 0.0, 0.0), 4) == 4
    assert room.place_many((8.0, 1.0, 0.0), 9) == 2


def test_a_trial_larger_than_any_node_gets_no_share_and_costs_nobody_any() -> None:
    bids = [bid_of("a", priority=9, asks=(6.0, 0.0, 0.0)), bid_of("b")]
    assert shares([SMALL, SMALL], bids) == {"a": 0, "b": 8}


def test_an_equal_waits_for_trials_to_end_and_a_higher_one_has_them_paused() -> None:
    first = bid_of("a", held=4)
    assert grants([SMALL], [first, bid_of("b")]) == {
        "a": Grant(2),
        "b": Grant(0, None, "behind a, 1st in line"),
    }
    assert grants([SMALL], [first, bid_of("b", priority=1)]) == {
        "a": Grant(0, 0),
        "b": Grant(0, None, "trials of a are pausing for it"),
    }


def test_a_higher_one_that_can_use_little_has_no_more_than_that_paused() -> None:
    said = grants([SMALL], [bid_of("a", held=4), bid_of("b", priority=1, want=1)])
    assert (said["a"].trials, said["a"].keep) == (3, 3)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([bid_of("a", priority=5, held=4)], "behind a (priority 5), 1st in line"),
        ([replace(bid_of("a", priority=5, held=4), left_s=700.0)], "behind a (priority 5), 1st in line, about 12 min"),
        (
            [
                replace(bid_of("a", priority=5, held=4), left_s=700.0),
                replace(bid_of("b", priority=5, want=4), left_s=9000.0),
                bid_of("c", want=0),
            ],
            "behind a (priority 5), 2nd in line, about 2 h",
        ),
        ([replace(bid_of("a", held=4), trial_s=40.0)], "behind a, 1st in line, about 1 min"),
        ([replace(bid_of("a", held=4, asks=(0.5, 0.0, 0.0)), trial_s=40.0)], ""),
    ],
)
def test_who_waits_is_told_for_whom_and_how_long(others: list[Bid], said: str) -> None:
    assert grants([SMALL], [*others, bid_of("z")])["z"].queued == said


def test_who_has_nothing_left_to_run_waits_for_nobody() -> None:
    assert grants([SMALL], [bid_of("a", held=4), bid_of("z", want=0)])["z"].queued == ""


def test_bids_and_grants_travel_as_json() -> None:
    bid, grant = replace(bid_of("a", asks=GPUS), left_s=2.5), Grant(2, 1, "behind a")
    assert Bid.from_json(bid.to_json()) == bid
    assert Grant.from_json(grant.to_json()) == grant
