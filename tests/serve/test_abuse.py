"""Abuses get an answer that says so and take no memory; behind each a good request is answered within a second."""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import socket
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.bundle.bundles import tiny
from tests.serve.servers import ROW, TOKEN, Server, raw, serving

HEAD = (
    f"POST /predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
)
GROWTH_BYTES = 50_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("abused") / "toy"
    tiny(root)
    with serving(root, "--timeout", "1s", token=TOKEN) as found:
        for _ in range(20):
            found.good_s()
        found.post({"rows": [ROW] * 10_000})  # what a large request takes stays with the process
        yield found


@pytest.fixture(scope="module")
def before(server: Server) -> int:
    """Return the memory of the server before the first abuse."""
    return server.rss


@pytest.fixture(autouse=True)
def unharmed(server: Server, before: int) -> Iterator[None]:
    """Hold each abuse to what it may cost, and all of them together to what they may leave."""
    yield
    assert server.good_s() < 1 or server.good_s() < 1  # the machine may be slow once, too
    assert server.rss - before < GROWTH_BYTES
    assert server.process.poll() is None


def sent(body: bytes, head: str = HEAD) -> bytes:
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def status(told: bytes) -> int:
    assert told.startswith(b"HTTP/1.1 "), told[:100]
    assert b"Traceback" not in told
    return int(told[9:12])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[" * 100_000, 422),
        (b'{"rows":' * 100_000, 413),
        (b'{"a":' * 9_000, 400),
        (b'{"rows": [' + b"{}," * 1_000_000 + b"{}]}", 413),
        (b'{"rows": [' + b"[]," * 1_000_000 + b"[]]}", 422),
        (b'{"columns": {"age": [' + b"1," * 1_000_000 + b'1], "income": [1], "town": [""]}}', 413),
        (json.dumps({f"column {number}": number for number in range(200_000)}).encode(), 422),
        (b"{" * 20_000 + b'\\"' * 2_000_000, 413),
        (b"{" * 20_000 + b'"' + b"\\" * 4_000_001, 413),
        (b'{"age": NaN, "income": 1, "town": ""}', 422),
        (b'{"age": Infinity, "income": 1, "town": ""}', 422),
        (b'{"age": 1e400, "income": 1, "town": ""}', 422),
        (b'{"age": 1' + b"0" * 5000 + b', "income": 1, "town": ""}', 422),
        (b'{"age": 9223372036854775808, "income": 1, "town": ""}', 422),
        (b'{"age": "31", "income": [], "town": 3}', 422),
        (b'{"age": 31, "income": 1, "town": "", "agee": 1}', 422),
        (b'{"age": 31, "income": 1, "town": "\\ud800"}', 422),
        (b'{"age": 31, "income": 1, "town": "a\\u0000b"}', 200),
        (b'{"age": 3.4e38, "income": -9e18, "town": "x"}', 422),
        (b'{"age": 9e18, "income": -9e18, "town": "' + b"x" * 1_000_000 + b'"}', 200),
        (b'{"rows": [' + b'{"age": "' + b"x" * 7_000_000 + b'", "income": 1, "town": ""}]}', 422),
        (b"\x00" * 100, 400),
    ],
    ids=lambda given: given[:24] if isinstance(given, bytes) else None,
)
def test_a_body_that_is_made_to_hurt_gets_its_answer(server: Server, body: bytes, expected: int) -> None:
    told = raw(server.port, sent(body))
    assert status(told) == expected
    assert expected == 200 or len(told) < 10_000


def test_a_gigabyte_is_refused_when_it_is_announced(server: Server) -> None:
    begun_s = time.monotonic()
    told = raw(server.port, f"{HEAD}Content-Length: 1000000000\r\n\r\n".encode() + b'{"rows": [')
    assert status(told) == 413
    assert time.monotonic() - begun_s < 1


