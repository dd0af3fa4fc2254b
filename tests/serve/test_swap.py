"""Following an alias: the model changes when it moves, a bad version never answers, and no request is lost."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from search.registry.entries import PRODUCTION, Facts
from search.registry.registry import Registry
from search.registry.resolving import resolve
from search.serve.backend import Served
from search.serve.here import Here
from search.serve.limits import Limits
from search.serve.pool import Pool
from search.serve.swapping import Followed, follow
from tests.bundle.bundles import tiny
from tests.serve.backends import body_of, fits
from tests.serve.servers import ROW, Server, serving

EVERY_S = 0.02


def add_version(results: Path) -> int:
    """Add a version that predicts about a hundred times its own number, and has no alias."""
    registry = Registry.of(results, "toy")
    number = len(registry.read().versions) + 1
    with registry.staging() as staged:
        tiny(staged, task="regression", shift=100.0 * number)
        return registry.add(staged, Facts(), {}, "a test")


def point_at(results: Path, number: int) -> None:
    Registry.of(results, "toy").move(PRODUCTION, number, "a test")


def served_now(results: Path) -> Served:
    meant = resolve(results, "toy")
    return Served(meant.open(), meant.name, meant.version)


async def until(rule: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not rule():
            await asyncio.sleep(0.005)


def _serves(backend: Here | Pool, number: int) -> bool:
    return backend.served.version == number


async def following(backend: Here | Pool, results: Path, told: list[str], text: str = "toy") -> asyncio.Task[None]:
    return asyncio.create_task(follow(backend, Followed(results, text, told.append), every_s=EVERY_S))


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_the_model_follows_its_alias_there_and_back(tmp_path: Path) -> None:
    add_version(tmp_path), add_version(tmp_path)
    point_at(tmp_path, 1)

    async def go() -> list[str]:
        told: list[str] = []
        async with Here(served_now(tmp_path), Limits()) as here:
            task = await following(here, tmp_path, told)
            for number in (2, 1):
                point_at(tmp_path, number)
                await until(partial(_serves, here, number))
                assert fits(await here.predict(body_of({})))
            await ended(task)
        return told

    assert asyncio.run(go()) == ["toy:2 answers now, toy:1 before", "toy:1 answers now, toy:2 before"]


def test_a_damaged_version_is_told_once_and_never_answers(tmp_path: Path) -> None:
    add_version(tmp_path), add_version(tmp_path), add_version(tmp_path)
    point_at(tmp_path, 1)

    async def go() -> list[str]:
        told: list[str] = []
        async with Here(served_now(tmp_path), Limits()) as here:
            model = Registry.of(tmp_path, "toy").folder.version(2) / "model.onnx"
            point_at(tmp_path, 2)
            sound = model.read_bytes()
            model.write_bytes(sound[:-1] + b"\xff")
            task = await following(here, tmp_path, told)
            await until(lambda: bool(told))
            await asyncio.sleep(5 * EVERY_S)
            assert fits(await here.predict(body_of({})))
            assert here.served.version == 1
            point_at(tmp_path, 3)
            await until(lambda: here.served.version == 3)
            model.write_bytes(sound)
            point_at(tmp_path, 2)
            await until(lambda: here.served.version == 2)
            await ended(task)
        return told

    refused, changed, _ = asyncio.run(go())
    assert refused.startswith("toy:2 is refused: ")
    assert "model.onnx" in refused
    assert refused.endswith("; toy:1 goes on")
    assert changed == "toy:3 answers now, toy:1 before"


def test_a_version_that_was_repaired_answers_though_its_alias_stayed(tmp_path: Path) -> None:
    add_version(tmp_path), add_version(tmp_path)
    point_at(tmp_path, 1)

    async def go() -> list[str]:
        told: list[str] = []
        async with Here(served_now(tmp_path), Limits()) as here:
            model = Registry.of(tmp_path, "toy").folder.version(2) / "model.onnx"
            sound = model.read_bytes()
            point_at(tmp_path, 2)
            model.unlink()
            task = asyncio.create_task(follow(here, Followed(tmp_path, "toy", told.append), every_s=0.002))
            await until(lambda: bool(told))
            model.write_bytes(sound)
            await until(lambda: here.served.version == 2)
            await ended(task)
        return told

    assert asyncio.run(go())[1:] == ["toy:2 answers now, toy:1 before"]


def test_following_goes_on_whatever_fails(tmp_path: Path) -> None:
    add_version(tmp_path), add_version(tmp_path)
    point_at(tmp_path, 1)

    async def go() -> list[str]:
        heard: list[str] = []

        def told(sentence: str) -> None:
            heard.append(sentence)
            raise OSError("the disk of the log is full")

        async with Here(served_now(tmp_path), Limits()) as here:
            folder = tmp_path / "models" / "toy"
            folder.rename(tmp_path / "kept")
            folder.symlink_to(folder)
            task = asyncio.create_task(follow(here, Followed(tmp_path, "toy", told), every_s=EVERY_S))
            await until(lambda: len(heard) == 1)
            folder.unlink()
            (tmp_path / "kept").rename(folder)
            point_at(tmp_path, 2)
            await until(lambda: here.served.version == 2)
            await ended(task)
        return heard

    first, *others = asyncio.run(go())
    assert "loop" in first
    assert others[-1] == "toy:2 answers now, toy:1 before"


def test_a_registry_that_is_gone_or_damaged_changes_nothing(tmp_path: Path) -> None:
    add_version(tmp_path)
    point_at(tmp_path, 1)

    async def go() -> list[str]:
        told: list[str] = []
        async with Here(served_now(tmp_path), Limits()) as here:
            task = await following(here, tmp_path, told)
            (tmp_path / "models" / "toy" / "registry.json").write_text("{")
            await until(lambda: len(told) == 1)
            shutil.rmtree(tmp_path / "models")
            await until(lambda: len(told) == 2)
            await asyncio.sleep(5 * EVERY_S)
            assert fits(await here.predict(body_of({})))
            assert not task.done()
            await ended(task)
        return told

    damaged, gone = asyncio.run(go())
    assert "registry.json" in damaged
    assert "there is no model 'toy'" in gone
    assert all(one.endswith("; toy:1 goes on") for one in (damaged, gone))


def test_a_version_that_was_asked_for_by_number_stays(tmp_path: Path) -> None:
    add_version(tmp_path), add_version(tmp_path)
    point_at(tmp_path, 1)

    async def go() -> list[str]:
        told: list[str] = []
        async with Here(served_now(tmp_path), Limits()) as here:
            task = await following(here, tmp_path, told, "toy:1")
            point_at(tmp_path, 2)
            await asyncio.sleep(5 * EVERY_S)
            assert here.served.version == 1
            await ended(task)
        return told

    assert asyncio.run(go()) == []


def test_twenty_moves_and_two_killed_workers_lose_no_request_of_clients_that_keep_their_connections(
    tmp_path: Path,
) -> None:
    """Over HTTP, with a real server; every answer comes from the version that it names."""
    for _ in range(3):
        add_version(tmp_path)
    point_at(tmp_path, 1)
    with serving("toy", "--workers", "2", "--results", str(tmp_path)) as server, ThreadPoolExecutor(4) as pool:
        over = threading.Event()

        def client() -> list[tuple[int, str]]:
            answers: list[tuple[int, str]] = []
            with server.client() as kept:
                while not over.is_set():
                    told = kept.post("/predict", json={**ROW, "age": len(answers) % 50})
                    answers.append((told.status_code, told.text))
            return answers

        clients = [pool.submit(client) for _ in range(4)]
        try:
            for move in range(20):
                if move in (7, 14):
                    psutil.Process(server.process.pid).children()[0].kill()
                number = (move + 1) % 3 + 1
                point_at(tmp_path, number)
                wait_for(server, f"toy:{number}")
            assert "sweep_workers_lost_total 2.0\n" in server.get("/metrics").text
        finally:
            over.set()
        answers = [one for part in clients for one in part.result()]
    assert {status for status, _ in answers} == {200}
    told = [json.loads(text) for _, text in answers]
    assert {one["model"] for one in told} == {"toy:1", "toy:2", "toy:3"}
    for one in told:
        assert round(one["predictions"][0]["value"] / 100) == int(one["model"].rpartition(":")[2])


def wait_for(server: Server, label: str) -> None:
    begun_s = time.monotonic()
    while server.get("/ready").json().get("model") != label:
        assert time.monotonic() - begun_s < 20
        time.sleep(0.05)
