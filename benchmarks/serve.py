"""How fast a model is served: ours beside what people would take instead, under the load of wrk.

    python benchmarks/serve.py --rounds 5 --seconds 4

Each server gets one core and wrk another; each answers requests of one row, over 1, 8 and 64 connections. They take
turns in every round, so that all meet the same machine. The peers live in an environment of their own (`.venv/peers`),
which is made if it is not there. All but the pickled pipeline run the very ONNX file of our bundle, with one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.serve_peers.bundle import make_bundle, make_table  # noqa: E402

PEERS: Final = ROOT / "benchmarks" / "serve_peers"
VENV: Final = ROOT / ".venv" / "peers"
PACKAGES: Final = (
    *("bentoml", "fastapi", "httptools", "litserve", "mlflow", "onnx==1.23.2", "onnxruntime==1.32.0", "pandas==2.3.3"),
    *("scikit-learn==1.9.1", "torch==2.13.0", "uvicorn", "uvloop"),
)
CONNECTIONS: Final = (1, 8, 64)
OURS: Final = "sweep serve"
PICKLED: Final = "pickle behind FastAPI"
START_S: Final = 90.0


@dataclass
class Server:
    """One of those that are compared.

    Attributes:
        name: In the table.
        command: That starts it.
        path: Of its URL.
        body: Of a request for one row.
        environment: Of it.
    """

    name: str
    command: list[str]
    path: str
    body: bytes
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0


@dataclass(frozen=True)
class Load:
    """What wrk measured: requests a second, and latencies in milliseconds."""

    rate: float
    p50_ms: float
    p99_ms: float
    failed: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each load")
    parser.add_argument("--only", nargs="*", default=(), help="names of servers, beside ours")
    given = parser.parse_args()
    for program, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not installed: apt-get install -y {package}")
    with tempfile.TemporaryDirectory(prefix="sweep-serve-") as name:
        folder = Path(name)
        row = make_table(folder / "table.csv")
        make_bundle(folder)
        servers = [one for one in _servers(folder, row) if not given.only or one.name in (OURS, *given.only)]
        found = _measure(servers, folder, given.rounds, given.seconds)
    _print(servers, found, given.rounds, given.seconds)


def _servers(folder: Path, row: dict[str, Any]) -> list[Server]:
    _make_peers()
    python, rows = str(VENV / "bin" / "python"), json.dumps({"rows": [row]}).encode()
    for script, *arguments in (("pickled.py", "make", str(folder)), ("mlflow_model.py", str(folder))):
        subprocess.run([python, str(PEERS / script), *arguments], check=True, stderr=subprocess.DEVNULL)
    tensors = {"inputs": {name: [[value]] for name, value in row.items()}}
    mlflow = f"{VENV / 'bin' / 'mlflow'} models serve -m {folder / 'mlflow'} --env-manager local --workers 1 --port "
    bento = f"{VENV / 'bin' / 'bentoml'} serve bento:Predictor --working-dir {PEERS} --port PORT"
    quiet = {"BENTOML_DO_NOT_TRACK": "1", "FOLDER": str(folder), "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}"}
    ours = [sys.executable, "-m", "search", "serve", str(folder / "bundle"), "--port", "PORT"]
    return [
        Server(OURS, ours, "/predict", rows),
        Server(PICKLED, [python, str(PEERS / "pickled.py"), "serve", str(folder), "PORT"], "/predict", rows),
        Server("FastAPI, our ONNX", [python, str(PEERS / "fastapi_onnx.py"), str(folder), "PORT"], "/predict", rows),
        Server("MLflow, our ONNX", [*mlflow.split(), "PORT"], "/invocations", json.dumps(tensors).encode(), quiet),
        Server("BentoML, our ONNX", bento.split(), "/predict", rows, quiet),
        Server("LitServe, our ONNX", [python, str(PEERS / "lit.py"), str(folder), "PORT"], "/predict", rows),
    ]


def _make_peers() -> None:
    if (VENV / "made").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    subprocess.run([str(VENV / "bin" / "pip"), "install", "--quiet", *PACKAGES], check=True)
    (VENV / "made").touch()


def _measure(servers: list[Server], folder: Path, rounds: int, seconds: int) -> dict[tuple[str, int], list[Load]]:
    found: dict[tuple[str, int], list[Load]] = {}
    for turn in range(rounds):
        for server in servers[turn % len(servers) :] + servers[: turn % len(servers)]:
            with _running(server):
                for connections in CONNECTIONS:
                    _wrk(server, folder, connections, 1)  # warms it up
                    load = _wrk(server, folder, connections, seconds)
                    found.setdefault((server.name, connections), []).append(load)
                    print(f"{turn} {server.name:24} {connections:3} {load}", file=sys.stderr, flush=True)
    return found


@contextmanager
def _running(server: Server) -> Iterator[None]:
    """Have a server answer on the first core."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.port = free.getsockname()[1]
    command = ["taskset", "-c", "0", *(part.replace("PORT", str(server.port)) for part in server.command)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **server.environment}
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        _await(server, process)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def _await(server: Server, process: subprocess.Popen[bytes]) -> None:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s and process.poll() is None:
        with suppress(OSError):
            if b"0." in _ask(server):
                return
        time.sleep(0.2)
    sys.exit(f"{server.name} does not answer")


