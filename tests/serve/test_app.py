"""What a client of a real server is told: predictions, what the model is, and who gets in."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from search.bundle.bundle import Bundle
from search.serve.app import App
from search.serve.backend import Answer, Served
from search.serve.here import Here
from search.serve.limits import Limits
from search.serving.hosts import Hosts
from tests.bundle.bundles import tiny
from tests.serve.servers import ROW, TOKEN, Server, raw, serving

GET = "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("open") / "toy"
    tiny(root, unused=("id",))
    with serving(root) as found:
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("guarded") / "toy"
    tiny(root)
    token = root.with_name("token")
    token.write_text(f"{TOKEN}\n")
    with serving(root, "--token-file", str(token), "--allow-host", "models.example", "--rate", "2") as found:
        yield found


def test_rows_are_predicted_in_all_forms(server: Server) -> None:
    one = server.post(ROW).json()
    assert one["model"] == "toy"
    (prediction,) = one["predictions"]
    assert set(prediction) == {"label", "probabilities"}
    assert sum(prediction["probabilities"].values()) == pytest.approx(1)
    assert server.post({"rows": [ROW, ROW]}).json()["predictions"] == [prediction] * 2
    columns = server.post({"columns": {name: [value] * 3 for name, value in ROW.items()}}).json()
    assert columns["label"] == [prediction["label"]] * 3
    assert columns["probabilities"]["no"] == [prediction["probabilities"]["no"]] * 3


def test_a_large_batch_is_predicted_as_its_rows_are(server: Server) -> None:
    rows = [{**ROW, "age": number, "town": "Köln"} for number in range(3000)]
    told = server.post({"rows": rows}).json()["predictions"]
    assert told[::1000] == [server.post(row).json()["predictions"][0] for row in rows[::1000]]


def test_a_wrong_row_is_told_by_row_and_column(server: Server) -> None:
    told = server.post({"rows": [ROW, {**ROW, "age": "abc"}]})
    assert told.status_code == 422
    error = told.json()["error"]
    assert error["field"] == "rows[1].age"
    assert error["message"] == "rows[1].age: expected a number, got 'abc'"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
)
def test_rows_are_plain_json(server: Server, head: dict[str, str], status: int) -> None:
    with server.client(**head) as client:
        assert client.post("/predict", content=json.dumps(ROW)).status_code == status


def test_each_answer_has_an_id_and_a_good_one_comes_back(server: Server) -> None:
    assert server.get("/health", **{"X-Request-ID": "job-7/2026"}).headers["X-Request-ID"] == "job-7/2026"
    made = {server.get(path, **{"X-Request-ID": "a b"}).headers["X-Request-ID"] for path in ("/health", "/nothing")}
    assert len(made) == 2
    assert "a b" not in made


def test_it_tells_that_it_answers_and_that_its_model_does(server: Server) -> None:
    assert server.get("/health").json() == {"status": "ok"}
    assert server.get("/ready").json() == {"status": "ready", "model": "toy"}


def test_the_model_is_told_as_a_card_or_in_full(server: Server) -> None:
    card = server.get("/model", Accept="text/markdown")
    assert card.headers["Content-Type"].startswith("text/markdown")
    assert card.text.startswith("# Toy")
    told = server.get("/model").json()
    assert told["card"] == card.text
    assert told["digest"] == server.told["digest"]
    assert len(told["manifest"]["files"]["model.onnx"]) == 64
    assert [one["name"] for one in told["signature"]["inputs"]] == ["age", "income", "town", "id"]
    assert server.post(told["example"]).status_code == 200


def test_requests_rows_and_strange_values_are_counted(server: Server) -> None:
    before = counted(server)
    server.post({"rows": [{**ROW, "age": 1e6}, {**ROW, "town": "Rom"}]})
    server.post(b"{")
    after = counted(server)
    grown = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    assert grown["sweep_requests_total /predict 200"] == 1
    assert grown["sweep_requests_total /predict 400"] == 1
    assert grown["sweep_predicted_rows_total toy"] == 2
    assert grown["sweep_strange_values_total age toy"] == 1
    assert grown["sweep_strange_values_total town toy"] == 1
    assert grown["sweep_predict_seconds_count"] == 2
    assert (grown["sweep_run_rows_count"], grown["sweep_run_rows_sum"]) == (1, 2)
    assert after["sweep_requests_in_flight"] == 1  # the one that asks


def counted(server: Server) -> dict[str, float]:
    families = text_string_to_metric_families(server.get("/metrics").text)
    return {
        " ".join((one.name, *(one.labels[name] for name in sorted(one.labels)))): one.value
        for family in families
        for one in family.samples
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nothing", 404, None),
        ("GET", "/predict", 405, "POST"),
        ("POST", "/model", 405, "GET, HEAD"),
        ("DELETE", "/", 405, "GET, HEAD"),
        ("HEAD", "/health", 200, None),
    ],
)
def test_other_paths_and_methods_are_refused(
    server: Server, method: str, path: str, status: int, allow: str | None
) -> None:
    with server.client() as client:
        told = client.request(method, path)
    assert (told.status_code, told.headers.get("Allow")) == (status, allow)


@pytest.mark.parametrize(
    ("host", "more", "status"),
    [
        ("localhost", "", 200),
        ("127.0.0.1:8000", "", 200),
        ("evil.example", "", 421),
        ("localhost", "Host: localhost\r\n", 400),
        ("localhost", "Origin: http://localhost\r\n", 200),
        ("localhost", "Origin: http://evil.example\r\n", 403),
        ("localhost", "Origin: null\r\n", 403),
        ("localhost", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", 403),
        ("localhost", "Sec-Fetch-Site: same-origin\r\n", 200),
        ("localhost", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n", 200),
    ],
)
def test_other_names_and_other_pages_do_not_reach_it(server: Server, host: str, more: str, status: int) -> None:
    told = raw(server.port, GET.format("/health", host, more).encode())
    assert told.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"access-control" not in told.lower()


def test_a_request_without_the_token_is_refused_but_for_its_health(guarded: Server) -> None:
    for path in ("/model", "/metrics", "/openapi.json"):
        assert guarded.get(path, Authorization="Bearer another").status_code in (401, 429)
    for path in ("/", "/health", "/ready"):
        told = guarded.get(path, Authorization="")
        assert told.status_code == 200
        assert "Bonn" not in told.text
    assert TOKEN not in json.dumps(guarded.told)


def test_a_client_that_asks_too_often_waits(guarded: Server) -> None:
    with guarded.client() as client:
        told = [client.post("/predict", json=ROW) for _ in range(10)]
    assert {one.status_code for one in told[2:]} == {429}
    assert told[-1].headers["Retry-After"] == "1"


def test_a_name_that_is_allowed_is_answered(guarded: Server) -> None:
    told = raw(guarded.port, GET.format("/health", "models.example", "").encode())
    assert told.startswith(b"HTTP/1.1 200 ")


def test_requests_on_one_connection_are_answered_in_order(server: Server) -> None:
    body = json.dumps(ROW).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Request-ID: %d\r\n"
    sent = b"".join(head % number + b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for number in range(20))
    told = raw(server.port, sent, wait_s=1)
    assert [part.split(b"\r\n")[0] for part in told.split(b"x-request-id: ")[1:]] == [b"%d" % one for one in range(20)]


class Faulty:
    """A backend that fails by a fault of ours."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.lost = 0

    async def predict(self, body: bytes) -> Answer:
        raise RuntimeError("a secret of the machine")

    async def swap(self, served: Served) -> None: ...

    async def close(self) -> None: ...


