"""Proof that the collector loses nothing that it acknowledged, and stores nothing twice, however often it is killed.

    python benchmarks/collector.py --kills 50 --seed 0
    python benchmarks/collector.py --kills 0                 # only how fast it is

A real server takes batches from several client processes, and is killed with SIGKILL at moments drawn from the seed:
at any time, while a segment is closed, while one is compacted, while it starts; after some kills half a record is left
behind, as a power cut would. After each restart all rows that were acknowledged by then are looked for, while the
clients go on; at the end each acknowledged row has to be there once, each batch that was given up whole or not at all,
and the frozen data the same before and after everything is compacted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from search.data.collect.collection import Collection  # noqa: E402
from search.data.collect.place import CollectionFolder  # noqa: E402
from search.data.collect.record import Record  # noqa: E402
from search.data.collect.schema import Column, Schema  # noqa: E402
from search.data.fetch import fetch  # noqa: E402
from search.data.reference import parse_reference  # noqa: E402
from search.paths import DataFolder  # noqa: E402

KEY: Final = "a-key-of-this-proof-only"
NAME: Final = "proof"
CLIENTS: Final = 3
BATCH: Final = 20
"""Rows of a request."""

SEGMENT_MB: Final = "0.1"
START_S: Final = 60.0
SCHEMA: Final = '[columns]\nid = { type = "text", required = true }\nvalue = { type = "integer", required = true }\n'
PHASES: Final = {"any": 4, "rotation": 3, "compaction": 4, "start": 2}
"""What a kill waits for, and how often."""

TORN: Final = 0.25
"""How many kills leave half a record."""


@dataclass
class Verdicts:
    """What was looked at, and how it was."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)

    def check(self, good: bool, said: str) -> None:
        if good:
            self.passed += 1
        else:
            self.failed.append(said)
            print(f"FAILED: {said}", flush=True)


