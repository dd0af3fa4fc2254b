"""What is written is as good as told: large requests, requests at once, and a log that is shortened.

Mutations that turn this file red: number requests as their threads end; remember a label before it is stored; take a
label twice that comes twice at once; write each request of a run alone, or tell of an id where that failed; number a
record as one that a reader has seen already; remove a segment that the learner has not read, or that a label may come
for; let one who goes away end the others of its run; forget what is stored for one who went away; after a restart, give
the rows behind a late one the ids of others; keep predictions waiting for all of a large feedback; where its first
parts are stored, tell of nothing or of all.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from search import lines
from search.data.collect.place import NoSpace
from search.errors import SurroundingsError
from search.online.eventlog import EventLog
from search.online.events import LabelledRows, Labels, Shown
from search.online.feedback import Asked, FeedbackReader
from search.online.known import Known
from search.online.lock import hold
from search.online.recorder import Recorder
from search.online.recording import remember
from search.online.storing import Snapshot, Snapshots
from search.online.tokens import Source
from search.paths import OnlineFolder
from search.serve.backend import Answer
from search.serve.limits import Limits
from tests.bundle.bundles import signature_of
from tests.online.servers import NAME, logged, promoted
from tests.serve.servers import ROW

ANN = Source("ann")
ONE = json.dumps(ROW).encode()


def answer(rows: int, *, batch: int | None = None) -> Answer:
    told = {"model": "toy:1", "predictions": [{"label": "no", "probabilities": {"no": 1.0, "yes": 0.0}}] * rows}
    return Answer(200, json.dumps(told).encode(), rows, "toy:1", rows if batch is None else batch)


def asked(told: Any) -> Asked:
    return FeedbackReader(signature_of(unused=("id",)), Limits())(json.dumps(told).encode())


def recording(results: Path, doing: Callable[[Recorder], Coroutine[Any, Any, None]], **choices: Any) -> None:
    folder, known = OnlineFolder.of(results, NAME), Known(choices.pop("wait_s", 1e6), 1_000_000)
    log = EventLog.open(folder, seen=lambda record: remember(record, known), lock=hold(folder), **choices)
    recorder = Recorder(log, known)
    try:
        asyncio.run(doing(recorder))
    finally:
        recorder.close()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    promoted(tmp_path)
    return tmp_path


def test_large_and_small_requests_at_once_all_have_their_ids(results: Path) -> None:
    many = 3000
    large = json.dumps({"rows": [ROW] * many}).encode()

    async def go(recorder: Recorder) -> None:
        bodies = [(large, many), (ONE, 1), (large, many), (ONE, 1), (ONE, 1)]
        told = [json.loads(one) for one in await asyncio.gather(*(recorder.shown(b, answer(n)) for b, n in bodies))]
        assert [len(one["ids"]) for one in told] == [many, 1, many, 1, 1]
        assert told[1]["id"] == told[1]["ids"][0]
        labels = {"labels": [{"id": one["ids"][-1], "label": "no"} for one in told]}
        assert len((await recorder.feedback(asked(labels), ANN)).taken) == 5

    recording(results, go)
    shown = [event for event in logged(results) if isinstance(event, Shown)]
    assert sorted(len(event.ids) for event in shown) == [1, 1, 1, many, many]
    assert len({name for event in shown for name in event.ids}) == 2 * many + 3


def test_requests_of_one_run_are_written_at_once(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    write = os.pwrite

    def counted(fd: int, data: bytes, at: int) -> int:
        written.append(data)
        return write(fd, data, at)

    async def go(recorder: Recorder) -> None:
        with monkeypatch.context() as counting:
            counting.setattr(os, "pwrite", counted)
            told = await asyncio.gather(*(recorder.shown(ONE, answer(1, batch=8)) for _ in range(8)))
        assert len({json.loads(one)["id"] for one in told}) == 8
        with monkeypatch.context() as full:
            full.setattr(os, "pwrite", _full)
            told = await asyncio.gather(*(recorder.shown(ONE, answer(1, batch=3)) for _ in range(3)))
        assert not any("ids" in json.loads(one) for one in told)
        assert (recorder.unlogged, recorder.known.rows) == (3, 11)
        assert "id" in json.loads(await recorder.shown(ONE, answer(1, batch=2)))

    recording(results, go)
    assert len(written) == 1
    assert [event.sequence for event in logged(results)] == list(range(1, 10))


def test_a_write_that_ends_within_a_run_takes_back_no_whole_record(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, parts = os.pwrite, [700]
    seen: list[int] = []

    def partly(fd: int, data: bytes, at: int) -> int:
        if not parts:
            seen.extend(event.sequence for event in logged(results))  # a reader that is just there
            raise OSError(28, "No space left on device")
        return write(fd, data[: parts.pop()], at)

    async def go(recorder: Recorder) -> None:
        with monkeypatch.context() as full:
            full.setattr(os, "pwrite", partly)
            told = await asyncio.gather(*(recorder.shown(ONE, answer(1, batch=8)) for _ in range(8)))
        assert not any("ids" in json.loads(one) for one in told)
        name = json.loads(await recorder.shown(ONE, answer(1)))["id"]
        assert len((await recorder.feedback(asked({"id": name, "label": "no"}), ANN)).taken) == 1

    recording(results, go)
    assert 1 <= len(seen) < 8
    assert [event.sequence for event in logged(results)] == list(range(1, len(seen) + 3))
    recording(results, lambda recorder: recorder.shown(ONE, answer(1)))  # type: ignore[arg-type,return-value]


def test_who_goes_away_takes_nobody_along(results: Path) -> None:
    async def go(recorder: Recorder) -> None:
        tasks = [asyncio.create_task(recorder.shown(ONE, answer(1, batch=3))) for _ in range(3)]
        await asyncio.sleep(0)  # all wait for one write
        tasks[1].cancel()
        told = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in told] == [bytes, asyncio.CancelledError, bytes]
        there = [event.ids[0] for event in logged(results) if isinstance(event, Shown)]
        assert {json.loads(one)["id"] for one in told if isinstance(one, bytes)} <= {*there}

    recording(results, go)


def test_what_is_stored_is_remembered_though_who_sent_it_went_away(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = 3000
    rows = {"rows": [ROW] * many, "labels": ["no"] * many, "ids": [f"a{number}" for number in range(many)]}
    begun, going_on, write = threading.Event(), threading.Event(), os.pwrite

    def slowly(fd: int, data: bytes, at: int) -> int:
        begun.set()
        assert going_on.wait(20)
        return write(fd, data, at)

    async def go(recorder: Recorder) -> None:
        with monkeypatch.context() as slow:
            slow.setattr(os, "pwrite", slowly)
            first = asyncio.create_task(recorder.feedback(asked(rows), ANN))
            await asyncio.to_thread(begun.wait, 20)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            second = asyncio.create_task(recorder.feedback(asked(rows), ANN))
            await asyncio.sleep(0.01)
            going_on.set()
            assert (await second).repeated == many

    recording(results, go)
    assert sum(len(event.ids) for event in logged(results) if isinstance(event, LabelledRows)) == many


def test_after_a_restart_a_row_has_the_id_it_was_told_under_however_late_it_was_written(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = 3000
    large = json.dumps({"rows": [ROW] * many}).encode()
    going_on, written = threading.Event(), EventLog.append

    def late(log: EventLog, *found: bytes) -> int:
        if len(found[0]) > 65_536:
            assert going_on.wait(20)
        return written(log, *found)

    told: list[str] = []
    labels: dict[str, str] = {}

    async def show(recorder: Recorder) -> None:
        with monkeypatch.context() as slow:
            slow.setattr(EventLog, "append", late)
            first = asyncio.create_task(recorder.shown(large, answer(many)))
            await asyncio.sleep(0)
            for _ in range(3):
                told.append(json.loads(await recorder.shown(ONE, answer(1)))["id"])
            going_on.set()
            told.extend(json.loads(await first)["ids"][:: many - 1])
        labels.update({name: ("no", "yes")[number % 2] for number, name in enumerate(told)})
        body = {"labels": [{"id": name, "label": label} for name, label in labels.items()][::2]}
        assert len((await recorder.feedback(asked(body), ANN)).taken) == 3

    async def again(recorder: Recorder) -> None:
        assert recorder.known.rows == many + 3
        body = {"labels": [{"id": name, "label": label} for name, label in labels.items()]}
        decision = await recorder.feedback(asked(body), ANN)
        assert (len(decision.taken), decision.repeated, decision.unknown, decision.refused) == (2, 3, [], [])
        base, _, row = told[-1].rpartition(".")
        assert recorder.known.find(f"{base}.{int(row) + 1}") is None

    recording(results, show)
    recording(results, again)
    shown = [event.ids for event in logged(results) if isinstance(event, Shown)]
    assert [len(ids) for ids in shown] == [1, 1, 1, many]  # the first came last
    assert {name for event in logged(results) if isinstance(event, Labels) for name in event.ids} == {*told}


def test_a_label_that_comes_twice_at_once_is_stored_once(results: Path) -> None:
    rows = {"rows": [ROW] * 3000, "labels": ["no"] * 3000, "ids": [f"a{number}" for number in range(3000)]}

    async def go(recorder: Recorder) -> None:
        name = json.loads(await recorder.shown(ONE, answer(1)))["id"]
        told = await asyncio.gather(
            *(recorder.feedback(asked({"id": name, "label": label}), ANN) for label in ("no", "no", "yes")),
            *(recorder.feedback(asked(rows), ANN) for _ in range(2)),
        )
        found = [(len(one.taken), one.repeated, len(one.refused)) for one in told]
        assert found == [(1, 0, 0), (0, 1, 0), (0, 0, 1), (3000, 0, 0), (0, 3000, 0)]

    recording(results, go)
    counts = [len(event.ids) for event in logged(results) if isinstance(event, (Labels, LabelledRows))]
    assert (counts[0], sum(counts[1:])) == (1, 3000)


@pytest.mark.parametrize(("wide", "parts"), [(0, 3), (500, 6), (None, 3)])
def test_predictions_come_between_the_parts_of_a_large_feedback(wide: int | None, parts: int, results: Path) -> None:
    many = 3000

    async def go(recorder: Recorder) -> None:
        given: dict[str, Any] = {"rows": [{**ROW, "town": "x" * (wide or 0)}] * many, "labels": ["no"] * many}
        if wide is None:  # labels of rows that were shown
            names = json.loads(await recorder.shown(json.dumps({"rows": [ROW] * many}).encode(), answer(many)))["ids"]
            given = {"labels": [{"id": name, "label": "no"} for name in names]}
        task = asyncio.create_task(recorder.feedback(asked(given), ANN))
        while not task.done():
            await recorder.shown(ONE, answer(1))
            await asyncio.sleep(0)
        assert len((await task).taken) == many

    recording(results, go)
    found = [isinstance(event, (Labels, LabelledRows)) for event in logged(results)]
    assert sum(found) >= parts
    first, last = found.index(True), len(found) - found[::-1].index(True)
    assert last - first > sum(found)
    events = [event for event in logged(results) if isinstance(event, (Labels, LabelledRows))]
    assert len({name for event in events for name in event.ids}) == sum(len(event.ids) for event in events) == many


def test_of_a_large_feedback_what_is_stored_is_told_when_the_disk_is_full(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many, write, left = 3000, os.pwrite, [2]
    rows = {"rows": [ROW] * many, "labels": ["no"] * many, "ids": [f"a{number}" for number in range(many)]}

    def until_full(fd: int, data: bytes, at: int) -> int:
        left[0] -= 1
        return write(fd, data, at) if left[0] >= 0 else _full()

    async def go(recorder: Recorder) -> None:
        with monkeypatch.context() as full:
            full.setattr(os, "pwrite", until_full)
            first = await recorder.feedback(asked(rows), ANN)
        assert isinstance(first.failed, NoSpace)
        assert (len(first.taken), first.repeated) == (2000, 0)
        second = await recorder.feedback(asked(rows), ANN)
        assert (second.failed, len(second.taken), second.repeated) == (None, 1000, 2000)

    recording(results, go)
    events = [event for event in logged(results) if isinstance(event, LabelledRows)]
    assert [name for event in events for name in event.ids] == [f"=/a{number}" for number in range(many)]


def test_a_label_that_could_not_be_stored_may_come_again(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go(recorder: Recorder) -> None:
        name = json.loads(await recorder.shown(ONE, answer(1)))["id"]
        with monkeypatch.context() as full:
            full.setattr(os, "pwrite", _full)
            with pytest.raises(SurroundingsError):
                await recorder.feedback(asked({"id": name, "label": "yes"}), ANN)
            with pytest.raises(SurroundingsError):
                await recorder.feedback(asked({"rows": [ROW], "labels": ["no"], "ids": ["a"]}), ANN)
            assert "id" not in json.loads(await recorder.shown(ONE, answer(1)))
        assert len((await recorder.feedback(asked({"id": name, "label": "no"}), ANN)).taken) == 1
        assert len((await recorder.feedback(asked({"rows": [ROW], "labels": ["no"], "ids": ["a"]}), ANN)).taken) == 1

    recording(results, go)
    assert [type(event) for event in logged(results)] == [Shown, Labels, LabelledRows]


def _full(*given: Any) -> int:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("wait_s", "learnt", "kept"), [(1e6, 9, 0), (5.0, 0, 9), (5.0, 9, 8), (5.0, 5, 4)])
def test_the_log_is_shortened_to_what_is_needed(wait_s: float, learnt: int, kept: int, results: Path) -> None:
    folder = OnlineFolder.of(results, NAME)
    if learnt:
        folder.state.mkdir(parents=True)
        Snapshots(folder).write(Snapshot({}, {}), learnt, 0)

    async def go(recorder: Recorder) -> None:
        for _ in range(10):  # one a segment
            await recorder.shown(ONE, answer(1))
        for number in lines.numbered(folder.log)[:-1]:
            os.utime(folder.segment(number), (time.time() - 60,) * 2)
        for start in recorder.known._starts.values():
            for at in range(len(start.at_s) - 2):
                start.at_s[at] -= 60
        await recorder.shorten(folder)

    recording(results, go, wait_s=wait_s, segment_bytes=1)
    assert lines.numbered(folder.log) == list(range(kept + 1, 11))
