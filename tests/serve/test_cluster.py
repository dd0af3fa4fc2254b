"""The same application on Ray Serve: replicas that share no disk answer, and are replaced without losing a request."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from search.errors import RefusedError
from search.serve.cluster import Site, deployed
from search.serve.limits import Limits
from search.serving.hosts import Hosts
from search.serving.key import key_of
from tests.serve.backends import body_of, broken, version

TOKEN = "a-token-of-this-test-only"
SLOW = f"""POST /predict HTTP/1.1\r
Host: 127.0.0.1\r
Authorization: Bearer {TOKEN}\r
Content-Type: application/json\r
Content-Length: 100\r
\r
{{""".encode()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _ask(port: int, token: str = TOKEN) -> tuple[int, str]:
    """Return the version that answered, and its model's label."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/predict", body_of({}), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        told = json.load(answer)
    return round(told["predictions"][0]["value"] / 100), told["model"]


@pytest.mark.usefixtures("ray_session")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Serve itself, when it is imported
def test_replicas_answer_and_are_replaced_without_a_lost_request(tmp_path: Path) -> None:
    first, second = version(tmp_path, 1), version(tmp_path, 2)
    port, hosts = _free_port(), Hosts.of("127.0.0.1", "127.0.0.1")
    site = Site("127.0.0.1", port, 2, 2, 1, Limits(timeout_s=3.0), hosts, key_of(TOKEN, "a test", flag="--token-file"))
    with deployed(first, site) as running:
        slow = socket.create_connection(("127.0.0.1", port), timeout=20)
        slow.sendall(SLOW)
        shutil.rmtree(first.bundle.root)  # replicas have what they need
        assert {_ask(port) for _ in range(50)} == {(1, "toy:1")}
        with pytest.raises(urllib.error.HTTPError, match="401"):
            _ask(port, "another-token-than-this")
        with pytest.raises(RefusedError, match="runs on this cluster already"), deployed(first, site):
            pass
        with pytest.raises(RefusedError, match="cannot be loaded"):
            asyncio.run(running.swap(broken(second)))
        answers: list[tuple[int, str]] = []
        over = threading.Event()

        def load() -> None:
            while not over.is_set():
                answers.append(_ask(port))

        client = threading.Thread(target=load)
        client.start()
        asyncio.run(running.swap(second))
        over.set()
        client.join()
        assert set(answers) <= {(1, "toy:1"), (2, "toy:2")}
        assert _ask(port) == (2, "toy:2")
        with slow:
            assert slow.recv(100).startswith(b"HTTP/1.1 408 "), "of a body that does not come"
