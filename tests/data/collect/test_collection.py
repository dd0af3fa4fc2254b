"""What was acknowledged is there once, after a crash at any byte, a compaction cut short anywhere, or another start.

Mutations that turn these red: acknowledge before the write (`Collection._write`), forget the keys (`KeyWindow.add`),
delete a segment before the manifest names it (`compact_segment`), leave a torn end (`SegmentLog.open`).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from search.data.collect import log as logs
from search.data.collect import record as records
from search.data.collect.collection import Collection, KeyReused
from search.data.collect.compact import Stopped, compact, compact_segment
from search.data.collect.keys import DAYS, KeyWindow, digest
from search.data.collect.lock import WriterLock
from search.data.collect.manifest import Manifest, load_manifest
from search.data.collect.place import CollectionFolder
from search.data.collect.record import Answer, Record, Rejected
from search.data.collect.rows import Fault, Values
from search.data.collect.schema import Column, Schema
from search.errors import InputError, RefusedError, SurroundingsError
from tests.data.collect.servers import ROOT, frozen, ids

SCHEMA = Schema((Column("id", "text", required=True), Column("n", "integer")), "n")
WIDER = Schema((Column("when", "datetime"), *SCHEMA.columns), "when")


@pytest.fixture
def folder(memory: Path) -> CollectionFolder:
    return CollectionFolder(memory / "results" / "data" / "visits")


def home(folder: CollectionFolder) -> Path:
    return folder.root.parents[2]


@contextmanager
def opened(
    folder: CollectionFolder, schema: Schema | None = SCHEMA, *, segment_bytes: int = 1 << 20
) -> Iterator[Collection]:
    collection = Collection.open(folder, schema, segment_bytes=segment_bytes)
    try:
        yield collection
    finally:
        collection.close()


def record(name: str, *, rows: int = 1, key: str | None = None, bad: bool = False, version: int = 1) -> Record:
    values: list[Values] = [[f"{name}-{row}", row] for row in range(rows)]
    rejected = [Rejected(rows, Fault("n", "integer", "text"), '{"n": "x"}')] if bad else []
    body = digest(name.encode()).hex()
    if version > 1:
        values = [[None, *row] for row in values]
    return Record(time.time(), version, body, key, values, rejected)


def store(collection: Collection, *records: Record) -> list[Answer]:
    return [future.result(10) for future in [collection.submit(one) for one in records]]


def wait_until_compacted(folder: CollectionFolder, last: int) -> None:
    deadline_s = time.monotonic() + 20
    while load_manifest(folder).last < last:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_rows_are_there_after_another_start_in_the_order_in_which_they_came(folder: CollectionFolder) -> None:
    with opened(folder) as collection:
        assert store(collection, record("a", rows=2), record("b", bad=True)) == [
            Answer(2, 0),
            Answer(1, 1, ({"row": 1, "column": "n", "expected": "integer", "got": "text"},)),
        ]
    with opened(folder, None) as collection:
        store(collection, record("c"))
        assert (collection.stats().rows, collection.stats().rejected) == (4, 1)
    assert ids(home(folder)) == ["a-0", "a-1", "b-0", "c-0"]


def test_whatever_the_writer_meets_all_who_wait_are_answered_and_it_goes_on(
    folder: CollectionFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = logs.SegmentLog.append

    def no_memory(self: logs.SegmentLog, data: bytes) -> None:
        raise MemoryError

    with opened(folder) as collection:
        monkeypatch.setattr(logs.SegmentLog, "append", no_memory)
        for future in [collection.submit(record("a", key="k")), collection.submit(record("b"))]:
            with pytest.raises(RuntimeError, match="the writer failed: MemoryError"):
                future.result(10)
        assert collection.stats().trouble == "the writer failed: MemoryError"
        assert collection.health() == "the last rows could not be stored"
        monkeypatch.setattr(logs.SegmentLog, "append", append)
        assert store(collection, record("a", key="k")) == [Answer(1, 0)]
        assert (collection.stats().trouble, collection.health()) == ("", "")
    assert ids(home(folder)) == ["a-0"]


def test_whatever_a_compaction_meets_is_told_and_it_is_tried_again_with_the_next_segment(
    folder: CollectionFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa

    def broken(*given: object, **named: object) -> Manifest:
        raise pa.ArrowInvalid("no such column\n in here")

    with opened(folder, segment_bytes=1) as collection:
        monkeypatch.setattr("search.data.collect.compact.compact_segment", broken)
        store(collection, record("a"))
        store(collection, record("b"))
        deadline_s = time.monotonic() + 10
        while not collection.health():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        assert collection.stats().trouble == "not compacted: ArrowInvalid: no such column in here"
        assert collection.health() == "the log could not be compacted; rows are stored"
        monkeypatch.setattr("search.data.collect.compact.compact_segment", compact_segment)
        store(collection, record("c"))
        wait_until_compacted(folder, 2)
    assert ids(home(folder)) == ["a-0", "b-0", "c-0"]


def test_a_fault_of_the_writer_is_an_answer_and_health_tells_of_it_without_a_key(
    folder: CollectionFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx

    from search.data.collect.app import make_app
    from search.data.collect.key import find_key
    from search.data.collect.limits import Limits
    from search.serving.hosts import Hosts

    def no_memory(self: logs.SegmentLog, data: bytes) -> None:
        raise MemoryError

    async def asked(collection: Collection) -> list[httpx.Response]:
        key = find_key(folder, None, "a-key-of-these-tests")
        app = make_app(collection, key, Limits(), Hosts.of("127.0.0.1", "127.0.0.1", ()))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"Authorization": "Bearer a-key-of-these-tests"}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            return [await client.post("/rows", json={"id": "a", "n": 1}), await client.get("/health")]

    with opened(folder) as collection:
        monkeypatch.setattr(logs.SegmentLog, "append", no_memory)
        told, health = asyncio.run(asyncio.wait_for(asked(collection), 10))
    assert (told.status_code, told.json()["error"]["message"]) == (
        500,
        "a fault of sweep itself; its terminal shows more",
    )
    assert health.json() == {"status": "trouble", "trouble": "the last rows could not be stored"}


def test_a_torn_end_is_cut_at_whichever_byte_and_kept(folder: CollectionFolder) -> None:
    with opened(folder) as collection:
        store(collection, record("a"), record("b", bad=True), record("c", key="k"))
    whole = folder.segment(1).read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    manifest = load_manifest(folder)
    near = {end + by for end in ends for by in (-2, -1, 0, 1)} & {*range(len(whole))}
    for cut in sorted(near | {*range(0, len(whole), 5)}):
        folder.segment(1).write_bytes(whole[:cut])
        count: list[Record] = []
        logs.SegmentLog.open(folder, manifest.last + 1, seen=count.append).close()
        good = sum(end <= cut for end in ends)
        assert len(count) == good
        assert folder.segment(1).read_bytes() == whole[: ([0, *ends])[good]]
        torn = list(folder.log.glob("*.torn-*"))
        assert [one.read_bytes() for one in torn] == (
            [whole[([0, *ends])[good] : cut]] if cut not in (0, *ends) else []
        )
        for one in torn:
            one.unlink()


def test_a_changed_byte_before_the_end_is_damage_and_nothing_is_touched(folder: CollectionFolder) -> None:
    with opened(folder) as collection:
        store(collection, record("a"), record("b"), record("c"))
    whole = folder.segment(1).read_bytes()
    for at in range(0, whole.rindex(b"\n", 0, -1), 7):
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        folder.segment(1).write_bytes(changed)
        with pytest.raises(SurroundingsError, match="is damaged at byte"):
            Collection.open(folder, None)
        with pytest.raises(SurroundingsError, match="is damaged at byte"):
            frozen(home(folder))
        assert folder.segment(1).read_bytes() == changed
    assert not list(folder.log.glob("*.torn-*"))


def test_a_closed_segment_has_no_torn_end(folder: CollectionFolder) -> None:
    with opened(folder) as collection:
        store(collection, record("a"))
    line = folder.segment(1).read_bytes()
    folder.segment(1).write_bytes(line + line[:10])
    folder.segment(2).write_bytes(line)
    with pytest.raises(SurroundingsError, match="its end is no record"):
        Collection.open(folder, None)
    folder.segment(2).write_bytes(b"")  # a crash came before anything was in it
    assert ids(home(folder)) == ["a-0"]
    with opened(folder, None) as collection:
        assert store(collection, record("b")) == [Answer(1, 0)]
    assert ids(home(folder)) == ["a-0", "b-0"]


def test_a_missing_segment_is_told(folder: CollectionFolder) -> None:
    with opened(folder, segment_bytes=1) as collection:
        store(collection, record("a"))
        store(collection, record("b"))
        store(collection, record("c"))
        wait_until_compacted(folder, 2)
    folder.segment(3).rename(folder.segment(4))
    with pytest.raises(SurroundingsError, match="a segment is missing"):
        Collection.open(folder, None)
    with pytest.raises(SurroundingsError, match="lacks a segment behind 2"):
        frozen(home(folder))


def test_a_second_writer_is_refused_and_told_who_the_first_is(folder: CollectionFolder) -> None:
    told = f"collection 'visits' is being written by pid {os.getpid()}"
    with opened(folder), pytest.raises(RefusedError, match=told):
        compact(folder)
    WriterLock(folder.lock).release()


def test_a_key_gives_its_answer_again_and_stores_nothing_twice(folder: CollectionFolder) -> None:
    first = record("a", rows=3, key="k", bad=True)
    with opened(folder) as collection:
        (answer,) = store(collection, first)
        assert store(collection, first, first) == [answer, answer]
        assert collection.answered("k", first.body) == answer
        with pytest.raises(KeyReused, match="another request"):
            collection.submit(record("b", key="k"))
        with pytest.raises(KeyReused, match="another request"):
            collection.answered("k", "00" * 16)
    with opened(folder, None) as collection:
        assert store(collection, first) == [answer]
    compact(folder)
    with opened(folder, None) as collection:
        assert store(collection, first) == [answer]
        assert (collection.stats().rows, collection.stats().keys) == (3, 1)


def test_one_key_from_many_threads_at_once_stores_one(folder: CollectionFolder) -> None:
    with opened(folder) as collection:
        answers: list[Answer] = []

        def send() -> None:
            answers.extend(store(collection, *(record(f"a{number}", key=f"k{number}") for number in range(50))))

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [Answer(1, 0)] * 400
        assert collection.stats().rows == 50


def test_keys_are_bounded_in_number_and_age() -> None:
    window = KeyWindow(most=10)
    for number in range(100):
        window.add(f"k{number}", time.time(), "00" * 16, Answer(number, 0))
        assert len(window) <= 10
        for lately in range(max(0, number - 4), number + 1):
            assert window.find(f"k{lately}") == ("00" * 16, Answer(lately, 0))
    assert window.find("k0") is None
    window.add("old", time.time() - DAYS * 86_400 - 60, "00" * 16, Answer(1, 0))
    assert window.find("old") is None


def test_a_full_segment_becomes_parquet_by_itself_with_what_was_put_aside(folder: CollectionFolder) -> None:
    with opened(folder, segment_bytes=2000) as collection:
        for number in range(100):
            store(collection, record(f"r{number}", key=f"k{number}", bad=number % 10 == 0))
        wait_until_compacted(folder, 3)
        assert collection.stats().rows == 100
        assert collection.stats().trouble == ""
    assert folder.segments()[0] > 3
    assert ids(home(folder)) == [f"r{number}-0" for number in range(100)]
    aside = [
        json.loads(line) for path in sorted(folder.root.glob("rejected/*")) for line in path.read_text().splitlines()
    ]
    assert aside[0]["content"] == '{"n": "x"}'
    assert {key: aside[0][key] for key in ("row", "column", "expected", "got")} == {
        "row": 1,
        "column": "n",
        "expected": "integer",
        "got": "text",
    }


def test_frozen_data_is_the_same_whatever_of_it_is_compacted(folder: CollectionFolder) -> None:
    with opened(folder, segment_bytes=1000) as collection:
        store(collection, *(record(f"r{number}", rows=number % 5) for number in range(60)))
        before = frozen(home(folder))
    content = before.path.read_bytes()
    compact(folder)
    after = frozen(home(folder))
    assert (after.pinned, after.path.read_bytes()) == (before.pinned, content)
    assert folder.segments() == [load_manifest(folder).last + 1]
    assert after.target == "n"


def test_many_rows_have_one_digest_however_they_were_cut(folder: CollectionFolder, tmp_path: Path) -> None:
    other = CollectionFolder(tmp_path / "other" / "results" / "data" / "visits")
    rows: list[Values] = [[f"row {number}", number * 7 % 1000 or None] for number in range(70_000)]
    for place, size in ((folder, 10_000), (other, 7_919)):
        with opened(place) as collection:
            for start in range(0, len(rows), size):
                store(collection, Record(1.0, 1, "00" * 16, None, rows[start : start + size]))
        if place is folder:
            compact(place)
    assert frozen(home(folder)).path.name == frozen(home(other)).path.name


def test_a_later_schema_goes_on_with_the_same_rows(folder: CollectionFolder) -> None:
    with opened(folder) as collection:
        store(collection, record("a"))
    first = frozen(home(folder))
    with opened(folder, WIDER) as collection:
        assert collection.versions == (SCHEMA, WIDER)
        store(collection, record("b", version=2))
    second = frozen(home(folder))
    compact(folder)
    assert frozen(home(folder)).pinned == second.pinned
    table = pq.read_table(second.path)
    assert table.column_names == ["when", "id", "n"]
    assert table.to_pylist() == [{"when": None, "id": "a-0", "n": 0}, {"when": None, "id": "b-0", "n": 0}]
    assert second.target == "when"
    pinned = frozen(home(folder), first.pinned)
    assert (pinned.path, pinned.target) == (first.path, "n")


KILLED = """
import os, signal, shutil, sys
from pathlib import Path
from search.data.collect.compact import compact
from search.data.collect.place import CollectionFolder
import pandas, pyarrow.fs  # which pyarrow would import in each child