@pytest.mark.parametrize("framing", ["chunked", "announced"])
def test_a_gigabyte_that_comes_is_not_kept(server: Server, framing: str) -> None:
    block = b" " * 1_000_000
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as one:
        if framing == "chunked":
            one.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
            block = b"%x\r\n%b\r\n" % (len(block), block)
        else:
            one.sendall(f"{HEAD}Content-Length: 30000000\r\n\r\n".encode())  # it could be a mistake, and is listened to
        taken = 0
        with contextlib.suppress(OSError):
            for _ in range(30 if framing == "announced" else 1000):
                one.sendall(block)
                taken += len(block)
        assert taken < 60_000_000
        assert status(one.recv(65_536)) == 413


def test_requests_without_the_token_do_not_get_to_send_much(server: Server) -> None:
    told = raw(server.port, sent(b"x" * 1000, HEAD.replace(TOKEN, "another-token-of-tests")))
    assert status(told) == 401
    assert TOKEN.encode() not in told
    begun_s = time.monotonic()
    head = HEAD.replace(TOKEN, "another-token-of-tests")
    assert status(raw(server.port, f"{head}Content-Length: 1000000\r\n\r\n".encode() + b"x")) in (401, 408)
    assert time.monotonic() - begun_s < 4


def test_requests_that_do_not_go_on_are_ended(server: Server) -> None:
    begun_s = time.monotonic()
    waiting: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        for begun in (
            b"",
            b"POST /pre",
            HEAD.encode(),
            f"{HEAD}Content-Length: 100\r\n\r\n".encode() + b'{"age"',
            f"{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n".encode() + b'{"a',
        ):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            one.sendall(begun)
            waiting.append(one)
        assert server.good_s() < 1
        told = [one.recv(65_536) for one in waiting]
        assert [status(one) for one in told] == [408] * len(waiting)
        assert {json.loads(one.partition(b"\r\n\r\n")[2])["error"]["code"] for one in told} == {408}
        assert [one.recv(1) for one in waiting] == [b""] * len(waiting)
    assert time.monotonic() - begun_s < 3


def test_bodies_that_stand_still_keep_nobody_out(server: Server) -> None:
    size = 8_000_000
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            one.sendall(f"{HEAD}Content-Length: {size}\r\n\r\n".encode() + b" " * (size - 5))
        assert server.good_s() < 1 or server.good_s() < 1
        assert server.post({"rows": [ROW] * 5000}).status_code == 200


def test_a_connection_is_kept_for_longer_than_a_request_may_take(server: Server) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as one:
        for rest_s in (0, 1.3):
            time.sleep(rest_s)
            one.request("GET", "/health")
            assert json.loads(one.getresponse().read()) == {"status": "ok"}
        one.sock.sendall(b"GET /hea")
        assert one.sock.recv(65_536) == b""  # within the time of a head


def test_a_request_that_comes_byte_by_byte_is_ended(server: Server) -> None:
    begun_s = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as one, contextlib.suppress(OSError):
        one.sendall(f"{HEAD}Content-Length: 100\r\n\r\n".encode())
        for _ in range(50):
            one.sendall(b" ")
            time.sleep(0.1)
    assert time.monotonic() - begun_s < 3


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nA: " + b"b" * 5_000_000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        f"{HEAD}Content-Length: -5\r\n\r\n".encode(),
        f"{HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode(),
        f"{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode(),
    ],
    ids=lambda begun: begun[-12:],
)
def test_what_is_no_request_is_refused(server: Server, begun: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        told = raw(server.port, begun)
        assert not told or status(told) == 400


def test_a_thousand_idle_connections_keep_nobody_out(server: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(1000):
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            assert server.good_s() < 1 or server.good_s() < 1
            assert len(psutil.Process(server.process.pid).net_connections()) < 600
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def leave(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as one:
        one.sendall(sent(json.dumps({"rows": [ROW] * 5000}).encode()))


def reset(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        one.sendall(sent(json.dumps({"rows": [ROW] * 5000}).encode())[:50_000])


@pytest.mark.parametrize("go", [leave, reset])
def test_clients_that_go_away_leave_nothing_behind(server: Server, go: Callable[[Server], None]) -> None:
    for _ in range(20):
        go(server)
    deadline_s = time.monotonic() + 10
    while "sweep_held_bytes 0.0" not in (told := server.get("/metrics").text) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert "sweep_held_bytes 0.0" in told
    assert "sweep_requests_in_flight 1.0" in told
