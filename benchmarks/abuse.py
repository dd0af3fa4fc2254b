"""How a real server stands attacks: requests made from its own description, then abuses beside good requests.

    python benchmarks/abuse.py --requests 10000 --seconds 5

Prints what answers schemathesis got and whether it found a fault, how much memory the server gained, and how long good
requests, each on a connection of its own, took beside each abuse. The server has its default limits.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.bundle.bundles import tiny  # noqa: E402
from tests.serve.servers import ROW, Server, raw, serving  # noqa: E402

HEAD: Final = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY_BYTES: Final = 8_000_000
GAP_S: Final = 0.01
PROCESSES: Final = 2
"""Of schemathesis, which takes far longer to make a request than the server to answer it."""
HEADERS: Final = {"Content-Type": "application/json"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, help="that schemathesis makes at least")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each abuse")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sweep-abuse-") as name:
        tiny(Path(name) / "toy", unused=("id",))
        with serving(Path(name) / "toy") as server:
            for _ in range(20):
                server.good_s()
            server.post({"rows": [ROW] * 10_000})  # what a large request takes stays with the process
            _made(server, given.requests)
            _abused(server, given.seconds)


def _made(server: Server, least: int) -> None:
    before, begun_s, answered = server.rss, time.monotonic(), _answered(server)
    seeds = count(1)
    with ThreadPoolExecutor(PROCESSES) as threads:
        codes: list[int] = []
        while (answers := _answered(server) - answered).total() < least:
            codes += threads.map(partial(_run, server.url), islice(seeds, PROCESSES))
    told = ", ".join(f"{number:,} x {status}" for status, number in sorted(answers.items()))
    print(f"{answers.total():,} answers in {time.monotonic() - begun_s:.0f} s: {told}; exit codes {codes}")
    print(f"memory: {before / 1e6:.0f} MB before, {server.rss / 1e6:.0f} MB behind\n", flush=True)


def _run(url: str, seed: int) -> int:
    command = [
        str(Path(sys.executable).with_name("st")),
        "run",
        f"{url}/openapi.json",
        "-n",
        "1250",
        "--seed",
        str(seed),
    ]
    flags = ["--exclude-checks", "positive_data_acceptance", "--continue-on-failure"]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
    print(done.stdout[-3000:], file=sys.stderr, flush=True)
    return done.returncode


def _answered(server: Server) -> Counter[str]:
    found: Counter[str] = Counter()
    lines = server.get("/metrics").text
    for status, number in re.findall(r'^sweep_requests_total{.*status="(\d+)"} (\S+)', lines, re.MULTILINE):
        found[status] += int(float(number))
    return found


def _abused(server: Server, seconds: float) -> None:
    before = server.rss
    print("| beside | good requests | failed | p50, ms | p99, ms | longest, ms | memory, MB |")
    print("|---|---|---|---|---|---|---|")
    for name, abuse in (("nothing", None), *ABUSES.items()):
        if abuse is None:
            taken_ms, failed = _good(server.port, seconds)
        else:
            with _running(abuse, server.port):
                taken_ms, failed = _good(server.port, seconds)
        p99 = statistics.quantiles(taken_ms, n=100)[98]
        figures = f"{statistics.median(taken_ms):.1f} | {p99:.1f} | {max(taken_ms):.0f}"
        print(f"| {name} | {len(taken_ms):,} | {failed} | {figures} | {server.rss / 1e6:.0f} |", flush=True)
    time.sleep(1)
    print(f"\nmemory: {before / 1e6:.0f} MB before, {server.rss / 1e6:.0f} MB behind")


def _good(port: int, seconds: float) -> tuple[list[float], int]:
    body, taken_ms, failed = json.dumps(ROW).encode(), [], 0
    until_s = time.monotonic() + seconds
    while (begun_s := time.monotonic()) < until_s:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("POST", "/predict", body, HEADERS)
            failed += connection.getresponse().status != 200
        except (OSError, http.client.HTTPException):
            failed += 1
        finally:
            connection.close()
        taken_ms.append(1000 * (time.monotonic() - begun_s))
        time.sleep(GAP_S)
    return taken_ms, failed


@contextmanager
def _running(abuse: Callable[[int], object], port: int) -> Iterator[None]:
    process = multiprocessing.Process(target=_forever, args=(abuse, port), daemon=True)
    process.start()
    time.sleep(0.5)
    try:
        yield
    finally:
        process.kill()
        process.join()


def _forever(abuse: Callable[[int], object], port: int) -> None:
    while True:
        with suppress(OSError):
            abuse(port)


def _body(content: bytes) -> Callable[[int], object]:
    head = f"{HEAD}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode()
    return lambda port: raw(port, head + content)


def _begun(*, connections: int, sent: bytes, then: bytes = b"") -> Callable[[int], object]:
    """Return an abuse by connections that stay open and send little more."""

    def hold(port: int) -> None:
        held = []
        for _ in range(connections):
            held.append(socket.create_connection(("127.0.0.1", port), timeout=5))
            held[-1].sendall(sent)
        while True:
            time.sleep(0.1)
            for one in held:
                one.sendall(then)

    return hold


def _leave(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        one.sendall(f"{HEAD}Content-Length: {BODY_BYTES}\r\n\r\n".encode() + b" " * 100_000)


def _gigabyte(port: int) -> None:
    block = b"f4240\r\n" + b" " * 1_000_000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
        one.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(1000):
            one.sendall(block)


STANDING: Final = f"{HEAD}Content-Length: {BODY_BYTES}\r\n\r\n".encode() + b" " * (BODY_BYTES - 5)
ABUSES: Final[dict[str, Callable[[int], object]]] = {
    "bodies nested 100,000 deep": _body(b"[" * 100_000),
    "a million empty rows": _body(b'{"rows": [' + b"{}," * 1_000_000 + b"{}]}"),
    "columns of a million values": _body(b'{"columns": {"age": [' + b"1," * 1_000_000 + b"1]}}"),
    "200,000 names": _body(json.dumps({f"column {number}": number for number in range(200_000)}).encode()),
    "a text of 7 MB where a number belongs": _body(b'{"age": "' + b"x" * 7_000_000 + b'", "income": 1, "town": ""}'),
    "batches of 10,000 rows": _body(json.dumps({"rows": [ROW] * 10_000}).encode()),
    "gigabytes, chunked": _gigabyte,
    "heads of 5 MB": lambda port: raw(port, b"GET / HTTP/1.1\r\nA: " + b"b" * 5_000_000),
    "no HTTP": lambda port: raw(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "1,000 idle connections": _begun(connections=1000, sent=b""),
    "400 heads, a byte at a time": _begun(connections=400, sent=HEAD.encode(), then=b"a"),
    "4 bodies of 8 MB that stand still": _begun(connections=4, sent=STANDING),
    "40 bodies of 8 MB that stand still": _begun(connections=40, sent=STANDING),
    "clients that go away": _leave,
}


if __name__ == "__main__":
    main()