class Server:
    """`sweep collect`, started again and again on one port."""

    def __init__(self, root: Path, port: int) -> None:
        self.root, self.port = root, port
        self.process: subprocess.Popen[str] | None = None

    def start(self, *, wait: bool = True) -> None:
        command = [sys.executable, "-m", "search", "collect", NAME, "--schema", "schema.toml", "--json"]
        command += ["--port", str(self.port), "--segment-mb", SEGMENT_MB]
        environment = {**os.environ, "SWEEP_COLLECT_KEY": KEY, "PYTHONPATH": str(ROOT)}
        with (self.root / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                command, cwd=self.root, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until it listens."""
        process = self.process
        assert process is not None
        assert process.stdout is not None
        timer = threading.Timer(START_S, process.kill)
        timer.start()
        line = process.stdout.readline()
        timer.cancel()
        if not line:
            raise SystemExit(f"the server did not start: {(self.root / 'server.log').read_text()[-2000:]}")

    def end(self, signum: int) -> int:
        assert self.process is not None
        self.process.send_signal(signum)
        code = self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@dataclass
class Ledger:
    """What the clients wrote down."""

    sent: dict[str, list[str]] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    trouble: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, root: Path) -> Ledger:
        found = cls()
        for path in sorted(root.glob("client-*.jsonl")):
            for line in path.read_text().splitlines(keepends=True):
                if not line.endswith("\n"):
                    continue  # it is being written
                told = json.loads(line)
                if "sent" in told:
                    found.sent[f"{path.stem}-{told['batch']}"] = told["sent"]
                elif "acknowledged" in told:
                    found.acknowledged.add(f"{path.stem}-{told['acknowledged']}")
                elif "trouble" in told:
                    found.trouble.append(told["trouble"])
        return found

    def rows(self) -> Iterator[str]:
        """Yield the rows that were acknowledged."""
        for batch in self.acknowledged:
            yield from self.sent[batch]


def prove(kills: int, seed: int, verdicts: Verdicts) -> Counter[str]:
    """Kill a server under load, and look at what is left; return how often which phase was met."""
    root = Path(tempfile.mkdtemp(prefix="collector-"))
    (root / "schema.toml").write_text(SCHEMA)
    server = Server(root, free_port())
    random_ = random.Random(seed)
    met: Counter[str] = Counter()
    clients: list[subprocess.Popen[bytes]] = []
    try:
        server.start()
        clients = [client(root, server.port, number, seed) for number in range(CLIENTS)]
        for kill in range(1, kills + 1):
            phase = random_.choices(list(PHASES), list(PHASES.values()))[0]
            met[phase if wait_for(phase, server, random_) else f"{phase}, missed"] += 1
            server.end(signal.SIGKILL)
            if random_.random() < TORN:
                met["half a record"] += tear(root, random_)
            before = Ledger.read(root)  # no one answers now
            server.start()
            there = Counter(frozen(root)[0])
            lost = [row for row in before.rows() if not there[row]]
            twice = [row for row, times in there.items() if times > 1]
            verdicts.check(not lost and not twice, f"kill {kill} ({phase}): {len(lost)} lost, {len(twice)} twice")
        if not kills:
            time.sleep(2)
        (root / "stop").touch()
        for one in clients:
            one.wait(timeout=60)
        finish(root, server, verdicts)
    finally:
        for one in clients:
            one.kill()
            one.wait()
        if server.process is not None and server.process.poll() is None:
            server.end(signal.SIGKILL)
    if verdicts.failed:
        print(f"kept: {root}")
    else:
        shutil.rmtree(root)
    return met


def finish(root: Path, server: Server, verdicts: Verdicts) -> None:
    """Compare all that is there with all that was sent."""
    ledger = Ledger.read(root)
    code = server.end(signal.SIGTERM)
    verdicts.check(code == 143, f"SIGTERM ended it with {code}")
    ids, digest = frozen(root)
    there = Counter(ids)
    lost = [row for row in ledger.rows() if there[row] != 1]
    verdicts.check(not lost, f"{len(lost)} acknowledged rows are not there once: {lost[:3]}")
    verdicts.check(max(there.values(), default=1) == 1, "rows are there twice")
    sent = {row for batch in ledger.sent.values() for row in batch}
    verdicts.check(not there.keys() - sent, "there are rows that nobody sent")
    parts = [name for name, batch in ledger.sent.items() if 0 < sum(there[row] for row in batch) < len(batch)]
    verdicts.check(not parts, f"batches are there in part: {parts[:3]}")
    verdicts.check(not ledger.trouble, f"wrong answers: {ledger.trouble[:3]}")
    compacted = subprocess.run(
        [sys.executable, "-m", "search", "collect", NAME, "--compact", "--json"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    verdicts.check(compacted.returncode == 0, f"--compact: {compacted.stderr}")
    told = json.loads(compacted.stdout or "{}")
    verdicts.check(told.get("rows") == len(ids), f"--compact counts {told.get('rows')} of {len(ids)} rows")
    verdicts.check(frozen(root) == (ids, digest), "the frozen data is another after it was compacted")
    given_up = len(ledger.sent) - len(ledger.acknowledged)
    print(f"{len(ledger.acknowledged)} batches acknowledged, {given_up} given up")
    print(f"{len(ids)} rows in {told.get('files')} files")


def client(root: Path, port: int, number: int, seed: int, *, batch: int = BATCH) -> subprocess.Popen[bytes]:
    script, ledger = Path(__file__).with_name("collector_client.py"), root / f"client-{number}.jsonl"
    who = [f"http://127.0.0.1:{port}", KEY, f"c{number}", str(ledger), str(root / "stop")]
    return subprocess.Popen([sys.executable, str(script), *who, str(seed * 100 + number), str(batch)])


def wait_for(phase: str, server: Server, random_: random.Random) -> bool:
    """Wait for the moment to kill; tell whether it came in time."""
    folder = CollectionFolder(server.root / "results" / "data" / NAME)
    if phase == "start":
        server.end(signal.SIGKILL)
        server.start(wait=False)
        time.sleep(random_.uniform(0.3, 1.5))
        return True
    time.sleep(random_.uniform(0.02, 0.4))
    if phase == "any":
        return True
    deadline_s = time.monotonic() + 5
    segments, first = folder.segments(), Compacting.of(folder)
    while time.monotonic() < deadline_s:
        if phase == "rotation" and folder.segments()[-1:] != segments[-1:]:
            return True
        if phase == "compaction" and Compacting.of(folder) != first:
            time.sleep(random_.choice((0, 0.0005, 0.002, 0.005, 0.01)))
            return True
    return False


@dataclass(frozen=True)
class Compacting:
    """How far a compaction has come: it moves on at each of its files."""

    temporary: int
    rows: int
    keys: int
    manifest: int

    @classmethod
    def of(cls, folder: CollectionFolder) -> Compacting:
        files = [*(folder.root / "rows").glob("*"), *(folder.root / "rows").glob(".*.tmp")]
        temporary = sum(path.suffix == ".tmp" for path in files)
        keys = sum(1 for _ in (folder.root / "keys").glob("*"))
        manifest = folder.manifest.stat().st_mtime_ns if folder.manifest.exists() else 0
        return cls(temporary, len(files) - temporary, keys, manifest)


def tear(root: Path, random_: random.Random) -> int:
    """Leave the beginning of a record at the end of the log, as if the power had gone while it was written."""
    folder = CollectionFolder(root / "results" / "data" / NAME)
    numbers = folder.segments()
    if not numbers:
        return 0
    line = Record(1.0, 1, "00" * 16, "torn", [["torn", 1]]).line()
    with folder.segment(numbers[-1]).open("ab") as file:
        file.write(line[: random_.randrange(1, len(line))])
    return 1


def frozen(root: Path) -> tuple[list[str], str]:
    """Return the ids that are there, and the digest of the frozen data."""
    import pyarrow.parquet as pq

    from search.errors import InputError

    try:
        found = fetch(parse_reference(f"collected:{NAME}", root), root, root / "results")
    except InputError:  # no rows yet
        return [], ""
    ids: list[str] = pq.read_table(found.path).column("id").to_pylist()
    found.path.unlink()
    return ids, found.path.stem


def throughput(seconds: float) -> None:
    """Store rows of one each from 32 threads, with a sync that is shared and with one for each, in turns."""
    totals: dict[int, list[float]] = {1000: [], 1: []}
    for _ in range(2):
        for shared in totals:
            totals[shared].append(_rate(shared, seconds))
    for shared, rates in totals.items():
        what = "shared" if shared > 1 else "one each"
        print(f"sync {what:9} {max(rates):9.0f} requests/s of one row, 32 at once")


def _rate(shared: int, seconds: float) -> float:
    schema = Schema((Column("id", "text"), Column("value", "integer")))
    with tempfile.TemporaryDirectory(prefix="collector-") as place:
        folder = CollectionFolder.of(DataFolder(Path(place) / "rate"))
        collection = Collection.open(folder, schema, shared=shared)
        end_s = time.monotonic() + seconds

        def store(name: int) -> None:
            number = 0
            while time.monotonic() < end_s:
                number += 1
                collection.submit(Record(1.0, 1, "00" * 16, None, [[f"{name}-{number}", number]])).result()

        threads = [threading.Thread(target=store, args=(name,)) for name in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rows = collection.stats().rows
        collection.close()
        return rows / seconds


def over_http(seconds: float, batch: int) -> None:
    """Tell how many rows a second the whole server stores, from as many clients as in the proof."""
    root = Path(tempfile.mkdtemp(prefix="collector-"))
    (root / "schema.toml").write_text(SCHEMA)
    server = Server(root, free_port())
    server.start()
    clients = [client(root, server.port, number, 1, batch=batch) for number in range(CLIENTS)]
    while len(list(root.glob("client-*.jsonl"))) < CLIENTS:
        time.sleep(0.01)
    time.sleep(seconds)
    (root / "stop").touch()
    for one in clients:
        one.wait(timeout=60)
    server.end(signal.SIGTERM)
    rate = len(frozen(root)[0]) / seconds
    print(f"over HTTP {rate:9.0f} rows/s in batches of {batch} from {CLIENTS} clients, {os.cpu_count()} cores for all")
    shutil.rmtree(root)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def main(arguments: list[str] | None = None) -> int:
    """Run the proof and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement of speed; 0: none")
    given = parser.parse_args(arguments)
    verdicts = Verdicts()
    if given.kills:
        met: Any = prove(given.kills, given.seed, verdicts)
        print(f"kills: {', '.join(f'{times} {phase}' for phase, times in sorted(met.items()))}")
    if given.seconds:
        throughput(given.seconds)
        for batch in (1, BATCH, 50 * BATCH):
            over_http(given.seconds, batch)
    print(f"{verdicts.passed} passed, {len(verdicts.failed)} failed")
    return 1 if verdicts.failed else 0


if __name__ == "__main__":
    sys.exit(main())
