"""One machine runs a study: the next has to wait until its lease is over, and of two that take it one is told no.

Mutations that turn these red: let `Lease.take` not look at `until`; write in place of `create`; leave the look at the
highest number out of `renew`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest

from search.errors import RefusedError
from search.remote.lease import LEASE_S, Lease
from search.remote.place import Place
from tests.remote import s3


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lease_of(place: Place, clock: Clock) -> Lease:
    return Lease(place, "s", os.getpid(), clock)


def test_a_lease_is_taken_once_and_again_when_given_back(place: Place, clock: Clock) -> None:
    first, second = lease_of(place, clock), lease_of(place, clock)
    first.take()
    with pytest.raises(RefusedError, match=f"run by pid {os.getpid()} on "):
        second.take()
    first.release()
    second.take()
    assert place.names("s") == ["lease-2.json"]


def test_a_lease_that_is_over_is_the_next_ones_and_the_first_is_told(place: Place, clock: Clock) -> None:
    first, second = lease_of(place, clock), lease_of(place, clock)
    first.take()
    clock.now += LEASE_S - 1
    first.renew()
    clock.now += LEASE_S - 1
    with pytest.raises(RefusedError):
        second.take()
    clock.now += 2
    second.take()
    with pytest.raises(RefusedError):
        first.renew()
    first.release()
    second.renew()


def test_what_takes_long_to_send_keeps_the_lease(place: Place, server: s3.Server, clock: Clock) -> None:
    first = lease_of(place, clock)
    first.take()
    for _ in range(10):
        clock.now += LEASE_S / 5
        first.beat()
    with pytest.raises(RefusedError):
        lease_of(place, clock).take()
    server.writes.clear()
    first.beat()
    assert not server.writes, "it was renewed just now"


class Slow(Lease):
    """Is overtaken between its look and its write."""

    other: Lease

    def _content(self, holds_s: float) -> bytes:
        if self.other is not None and not self._number:
            other, self.other = self.other, None  # type: ignore[assignment]
            other.take()
        return super()._content(holds_s)


def test_of_two_that_take_it_at_the_same_time_one_is_told_no(place: Place, clock: Clock) -> None:
    slow = Slow(place, "s", os.getpid(), clock)
    slow.other = lease_of(place, clock)
    with pytest.raises(RefusedError):
        slow.take()


def test_in_a_store_without_conditional_writes_the_next_renewal_tells_one(
    place: Place, server: s3.Server, clock: Clock
) -> None:
    server.conditional = False
    slow, other = Slow(place, "s", os.getpid(), clock), lease_of(place, clock)
    slow.other = other
    slow.take()
    with pytest.raises(RefusedError):
        other.renew()
    slow.renew()


def test_a_process_of_this_machine_that_is_dead_holds_nothing(tmp_path: Path, clock: Clock) -> None:
    place = Place.at(f"memory://{tmp_path.name}")
    first = lease_of(place, clock)
    first.take()
    told = json.loads(place.read("s/lease-1.json") or b"")
    dead = next(pid for pid in range(100_000, 4_000_000) if not psutil.pid_exists(pid))
    place.write("s/lease-1.json", json.dumps({**told, "pid": dead}).encode())
    lease_of(place, clock).take()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"until": "x"}'])
def test_a_lease_that_cannot_be_read_holds_nothing(tmp_path: Path, clock: Clock, content: bytes) -> None:
    place = Place.at(f"memory://{tmp_path.name}")
    place.write("s/lease-1.json", content)
    lease_of(place, clock).take()
    assert place.names("s") == ["lease-2.json"]
