"""What a client of a real collector is told: rows that are durable, faults without an echo, and limits that hold."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.data.collect.servers import KEY, SCHEMA, Server, frozen, ids, raw, serving

HEAD = f"Host: localhost\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("shared"), "--read-timeout", "1", "--max-mb-per-request", "1") as found:
        yield found


def count(server: Server) -> int:
    with server.client() as client:
        return int(client.get("/stats").json()["rows"])


def test_good_rows_are_stored_and_bad_ones_put_aside_with_the_reason(server: Server) -> None:
    before = count(server)
    told = server.post({"rows": [{"id": "a", "age": 3}, {"id": "b", "age": "3"}, {"id": "c"}, {"age": 3}]})
    assert told.status_code == 200
    assert told.json() == {
        "accepted": 2,
        "rejected": 2,
        "errors": [
            {"row": 1, "column": "age", "expected": "integer from 0 to 120", "got": "text"},
            {"row": 3, "column": "id", "expected": "text of at most 40 characters", "got": "nothing"},
        ],
    }
    assert count(server) == before + 2


def test_where_all_rows_are_bad_the_status_says_so(server: Server) -> None:
    told = server.post({"id": 3})
    assert (told.status_code, told.json()["accepted"], told.json()["rejected"]) == (422, 0, 1)
    assert server.post({"rows": []}).json() == {"accepted": 0, "rejected": 0, "errors": []}


def test_an_answer_names_the_first_20_faults_and_repeats_nothing_that_was_sent(server: Server) -> None:
    told = server.post({"rows": [{"id": "x", "secret-name": "secret-value" * 20}] * 3000})
    assert told.json()["rejected"] == 3000
    assert len(told.json()["errors"]) == 20
    assert "secret" not in told.text


def test_a_key_that_came_before_gives_the_same_answer_and_stores_nothing(server: Server) -> None:
    before = count(server)
    rows = {"rows": [{"id": "k"}, {"id": 3}]}
    first = server.post(rows, **{"Idempotency-Key": "one"})
    assert server.post(rows, **{"Idempotency-Key": "one"}).text == first.text
    assert count(server) == before + 1
    other = server.post({"id": "other"}, **{"Idempotency-Key": "one"})
    assert (other.status_code, other.json()["error"]["field"]) == (422, "Idempotency-Key")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.post(rows, **{"Idempotency-Key": "two"}).text, range(16)))
    assert set(answers) == {first.text}
    assert count(server) == before + 2


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", KEY, f"Basic {KEY}", f"Bearer {KEY}x", "Bearer é"]
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/rows"), ("GET", "/stats")])
def test_without_the_key_nothing_is_told_or_taken(server: Server, header: str | None, method: str, path: str) -> None:
    headers = [(b"Authorization", header.encode())] if header is not None else []
    told = httpx.request(method, server.url + path, headers=headers, json={"id": "x"}, trust_env=False)
    assert told.status_code == 401
    assert told.json()["error"]["field"] == "Authorization"
    assert KEY not in told.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("127.0.0.1:8075", 200),
        ("127.9.9.9", 200),
        ("[::1]:80", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
        ("127.0.0.1.evil.example:80", 400),
        ("10.0.0.1", 400),
        ("", 400),
    ],
)
def test_only_a_name_of_its_own_reaches_it(server: Server, host: str, status: int) -> None:
    told = httpx.get(f"{server.url}/health", headers={"Host": host}, trust_env=False)
    assert told.status_code == status


def test_a_page_of_another_origin_gets_no_leave(server: Server) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    for method in ("OPTIONS", "GET", "POST"):
        told = httpx.request(method, f"{server.url}/rows", headers=headers, trust_env=False)
        assert told.status_code in (401, 405)
        assert not [name for name in told.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"id": NaN}', {}, 400),
        (b'{"id": "a", "id": "b"}', {}, 400),
        (b'{"id": "a", "age": 9223372036854775808}', {}, 400),
        (b'{"id": "a", "income": 1e400}', {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'{"id": "' + b"x" * 1_000_000 + b'"}', {}, 413),
        (b'{"id": "' + b"x" * 3_000_000 + b'"}', {}, 413),
        (b'{"rows": [' + b",".join([b'{"id":"a"}'] * 10_001) + b"]}", {}, 413),
        (b"id=a", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b'{"id": "a"}', {"Content-Type": "text/plain"}, 415),
        (b"\x1f\x8b", {"Content-Encoding": "gzip"}, 415),
        (b'{"id": "a"}', {"Idempotency-Key": "k" * 256}, 400),
        (b'{"id": "a"}', {"Idempotency-Key": ""}, 400),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_request_that_cannot_be_taken_whole_stores_nothing(
    server: Server, body: bytes, headers: dict[str, str], status: int
) -> None:
    before = count(server)
    with server.client(**{"Content-Type": "application/json", **headers}) as client:
        told = client.post("/rows", content=body)
    assert told.status_code == status
    assert told.json()["error"]["code"] == status
    assert len(told.content) < 500
    assert count(server) == before


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /rows HTTP/1.1\r\nHost: local",
        b"",
        f"POST /rows HTTP/1.1\r\n{HEAD}Content-Length: 100\r\n\r\n{{".encode(),
        f"POST /rows HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n{{".encode(),
        b"POST /rows HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea",
    ],
    ids=lambda value: value[:5].decode() + str(len(value)),
)
def test_whoever_sends_too_slowly_is_let_go(server: Server, sent: bytes) -> None:
    begun_s = time.monotonic()
    told = raw(server.port, sent, wait_s=6)
    assert 0.5 < time.monotonic() - begun_s < 4
    assert not told or told.startswith(b"HTTP/1.1 ")
    assert b" 408 " in told or b"/health" in sent or b"Authorization" not in sent


def test_a_head_that_trickles_is_let_go_all_the_same(server: Server) -> None:
    begun_s = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.1) as one, contextlib.suppress(ConnectionError):
        while time.monotonic() - begun_s < 5:
            one.sendall(b"G")
            with contextlib.suppress(TimeoutError):
                if not one.recv(100):
                    break
    assert 0.5 < time.monotonic() - begun_s < 4


def test_many_idle_connections_keep_nobody_out(server: Server) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(600)]
    try:
        begun_s = time.monotonic()
        assert server.post({"id": "among the idle"}).status_code == 200
        assert time.monotonic() - begun_s < 2
        assert len(psutil.Process(server.process.pid).net_connections()) < 300
    finally:
        for one in idle:
            one.close()


def test_large_requests_at_once_are_bounded_in_memory(server: Server) -> None:
    body = b'{"rows": [' + b",".join([b"[]"] * 330_000) + b"]}"
    before = psutil.Process(server.process.pid).memory_info().rss
    with server.client(**{"Content-Type": "application/json"}) as client, ThreadPoolExecutor(12) as pool:
        statuses = {told.status_code for told in pool.map(lambda _: client.post("/rows", content=body), range(12))}
    assert statuses <= {408, 413, 503}
    assert psutil.Process(server.process.pid).memory_info().rss - before < 200e6


def test_a_client_that_asks_first_is_told_before_it_sends(server: Server) -> None:
    ask = f"POST /rows HTTP/1.1\r\n{HEAD}Expect: 100-continue\r\nContent-Length: "
    assert raw(server.port, f"{ask}2000000\r\n\r\n".encode()).startswith(b"HTTP/1.1 413 ")
    unknown = ask.replace(KEY, "somebody-else-altogether")
    assert raw(server.port, f"{unknown}20\r\n\r\n".encode()).startswith(b"HTTP/1.1 401 ")


def test_what_is_unknown_is_one_json_sentence(server: Server) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("GET", "/rows", 405), ("DELETE", "/stats", 405)):
        told = httpx.request(method, server.url + path, trust_env=False)
        assert told.status_code == status
        assert told.json()["error"]["hint"] == "POST /rows, GET /stats, GET /health"


def test_on_loopback_the_api_describes_its_rows(server: Server) -> None:
    told = httpx.get(f"{server.url}/openapi.json", trust_env=False).json()
    row = told["paths"]["/rows"]["post"]["requestBody"]["content"]["application/json"]["schema"]["anyOf"][0]
    assert row["required"] == ["id"]
    assert row["properties"]["age"] == {
        "type": "integer",
        "description": "integer from 0 to 120",
        "minimum": 0,
        "maximum": 120,
    }
    assert httpx.get(f"{server.url}/docs", trust_env=False).status_code == 200


def test_beyond_loopback_nothing_describes_it_and_a_key_is_asked_for(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0", "--allow-host", "Data.Example", key=None) as server:
        base = f"http://127.0.0.1:{server.port}"
        for path in ("/docs", "/openapi.json", "/redoc"):
            assert httpx.get(base + path, trust_env=False).status_code == 404
        assert httpx.post(f"{base}/rows", json={"id": "x"}, trust_env=False).status_code == 401
        for host, status in (("data.example:80", 200), ("10.1.2.3", 200), ("evil.example", 400)):
            assert httpx.get(f"{base}/health", headers={"Host": host}, trust_env=False).status_code == status
        file = tmp_path / server.told["key_file"]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        key = file.read_text().strip()
        assert key not in json.dumps(server.told)
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.post(f"{base}/rows", json={"id": "x"}, headers=headers, trust_env=False).status_code == 200


def test_killed_and_started_again_it_has_all_and_gives_the_same_answers(tmp_path: Path) -> None:
    rows = {"rows": [{"id": "a"}, {"id": 3}]}
    with serving(tmp_path) as server:
        first = server.post(rows, **{"Idempotency-Key": "k"})
        server.end(signal.SIGKILL)
    wider = SCHEMA + 'shop = "text"\n'
    with serving(tmp_path, schema=wider) as server:
        assert server.post(rows, **{"Idempotency-Key": "k"}).text == first.text
        assert server.post({"id": "b", "shop": "Bern"}).status_code == 200
        server.end(signal.SIGKILL)
    assert ids(tmp_path) == ["a", "b"]
    assert frozen(tmp_path).target == "bought"


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_lets_what_has_begun_end(tmp_path: Path, signum: int, code: int) -> None:
    answers: list[Any] = []
    body = json.dumps({"rows": [{"id": f"r{number}"} for number in range(2000)]}).encode()

    def send(port: int) -> None:
        head = f"POST /rows HTTP/1.1\r\n{HEAD}Content-Length: {len(body)}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
            one.sendall(head + body[:-10])
            time.sleep(0.6)
            one.sendall(body[-10:])
            answers.append(one.recv(65_536))

    with serving(tmp_path) as server:
        sender = threading.Thread(target=send, args=(server.port,))
        sender.start()
        time.sleep(0.3)
        begun_s = time.monotonic()
        assert server.end(signum) == code
        assert time.monotonic() - begun_s < 5
        sender.join()
        assert server.process.stderr is not None
        assert "Traceback" not in server.process.stderr.read()
    assert answers[0].startswith(b"HTTP/1.1 200 ")
    assert len(ids(tmp_path)) == 2000


def test_its_files_are_for_their_owner_only(server: Server) -> None:
    root = server.folder / "results" / "data" / "visits"
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert KEY not in "".join(path.read_text(errors="replace") for path in root.rglob("*") if path.is_file())
    assert os.environ.get("SWEEP_COLLECT_KEY") is None
