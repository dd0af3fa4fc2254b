"""Each client has its own bucket of requests, which fills again; what is remembered is bounded."""

from __future__ import annotations

import pytest

from search.serve.rates import Rates


def test_as_many_come_at_once_as_come_in_a_second_and_then_one_by_one() -> None:
    rates = Rates(2.0)
    assert [rates.wait_s("a", 10.0) for _ in range(4)] == [0, 0, 0.5, 0.5]
    assert rates.wait_s("b", 10.0) == 0
    assert [rates.wait_s("a", 10.5), rates.wait_s("a", 10.5)] == [0, 0.5]
    assert [rates.wait_s("a", 100.0) for _ in range(3)] == [0, 0, 0.5]


def test_a_rate_below_one_lets_the_first_request_through() -> None:
    rates = Rates(0.1)
    assert rates.wait_s("a", 0.0) == 0
    assert rates.wait_s("a", 1.0) == pytest.approx(9)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8:1:2::5", "2001:db8:1:2:3:4:5:6", True),
        ("2001:db8:1:2::5", "2001:db8:1:3::5", False),
        ("2001:db8::5", "2001:db8:0:0:9::1", True),
        ("::1", "::2", True),
    ],
)
def test_of_ipv6_a_client_has_a_whole_network(one: str, other: str, same: bool) -> None:
    rates = Rates(1.0)
    rates.wait_s(one, 0.0)
    assert bool(rates.wait_s(other, 0.0)) is same


def test_no_crowd_of_addresses_fills_the_memory() -> None:
    rates = Rates(1.0)
    for number in range(30_000):
        rates.wait_s(f"10.0.{number // 256}.{number % 256}", 0.0)
    assert len(rates) == 10_000
