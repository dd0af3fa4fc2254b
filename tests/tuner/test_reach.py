"""An address that nothing answers at is said so at once, before Ray tries for minutes."""

from __future__ import annotations

import socket

import pytest

from search.errors import InputError, SurroundingsError
from search.tuner.reach import check_address


def test_an_address_that_answers_passes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        check_address(f"127.0.0.1:{port}")
        check_address(f"ray://127.0.0.1:{port}")
    check_address("auto")


def test_a_closed_port_is_not_waited_for() -> None:
    with pytest.raises(SurroundingsError) as caught:
        check_address("127.0.0.1:1")
    assert caught.value.sentence() == "no Ray cluster answers at 127.0.0.1:1; is it started, is the port open?"


def test_a_host_that_has_no_name_here_is_told_as_such() -> None:
    with pytest.raises(SurroundingsError, match=r"no machine is known here by the name 'no-such\.invalid'"):
        check_address("no-such.invalid:6379")


def test_a_port_that_is_silent_is_waited_for_and_that_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        waiting = []
        for _ in range(8):  # fill the queue of connections that nobody accepts
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(address)
            waiting.append(one)
        with pytest.raises(SurroundingsError, match=r"\(waited 0\.1 s\)"):
            check_address(f"127.0.0.1:{address[1]}", wait_s=0.1)
        for one in waiting:
            one.close()


@pytest.mark.parametrize("address", ["localhost", ":1", "a:b", "a:0", "a:65536", "a:²", "", "ray://a", "http://a:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="--address takes HOST:PORT") as caught:
        check_address(address)
    assert caught.value.hint.startswith("try ray://10.0.0.1:10001" if address == "ray://a" else "try 10.0.0.1:6379")
