"""The backend of several processes: whoever dies or hangs, no request is lost, and none outlives its server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from search.errors import RefusedError
from search.serve.backend import Answer, Served
from search.serve.here import Here
from search.serve.limits import Limits
from search.serve.pool import Pool
from tests.serve.backends import body_of, broken, fits, values_of, version


def workers() -> list[int]:
    """Return the process ids of the workers of this process's pools."""
    return [one.pid for one in psutil.Process().children() if _is_worker(one)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "search.serve.worker" in process.cmdline()
    except psutil.Error:  # it has ended
        return False


def _puzzling(served: Served) -> Served:
    """Return a model whose loading ends with an exception that is none of ours."""
    signature = served.bundle.signature
    inputs = tuple(replace(one, low="low") for one in signature.inputs)  # type: ignore[arg-type]  # no number
    return replace(served, bundle=replace(served.bundle, signature=replace(signature, inputs=inputs)))


async def _load(pool: Pool, clients: int, over: asyncio.Event) -> list[Answer]:
    """Ask without pause until it is over."""

    async def ask() -> list[Answer]:
        answers: list[Answer] = []
        while not over.is_set():
            answers.append(await pool.predict(body_of({"age": len(answers) % 50})))
        return answers

    return [one for part in await asyncio.gather(*(ask() for _ in range(clients))) for one in part]


async def _until(rule: object, seconds: float = 20.0) -> None:
    assert callable(rule)
    async with asyncio.timeout(seconds):
        while not rule():
            await asyncio.sleep(0.02)


def test_workers_answer_as_one_process_does_and_share_the_work(tmp_path: Path) -> None:
    bodies = [body_of({"age": number}, {"town": None}) for number in range(40)] + [b"{", body_of({"age": "x"})]

    async def ask() -> tuple[list[Answer], list[Answer]]:
        served = version(tmp_path, 1)
        async with Pool(served, Limits(), workers=2) as pool, Here(served, Limits()) as here:
            assert len(workers()) == 2
            found = await asyncio.gather(*map(pool.predict, bodies))
            assert all(psutil.Process(pid).cpu_times().user > 0 for pid in workers())
            return found, [await here.predict(one) for one in bodies]

    shared, alone = asyncio.run(ask())
    assert [(one.status, one.body, one.rows, one.strange) for one in shared] == [
        (one.status, one.body, one.rows, one.strange) for one in alone
    ]


def test_a_large_body_and_its_answer_pass_whole(tmp_path: Path) -> None:
    async def ask() -> Answer:
        async with Pool(version(tmp_path, 1), Limits(), workers=1) as pool:
            return await pool.predict(body_of(*({"age": number} for number in range(9_999))))

    assert len(values_of(asyncio.run(ask()))) == 9_999


def test_killed_workers_and_twenty_swaps_under_load_lose_no_request(tmp_path: Path) -> None:
    async def ask() -> tuple[list[Answer], set[int], list[int]]:
        async with Pool(version(tmp_path, 0), Limits(), workers=2) as pool:
            first, over = set(workers()), asyncio.Event()
            load = asyncio.create_task(_load(pool, 8, over))
            for number in range(1, 21):
                if number in (5, 15):
                    os.kill(workers()[0], signal.SIGKILL)
                await pool.swap(version(tmp_path, number))
                found = await asyncio.gather(*(pool.predict(body_of({})) for _ in range(6)))
                assert {one.label for one in found} == {f"toy:{number}"}, "by every worker from one moment on"
            await _until(lambda: len(workers()) == 2)
            over.set()
            answers = await load
            assert {(await pool.predict(body_of({}))).label for _ in range(4)} == {"toy:20"}
            return answers, first, workers()

    answers, first, last = asyncio.run(ask())
    assert {one.status for one in answers} == {200}
    assert all(map(fits, answers))
    assert len({one.label for one in answers}) == 21
    assert not first & set(last)


def test_the_only_worker_is_replaced_and_what_it_had_not_answered_is_asked_again(tmp_path: Path) -> None:
    told: list[str] = []

    async def ask() -> tuple[Answer, int, int]:
        async with Pool(version(tmp_path, 1), Limits(), workers=1, say=told.append) as pool:
            [pid] = workers()
            os.kill(pid, signal.SIGSTOP)
            waiting = asyncio.create_task(pool.predict(body_of({})))
            await asyncio.sleep(0.05)
            os.kill(pid, signal.SIGKILL)
            return await waiting, pid, pool.lost

    answer, pid, lost = asyncio.run(ask())
    assert fits(answer)
    assert (told, lost) == ([f"worker {pid} is lost: signal 9"], 1), "and none of those that end with the server"


def test_a_worker_that_hangs_is_killed_and_only_the_request_that_waited_too_long_hears_of_it(tmp_path: Path) -> None:
    told: list[str] = []

    async def ask() -> tuple[Answer, Answer]:
        async with Pool(version(tmp_path, 1), Limits(timeout_s=1.5), workers=1, say=told.append) as pool:
            [pid] = workers()
            os.kill(pid, signal.SIGSTOP)
            late = asyncio.create_task(pool.predict(body_of({})))
            await asyncio.sleep(1.0)
            young = asyncio.create_task(pool.predict(body_of({})))
            found = await late, await young
            assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
            assert told == [f"worker {pid} is lost: it answered nothing for 1.5 s"]
            return found

    late, young = asyncio.run(ask())
    assert late.status == 504
    assert b"longer than 1.5 s" in late.body
    assert fits(young)


def test_a_worker_that_has_too_much_to_do_is_let_be_and_what_it_has_not_begun_is_given_up(tmp_path: Path) -> None:
    async def ask() -> tuple[list[Answer], Answer]:
        async with Pool(version(tmp_path, 1), Limits(timeout_s=1.0), workers=1) as pool:
            before, large = workers(), body_of(*({"age": number} for number in range(9_999)))
            answers = await asyncio.gather(*(pool.predict(large) for _ in range(100)))
            later = await pool.predict(large)
            assert workers() == before
            return answers, later

    answers, later = asyncio.run(ask())
    assert {one.status for one in answers} == {200, 503}
    assert {b"too much is asked at once" in one.body for one in answers if one.status == 503} == {True}
    assert later.status == 200


def test_a_body_that_every_worker_dies_of_is_given_up(tmp_path: Path) -> None:
    async def ask() -> Answer:
        async with Pool(version(tmp_path, 1), Limits(), workers=1) as pool:
            waiting = asyncio.create_task(pool.predict(body_of(*({"age": number} for number in range(9_999)))))
            while not waiting.done():
                await pool.predict(body_of({}))  # there is a worker again
                for pid in workers():
                    os.kill(pid, signal.SIGKILL)  # long before it has parsed so many rows
            return await waiting

    told = asyncio.run(ask())
    assert told.status == 503
    assert b"3 workers ended" in told.body


def test_a_model_that_cannot_be_loaded_is_refused_and_the_one_before_goes_on(tmp_path: Path) -> None:
    async def ask() -> None:
        served = version(tmp_path, 1)
        with pytest.raises(RefusedError, match="cannot be loaded"):
            await Pool(broken(served), Limits(), workers=2).__aenter__()
        async with Pool(served, Limits(), workers=2) as pool:
            for bad, words in (
                (broken(served), "cannot be loaded"),
                (_puzzling(served), "cannot be loaded: TypeError"),
            ):
                async with asyncio.timeout(20):
                    with pytest.raises(RefusedError, match=words):
                        await pool.swap(bad)
            assert {(await pool.predict(body_of({}))).label for _ in range(4)} == {"toy:1"}

    asyncio.run(ask())
    assert not workers()


SERVER = """
import asyncio, sys
from pathlib import Path
from search.bundle.bundle import Bundle
from search.serve.backend import Served
from search.serve.limits import Limits
from search.serve.pool import Pool

async def main():
    async with Pool(Served(Bundle.open(Path(sys.argv[1])), "toy", 1), Limits(), workers=2) as pool:
        sys.stdout.write("ready\\n")
        sys.stdout.flush()
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_workers_end_when_the_server_is_killed(tmp_path: Path) -> None:
    version(tmp_path, 1)
    command = [sys.executable, "-c", SERVER, str(tmp_path / "1")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        found = psutil.Process(server.pid).children()
        assert len(found) == 2
        for signal_number in (signal.SIGINT, signal.SIGTERM):  # as a terminal, or a service manager, sends to all
            found[0].send_signal(signal_number)
        time.sleep(0.2)
        assert found[0].is_running()
        server.kill()
    gone, alive = psutil.wait_procs(found, timeout=10)
    assert len(gone) == 2, alive