def _ask(server: Server) -> bytes:
    url = f"http://127.0.0.1:{server.port}{server.path}"
    request = urllib.request.Request(url, server.body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        content: bytes = answer.read()
        return content


def _wrk(server: Server, folder: Path, connections: int, seconds: int) -> Load:
    """Load a server from the second core."""
    script = folder / "post.lua"
    script.write_text(
        f"wrk.method = 'POST'\nwrk.body = [==[{server.body.decode()}]==]\n"
        "wrk.headers['Content-Type'] = 'application/json'\n"
    )
    url = f"http://127.0.0.1:{server.port}{server.path}"
    command = f"taskset -c 1 wrk -t1 -c{connections} -d{seconds}s --timeout 10s --latency -s {script} {url}"
    said = subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout
    failed = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", said)))
    failed += sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", said)))
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", said)[0])
    return Load(rate, _ms(said, "50"), _ms(said, "99"), failed)


def _ms(said: str, percent: str) -> float:
    number, unit = re.findall(rf"{percent}%\s+([\d.]+)(us|ms|s|m)\b", said)[0]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}[unit]


def _print(servers: list[Server], found: dict[tuple[str, int], list[Load]], rounds: int, seconds: int) -> None:
    print(f"Medians of {rounds} rounds of {seconds} s; ratios within a round, [least, most] of them.\n")
    for connections in CONNECTIONS:
        ours = found[OURS, connections]
        print(f"**{connections} connection{'s' * (connections > 1)}**\n")
        print("| server | requests/s | p50, ms | p99, ms | ours is faster by | its p99 / ours | failed |")
        print("|---|---|---|---|---|---|---|")
        for server in servers:
            loads = found[server.name, connections]
            faster = [one.rate / other.rate for one, other in zip(ours, loads, strict=True)]
            slower = [other.p99_ms / one.p99_ms for one, other in zip(ours, loads, strict=True)]
            middle = [statistics.median(getattr(one, name) for one in loads) for name in ("rate", "p50_ms", "p99_ms")]
            told = f"{statistics.median(faster):.1f} [{min(faster):.1f}, {max(faster):.1f}]"
            measured = f"{middle[0]:,.0f} | {middle[1]:.2f} | {middle[2]:.2f}"
            late, failed = statistics.median(slower), sum(one.failed for one in loads)
            print(f"| {server.name} | {measured} | {told} | {late:.1f} | {failed} |")
        print()


if __name__ == "__main__":
    main()