before, root = Path(sys.argv[1]), Path(sys.argv[2])
code, step = 1, 0
while code:
    step += 1
    folder = CollectionFolder(root / str(step) / "results" / "data" / "visits")
    shutil.copytree(before, folder.root)
    child = os.fork()
    if not child:
        left = step

        def count(event, arguments):
            global left
            if event in ("os.rename", "os.remove", "open") and "visits" in str(arguments[0]):
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        compact(folder)
        os._exit(0)
    code = os.waitpid(child, 0)[1]
"""


def test_killed_at_any_file_that_it_touches_a_compaction_loses_and_doubles_nothing(
    folder: CollectionFolder, memory: Path
) -> None:
    with opened(folder) as collection:
        store(collection, *(record(f"r{number}", key=f"k{number}", bad=True) for number in range(10)))
    expected = frozen(home(folder)).path.name
    script = [sys.executable, "-c", KILLED, str(folder.root), str(memory / "steps")]
    subprocess.run(script, check=True, cwd=ROOT, timeout=60)
    steps = sorted((memory / "steps").iterdir(), key=lambda path: int(path.name))
    assert len(steps) > 15
    for step in steps:
        left = CollectionFolder(step / "results" / "data" / "visits")
        assert frozen(step).path.name == expected, step.name
        with opened(left, None) as collection:
            assert (collection.stats().rows, collection.stats().rejected, collection.stats().keys) == (10, 10, 10)
            assert collection.answered("k3", digest(b"r3").hex()) == record("r3", bad=True).answer()
        compact(left)
        assert frozen(step).path.name == expected, step.name


def test_a_compaction_can_be_asked_to_stop(folder: CollectionFolder) -> None:
    with opened(folder) as collection:
        store(collection, record("a"), record("b"))
    folder.segment(2).touch()
    with pytest.raises(Stopped):
        compact_segment(folder, Manifest(), [SCHEMA], stopping=lambda: True)
    assert load_manifest(folder) == Manifest()
    assert not list((folder.root / "rows").iterdir())
    assert ids(home(folder)) == ["a-0", "b-0"]


def test_frozen_data_is_a_beginning_of_what_came_while_it_is_written_and_compacted(folder: CollectionFolder) -> None:
    with opened(folder, segment_bytes=3000) as collection:
        acknowledged: list[str] = []
        ended = threading.Event()

        def write() -> None:
            number = 0
            while not ended.is_set():
                store(collection, record(f"r{number}", rows=5))
                acknowledged.append(f"r{number}-4")
                number += 1
                time.sleep(0.003)  # in memory it would outrun its readers

        writer = threading.Thread(target=write)
        writer.start()
        try:
            wait_until_compacted(folder, 1)
            for _ in range(20):
                count = len(acknowledged)
                found = ids(home(folder))
                assert len(found) % 5 == 0
                assert found == [f"r{number // 5}-{number % 5}" for number in range(len(found))]
                assert len(found) >= 5 * count
            wait_until_compacted(folder, 2)
        finally:
            ended.set()
            writer.join()


def test_a_snapshot_stays_as_it_is_while_rows_come(folder: CollectionFolder) -> None:
    with opened(folder) as collection:
        store(collection, record("a"))
        first = frozen(home(folder))
        store(collection, record("b"))
        again = frozen(home(folder), first.pinned)
        assert (again.path, again.pinned) == (first.path, first.pinned)
        assert pq.read_table(again.path).num_rows == 1
        assert pq.read_table(frozen(home(folder)).path).num_rows == 2
    first.path.chmod(0o600)
    first.path.write_bytes(first.path.read_bytes()[:-1] + b"x")
    with pytest.raises(RefusedError, match="was changed: its content is not what its name says"):
        frozen(home(folder), first.pinned)
    first.path.unlink()
    with pytest.raises(InputError, match=r"collected:visits has no snapshot [0-9a-f]{12} in "):
        frozen(home(folder), first.pinned)


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("collected:visits", "collection 'visits' has no rows yet; POST some to its /rows"),
        ("collected:visit", "there is no collection 'visit'; did you mean 'visits'?"),
        ("collected:zzz", "there is no collection 'zzz'; known: visits"),
        ("collected:visits?encoding=utf-8", "collected:visits takes no encoding="),
        ("collected:visits?snapshot=../../x", "snapshot is a sha256"),
        ("collected:../x", "got '../x'"),
    ],
)
def test_a_reference_that_names_nothing_is_one_sentence(
    folder: CollectionFolder, reference: str, sentence: str
) -> None:
    opened_once = Collection.open(folder, SCHEMA)
    opened_once.close()
    with pytest.raises(InputError) as told:
        frozen(home(folder), reference)
    assert sentence in told.value.sentence()


def test_without_any_collection_the_sentence_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError) as told:
        frozen(tmp_path)
    assert told.value.sentence().endswith("`sweep collect NAME --schema FILE` makes one")


def test_a_parquet_file_that_changed_is_told(folder: CollectionFolder) -> None:
    with opened(folder) as collection:
        store(collection, record("a"))
    compact(folder)
    path = folder.rows(1)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(SurroundingsError, match="is gone, or not as it was written"):
        frozen(home(folder))


def test_closing_answers_what_was_submitted(folder: CollectionFolder) -> None:
    collection = Collection.open(folder, SCHEMA)
    futures = [collection.submit(record(f"r{number}")) for number in range(200)]
    collection.close()
    assert all(future.result(0) == Answer(1, 0) for future in futures)
    with suppress(FileNotFoundError):
        assert len(ids(home(folder))) == 200


def test_a_record_that_is_taken_back_while_it_is_read_ends_the_reading(folder: CollectionFolder) -> None:
    with opened(folder) as collection:
        store(collection, record("a"))
    path = folder.segment(1)
    with path.open("rb") as file:  # its size was longer when it was opened, as on a disk that then was full
        found = list(records.read(file, path, path.stat().st_size + 100))
    assert [one.rows for _, one in found] == [[["a-0", 0]]]