def test_a_fault_of_ours_is_told_as_one_and_shows_nothing(tmp_path: Path) -> None:
    tiny(tmp_path / "toy")
    app = App(Faulty(Served(Bundle.open(tmp_path / "toy"), "toy")), Limits(), Hosts.of("127.0.0.1", "127.0.0.1"), None)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [await client.post("/predict", json=ROW), await client.get("/ready")]

    predicted, ready = asyncio.run(ask())
    assert (predicted.status_code, ready.status_code) == (500, 503)
    assert predicted.json()["error"]["message"] == "a fault of sweep itself; its terminal shows more"
    assert "secret" not in predicted.text + ready.text


class Slow(Faulty):
    """A backend that takes its time."""

    def __init__(self, served: Served, seconds: float) -> None:
        super().__init__(served)
        self._seconds = seconds

    async def predict(self, body: bytes) -> Answer:
        await asyncio.sleep(self._seconds)
        return Answer(200, b"{}", 1, self.served.label)


def test_a_model_that_is_slow_is_ready_for_all_who_ask_and_late_is_told(tmp_path: Path) -> None:
    tiny(tmp_path / "toy")
    backend, hosts = Slow(Served(Bundle.open(tmp_path / "toy"), "toy"), 0.7), Hosts.of("127.0.0.1", "127.0.0.1")
    transport = httpx.ASGITransport(App(backend, Limits(timeout_s=0.1), hosts, None))

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            asked = (client.get("/ready"), client.get("/ready"), client.post("/predict", json=ROW))
            return [*await asyncio.gather(*asked)]

    first, second, late = asyncio.run(ask())
    assert (first.status_code, second.status_code, late.status_code) == (200, 200, 504)
    assert late.json()["error"]["message"] == "the model took longer than 0.1 s"


def test_a_body_that_comes_at_once_is_capped_as_well(tmp_path: Path) -> None:
    tiny(tmp_path / "toy")

    async def ask() -> list[int]:
        limits = Limits(body_bytes=1000)
        async with Here(Served(Bundle.open(tmp_path / "toy"), "toy"), limits) as backend:
            transport = httpx.ASGITransport(App(backend, limits, Hosts.of("127.0.0.1", "127.0.0.1"), None))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                told = [await client.post("/predict", json={**ROW, "town": "x" * size}) for size in (900, 1000, 5000)]
        return [one.status_code for one in told]

    assert asyncio.run(ask()) == [200, 413, 413]


def test_a_server_that_is_told_to_end_answers_what_has_begun(tmp_path: Path) -> None:
    tiny(tmp_path / "toy")
    body = json.dumps({"rows": [ROW] * 9000}).encode()
    with serving(tmp_path / "toy") as server, ThreadPoolExecutor(1) as pool:
        with socket.create_connection(("127.0.0.1", server.port)) as one:
            head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
            one.sendall(f"{head}{len(body)}\r\n\r\n".encode() + body[:1000])
            assert server.get("/health").status_code == 200  # it has read so far
            ended = pool.submit(server.end)
            one.sendall(body[1000:])
            received = b""
            while chunk := one.recv(1 << 20):
                received += chunk
        assert received.startswith(b"HTTP/1.1 200 ")
        assert received.count(b'"label"') == 9000
        assert ended.result() == 143
