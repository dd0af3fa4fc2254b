"""What learning costs predictions: latency of `/predict` under wrk, of one service that learns and one that is frozen.

    python benchmarks/online_latency.py              # 3 rounds of 20 s each
    python benchmarks/online_latency.py --seconds 5

A small network is found and promoted. Then `sweep online --frozen`, `sweep online` while labels come all the time, and
`sweep serve` take turns, and wrk asks for one row by one from 8 connections. Labels are sent
by a client of its own at a steady rate; how many were learnt in each round is told, or one that does not learn
would win. Prints Markdown: requests a second, p50 and p99 of each round, and the ratios of p99, which are what counts:
seconds depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import pandas as pd

ROWS: Final = 2_000
CONNECTIONS: Final = 8
LABELS_A_SECOND: Final = 200
FROZEN: Final = "online, frozen"
LEARNING: Final = "online, learning"
SERVE: Final = "serve"
ARMS: Final[Mapping[str, tuple[str, ...]]] = {
    SERVE: ("serve", "rain"),
    FROZEN: ("online", "rain", "--frozen"),
    LEARNING: ("online", "rain"),
}


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw.

    Attributes:
        per_s: Requests a second.
        p50_ms, p99_ms: Of their latency.
        learnt: Rows that were learnt meanwhile.
    """

    per_s: float
    p50_ms: float
    p99_ms: float
    learnt: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=20)
    given = parser.parse_args()
    found: dict[str, list[Load]] = {arm: [] for arm in ARMS}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        promote(folder)
        for number in range(given.rounds):
            for arm, command in ARMS.items():
                found[arm].append(measure(folder, command, given.seconds, learns=arm == LEARNING, seed=number))
                print(f"round {number + 1} {arm}: {found[arm][-1]}", file=sys.stderr, flush=True)
    print("| | requests/s | p50 ms | p99 ms | p99 of each round | rows learnt a second |")
    print("|---|---|---|---|---|---|")
    for arm, loads in found.items():
        rounds = ", ".join(f"{one.p99_ms:.1f}" for one in loads)
        told = [median(one.per_s for one in loads), median(one.p50_ms for one in loads)]
        learnt = median(one.learnt / given.seconds for one in loads)
        p99 = median(one.p99_ms for one in loads)
        print(f"| {arm} | {told[0]:.0f} | {told[1]:.2f} | {p99:.2f} | {rounds} | {learnt:.0f} |")
    for other in (FROZEN, SERVE):
        ratios = [ours.p99_ms / theirs.p99_ms for ours, theirs in zip(found[LEARNING], found[other], strict=True)]
        print(f"\np99 while learning, over {other}: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def promote(folder: Path) -> None:
    """Find a small network and put it into production as `rain`."""
    columns, labels = rows(0, ROWS)
    pd.DataFrame({**columns, "y": labels}).to_csv(folder / "train.csv", index=False)
    run = (
        "run",
        "tabular",
        "--data",
        "train.csv",
        "--target",
        "y",
        "--study",
        "s",
        "--trials",
        "4",
        "--max-epochs",
        "5",
    )
    sweep(folder, *run, "--set", "model.family=mlp", "--seed", "1", "--quiet")
    sweep(folder, "promote", "s", "--as", "rain", "--top", "1", "--seeds", "1")


def measure(folder: Path, command: tuple[str, ...], seconds: int, *, learns: bool, seed: int) -> Load:
    """Serve, and ask for so many seconds; a service that learns gets labels all the time."""
    script = folder / "one.lua"
    body = json.dumps({"a": 0.3, "b": -0.1, "c": 0.7, "d": 0.2})
    head = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
    script.write_text(f"{head}wrk.body = '{body}'\n")
    with serving(folder, command) as url:
        stop, before = threading.Event(), 0
        client = threading.Thread(target=label, args=(url, stop, seed))
        if learns:
            client.start()
            wait_for_learning(folder)
            before = learnt(folder)
        ask = ["wrk", "-t1", f"-c{CONNECTIONS}", "--latency", "-s", str(script), f"{url}/predict"]
        subprocess.run([*ask, "-d2s"], check=True, capture_output=True)
        told = subprocess.run([*ask, f"-d{seconds}s"], check=True, capture_output=True, text=True).stdout
        stop.set()
        if learns:
            client.join()
            time.sleep(2)
        after = learnt(folder) if learns else 0
    if re.search(r"Non-2xx", told):
        raise SystemExit(told)
    per_s = float(re.findall(r"Requests/sec:\s+([\d.]+)", told)[0])
    return Load(per_s, latency(told, "50%"), latency(told, "99%"), after - before)


def latency(told: str, share: str) -> float:
    """Return a percentile that wrk told, in ms."""
    value, unit = re.findall(rf"{share}\s+([\d.]+)(us|ms|s)\b", told)[0]
    return float(value) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


def label(url: str, stop: threading.Event, seed: int) -> None:
    """Send labelled rows at a steady rate until told to stop."""
    columns, labels = rows(100 + seed, 100_000)
    for start in range(0, len(labels), 20):
        if stop.wait(20 / LABELS_A_SECOND):
            return
        part = range(start, start + 20)
        told = [{name: float(values[row]) for name, values in columns.items()} for row in part]
        post(f"{url}/feedback", {"rows": told, "labels": [labels[row] for row in part]})


def rows(seed: int, count: int) -> tuple[dict[str, np.ndarray[Any, Any]], list[str]]:
    """Return columns and labels."""
    random = np.random.default_rng(seed)
    columns = {name: random.uniform(-1, 1, count).round(4) for name in "abcd"}
    score = columns["a"] + columns["b"] * columns["c"] + 0.1 * random.standard_normal(count)
    return columns, np.where(score > 0, "yes", "no").tolist()


def wait_for_learning(folder: Path) -> None:
    """Wait until the process that learns has learnt something new."""
    deadline, first = time.monotonic() + 120, learnt(folder)
    while learnt(folder) <= first:
        if time.monotonic() > deadline:
            raise SystemExit((folder / "results/online/rain/learner.log").read_text())
        time.sleep(0.5)


def learnt(folder: Path) -> int:
    """Return how many rows have been learnt so far."""
    path = folder / "results/online/rain/status.json"
    return int(json.loads(path.read_text())["rows"]["learnt"]) if path.exists() else 0


def post(url: str, told: Any) -> None:
    request = urllib.request.Request(url, json.dumps(told).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def sweep(folder: Path, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "search", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)


@contextmanager
def serving(folder: Path, command: tuple[str, ...]) -> Iterator[str]:
    """Have a server listen on a port that is free."""
    line = [sys.executable, "-m", "search", *command, "--port", "0", "--json"]
    server = subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["url"]
    finally:
        server.terminate()
        server.wait(timeout=30)


if __name__ == "__main__":
    main()
