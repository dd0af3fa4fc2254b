"""A database that answers late: reports arrive complete and in order, nothing piles up, and the sweep ends right.

A real PostgreSQL server stands behind a proxy that holds back each message to it.

Mutation that turns these red: let a slot wait no longer than half a second for the study (`search.tuner.calls.call`).
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import optuna
import psutil
import pytest

from search.study.storage import open_for_reading
from tests import postgres
from tests.tuner.sweeps import write

FALLS = """
def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)

@objective(space=space, metrics={"val_loss": "minimize"})
def falls(run):
    for epoch in run.epochs:
        yield {"val_loss": run.params["train.x"] + 1.0 / epoch}
"""


class Proxy:
    """Passes connections on to a server, each message to it late: by `usual_s`, and one in `rare` by a second.

    Attributes:
        port: Where it listens.
        late: Messages that it held back.
    """

    def __init__(self, host: str, port: int, *, usual_s: float, rare: int) -> None:
        self._to, self._usual_s, self._rare = (host, port), usual_s, rare
        self._chance = random.Random(1)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.late = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._to)
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass_on, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, late: bool) -> None:
        with suppress(OSError), source, target:
            while data := source.recv(1 << 16):
                if late:
                    self.late += 1
                    time.sleep(1.0 if self._chance.randrange(self._rare) == 0 else self._usual_s)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@contextmanager
def slow_server() -> Iterator[tuple[Proxy, str]]:
    programs = postgres.binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (package postgresql)")
    with postgres.server(programs) as url:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        proxy = Proxy(parts.hostname, parts.port, usual_s=0.05, rare=60)
        try:
            yield proxy, url
        finally:
            proxy.close()


def actor_rss(process: subprocess.Popen[str]) -> int:
    """Return the bytes that the study's actor holds, 0 while there is none."""
    for one in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.Error):
            if "StudyActor" in " ".join(one.cmdline()):
                return int(one.memory_info().rss)
    return 0


def test_a_sweep_on_a_slow_database_is_slow_and_complete(tmp_path: Path) -> None:
    objective = write(tmp_path, FALLS)
    with slow_server() as (proxy, url):
        late = f"postgresql://sweep@127.0.0.1:{proxy.port}/postgres"
        flags = ["--study", "s", "--trials", "2", "--max-epochs", "3", "--pruner", "none", "--patience", "0"]
        process = subprocess.Popen(
            [sys.executable, "-m", "search", "run", str(objective), *flags, "--storage", late, "--json"],
            cwd=tmp_path,
            env={**os.environ, "PGPASSWORD": postgres.PASSWORD},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        held: list[int] = []
        deadline = time.monotonic() + 200
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(psutil.Error):
                held.append(actor_rss(process))
            time.sleep(0.5)
        out, err = process.communicate(timeout=10)
        assert process.returncode == 0, err
        status = json.loads(out)
        trials = optuna.load_study(study_name="s", storage=open_for_reading(url)).trials
    assert proxy.late > 100
    assert (status["state"], status["why_stopped"], status["trials"]["complete"]) == ("finished", "2 of 2 trials", 2)
    assert [trial.number for trial in trials] == list(range(2))
    for trial in trials:
        assert trial.intermediate_values == {epoch: trial.params["train.x"] + 1.0 / epoch for epoch in range(1, 4)}
        assert trial.system_attrs["sweep:end"]["lost"] == 0
    working = [size for size in held if size][len(held) // 3 :]
    assert max(working) - min(working) < 60e6
