"""The process beside the server is kept running, is told of when it ends, and ends with its server.

Mutations that turn this file red: start it once only; no pause, or none that grows; let it inherit a token; leave its
stdin open at the end; kill it at once; swallow what it said last; forget that as soon as the next one begins, or
keep it for ever.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from search.online.learning_process import LearningProcess
from tests.serve.servers import ROOT

WAITS = """
import os, sys
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()} {'SWEEP_ADMIN_TOKEN' in os.environ}\\n")
sys.stdin.read()
with open(sys.argv[1], "a") as file:
    file.write("in order\\n")
"""
FAILS = """
import sys
with open(sys.argv[1], "a") as file:
    file.write("begun\\n")
print("there is\\nno study\\n", file=sys.stderr)
sys.exit(4)
"""
SERVER = """
import asyncio, sys
from itertools import pairwise
from pathlib import Path
from search.online.learning_process import LearningProcess
async def serve():
    async with LearningProcess([sys.argv[1]], Path(sys.argv[2]), print, module="waits").running():
        await asyncio.sleep(60)
asyncio.run(serve())
"""


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that the processes of this test write to; they are modules `waits` and `fails`."""
    (tmp_path / "waits.py").write_text(WAITS)
    (tmp_path / "fails.py").write_text(FAILS)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    monkeypatch.setenv("SWEEP_ADMIN_TOKEN", "a-token-for-everything-else")
    return tmp_path / "marks"


def lines(marks: Path) -> list[str]:
    return marks.read_text().splitlines() if marks.exists() else []


async def until(rule: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not rule():
            await asyncio.sleep(0.01)


def test_it_ends_in_order_with_the_block(marks: Path) -> None:
    process = LearningProcess([str(marks)], marks.with_name("log"), pytest.fail, module="waits")

    async def go() -> None:
        async with process.running():
            await until(lambda: len(lines(marks)) == 1)
            assert process.is_up

    asyncio.run(go())
    pid, has_token = lines(marks)[0].split()
    assert lines(marks)[1:] == ["in order"]
    assert has_token == "False"
    assert not psutil.pid_exists(int(pid))
    assert process.ends == 0


def test_one_that_fails_is_told_of_once_and_tried_again_ever_later(marks: Path) -> None:
    said: list[str] = []
    process = LearningProcess([str(marks)], marks.with_name("log"), said.append, module="fails", pause_s=0.2)
    begun: list[float] = []

    async def go() -> None:
        async with process.running():
            for number in range(4):
                await until(lambda count=number: len(lines(marks)) > count)  # type: ignore[misc]
                begun.append(time.monotonic())

    asyncio.run(go())
    assert said == ["the process that learns has ended (exit 4): no study; predictions go on"]
    assert process.ends >= 3
    pauses = [after - before for before, after in pairwise(begun)]
    assert pauses[1] > 0.35
    assert pauses[2] > 0.75


def test_a_killed_one_is_started_again(marks: Path) -> None:
    said: list[str] = []
    process = LearningProcess([str(marks)], marks.with_name("log"), said.append, module="waits", pause_s=0.01)

    async def go() -> None:
        async with process.running():
            await until(lambda: len(lines(marks)) == 1)
            psutil.Process(int(lines(marks)[0].split()[0])).kill()
            await until(lambda: len(lines(marks)) == 2)

    asyncio.run(go())
    assert said == ["the process that learns has ended (signal 9); predictions go on"]
    assert lines(marks)[2:] == ["in order"]


def test_why_one_has_ended_is_told_until_another_one_lives_on(marks: Path) -> None:
    process = LearningProcess(
        [str(marks)], marks.with_name("log"), lambda _: None, module="waits", pause_s=0.01, lives_s=1.0
    )

    async def go() -> None:
        async with process.running():
            await until(lambda: len(lines(marks)) == 1)
            assert not process.trouble
            psutil.Process(int(lines(marks)[0].split()[0])).kill()
            await until(lambda: process.ends == 1)
            told = {process.trouble}
            await until(lambda: process.is_up)
            assert {*told, process.trouble} == {"the process that learns has ended (signal 9); predictions go on"}
            await until(lambda: not process.trouble)
            assert (process.is_up, process.ends) == (True, 1)

    asyncio.run(go())


def test_it_ends_when_its_server_is_killed(marks: Path) -> None:
    log = str(marks.with_name("log"))
    with subprocess.Popen([sys.executable, "-c", SERVER, str(marks), log]) as server:
        until_s = time.monotonic() + 20
        while len(lines(marks)) < 1:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        server.send_signal(signal.SIGKILL)
        server.wait()
    while lines(marks)[1:] != ["in order"]:
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_one_that_cannot_be_started_is_told_of(marks: Path) -> None:
    said: list[str] = []
    process = LearningProcess([str(marks)], marks / "no" / "log", said.append, module="waits", pause_s=0.01)

    async def go() -> None:
        async with process.running():
            await until(lambda: process.ends >= 2)

    asyncio.run(go())
    assert said == ["the process that learns cannot be started: No such file or directory; predictions go on"]
