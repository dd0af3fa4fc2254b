"""How long verdicts take while large checkpoints travel: a file's whole bytes in one call, beside pieces.

    python benchmarks/blobs.py                       # 1, 10, 100 and 1,000 MB, 4 workers
    python benchmarks/blobs.py --megabytes 1 10

Each arm has a study's actor, the actor that takes checkpoints, four workers that each send some of one size, and a
probe that reports to the study every 5 ms meanwhile, in a Ray of its own. "whole" is one call with the bytes of the
safetensors library to an actor that does one thing at a time; "pieces" is what a sweep does. A second probe adds lines
to trials' logs. The training of a worker waits for `blocked` seconds per checkpoint; `memory` is the most that one
worker, and the actor, had resident beyond what they had before.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from search.checkpoint import Checkpoint  # noqa: E402
from search.contract import State  # noqa: E402
from search.trialfiles import TrialFiles, encode  # noqa: E402

WORKERS = 4
COUNTS = {1: 20, 10: 10, 100: 3, 1_000: 1}
ARMS = ("nothing", "whole", "pieces")


class Judge:
    """Stands for the study's actor: its answer to a report costs what a write to a journal does."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "journal").open("ab")

    def report(self, number: int, step: int) -> str:
        self._file.write(f"{number} {step}\n".encode())
        self._file.flush()
        return "continue"


@contextmanager
def _peak() -> Iterator[dict[str, float]]:
    """Watch the resident memory of this process, without what it shares."""
    import psutil

    process, over, found = psutil.Process(), threading.Event(), {"mb": 0.0}

    def own() -> float:
        told = process.memory_info()
        return float(told.rss - told.shared) / 1e6

    before = own()

    def watch() -> None:
        while not over.wait(0.01):
            found["mb"] = max(found["mb"], own() - before)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


class Worker:
    """Sends checkpoints of one size."""

    def __init__(self, number: int, megabytes: int) -> None:
        self._number = number
        values = np.arange(megabytes * 1_000_000 // 4, dtype=np.float32)
        self._state = State({f"layer{index}": part for index, part in enumerate(np.array_split(values, 4))})

    def send(self, arm: str, count: int, files: Any, blobs: Any) -> dict[str, float]:
        from search.tuner.blobs import Parcels
        from search.tuner.calls import call

        parcels, blocked, began = Parcels(self._number, files, blobs), 0.0, time.perf_counter()
        with _peak() as peak:
            for step in range(count):
                checkpoint, at = Checkpoint(step, step, self._state), time.perf_counter()
                if arm == "whole":
                    call(files.save, self._number, "latest", *encode(checkpoint))
                else:
                    parcels.send("latest", checkpoint)
                blocked += time.perf_counter() - at
            parcels.settle()
        return {"blocked": blocked / count, "seconds": time.perf_counter() - began, "mb": peak["mb"]}

    def read(self, arm: str, files: Any, blobs: Any) -> float:
        from search.trialfiles import decode
        from search.tuner.blobs import Parcels
        from search.tuner.calls import call

        began = time.perf_counter()
        if arm == "whole":
            found = decode(call(files.load, self._number, "latest"))
        else:
            found = Parcels(self._number, files, blobs).fetch("latest")
        assert found is not None
        assert isinstance(found.state, State)
        assert all(np.array_equal(found.state.arrays[name], array) for name, array in self._state.arrays.items())
        return time.perf_counter() - began


def run(arm: str, megabytes: int, count: int) -> dict[str, Any]:
    """Run one arm at one size."""
    import ray

    from search.tuner.blobs import AT_ONCE, NICENESS, Blobs

    ray.init(address="local", num_cpus=count, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        judge = ray.remote(Judge).options(num_cpus=0).remote(folder)
        files = ray.remote(TrialFiles).options(num_cpus=0).remote(folder)
        blobs = ray.remote(Blobs).options(num_cpus=0, max_concurrency=2 * AT_ONCE).remote(folder, NICENESS)
        workers = [ray.remote(Worker).remote(number, megabytes) for number in range(count)]
        ray.get([judge.report.remote(0, 0), files.step_kept.remote(0), blobs.look.remote(0, "latest")])
        ray.get([worker.__ray_ready__.remote() for worker in workers])
        times: dict[str, list[float]] = {"report": [], "log": []}
        over = threading.Event()

        def probe(what: str, call: Any, every_s: float) -> None:
            step = 0
            while not over.wait(every_s):
                began = time.perf_counter()
                ray.get(call(step))
                times[what].append((time.perf_counter() - began) * 1e3)
                step += 1

        probes = [
            threading.Thread(target=probe, args=("report", lambda step: judge.report.remote(9, step), 0.005)),
            threading.Thread(target=probe, args=("log", lambda step: files.log.remote(9, "a line\n"), 0.05)),
        ]
        for one in probes:
            one.start()
        sent: list[dict[str, float]] = []
        if arm == "nothing":
            time.sleep(5)
        else:
            sent = ray.get([worker.send.remote(arm, COUNTS[megabytes], files, blobs) for worker in workers])
        over.set()
        for one in probes:
            one.join()
        told: dict[str, Any] = {"arm": arm, "megabytes": megabytes, "reports": len(times["report"])}
        for what, found in times.items():
            told |= {
                f"{what}_p50_ms": float(np.percentile(found, 50)),
                f"{what}_p99_ms": float(np.percentile(found, 99)),
            }
            told[f"{what}_max_ms"] = max(found)
        if sent:
            seconds = max(one["seconds"] for one in sent)
            told["blocked_s"] = sum(one["blocked"] for one in sent) / count
            told["mb_per_s"] = count * COUNTS[megabytes] * megabytes / seconds
            told["worker_mb"] = max(one["mb"] for one in sent)
            told["read_s"] = ray.get(workers[0].read.remote(arm, files, blobs))
        ray.shutdown()
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="*", default=list(COUNTS), choices=list(COUNTS))
    parser.add_argument("--workers", type=int, default=WORKERS, help="at 1,000 MB each takes up to 4 GB")
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=ARMS)
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.arm:
        print(json.dumps(run(given.arm, given.megabytes[0], given.workers)))
        return
    print(f"{os.cpu_count()} CPUs, {given.workers} workers; load before: {os.getloadavg()[0]:.1f}")
    for size in given.megabytes:
        for arm in given.arms:
            command = [
                sys.executable,
                __file__,
                "--arm",
                arm,
                "--megabytes",
                str(size),
                "--workers",
                str(given.workers),
            ]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
            if done.returncode:
                print(f"{size:>5} MB {arm:<8} failed: {done.stderr.strip().splitlines()[-1:]}")
                continue
            told = json.loads(done.stdout.splitlines()[-1])
            words = {name: f"{value:.1f}" for name, value in told.items() if isinstance(value, float)}
            print(f"{size:>5} MB {arm:<8}", *(f"{name} {value}" for name, value in words.items()), flush=True)


if __name__ == "__main__":
    main()
