"""What `sync` returned for is there once and in order, after a crash at any byte; a reader beside it sees just that.

Mutations that turn these red: leave a torn end (`lines.cut_torn`), or take two records that run together for one
(`lines.check_torn`); answer before the sync (`EventLog._sync_all`); begin the next segment before the last is on the
disk (`_close_segment`); leave what could not be written (`Segment.write`); sync again what failed without writing it
again (`Segment.sync`); ask after the read whether a segment is closed (`log._of_segment`), move on before its end, or
wait for ever behind one that is gone (`_check_next`); number anything behind anything (`Order.check`); remove a segment
that the next record is in (`remove_before`); give a log that begins anew the identity of the one before, or another
one at each start.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search import lines
from search.data.collect.place import NoSpace
from search.errors import RefusedError, SurroundingsError
from search.online.eventlog import EventLog
from search.online.lock import hold, hold_learning
from search.online.log import identity, make_durable, newest, sequence_of, tail
from search.paths import OnlineFolder

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> OnlineFolder:
    return OnlineFolder(tmp_path / "online" / "rain")


@contextmanager
def opened(
    folder: OnlineFolder, seen: list[bytes] | None = None, *, segment_bytes: int = 1 << 20
) -> Iterator[EventLog]:
    log = EventLog.open(folder, seen=(seen if seen is not None else []).append, segment_bytes=segment_bytes)
    try:
        yield log
    finally:
        log.close()


def record(name: str, size: int = 0) -> bytes:
    return f'{{"k":"{name}","x":"{"x" * size}"}}'.encode()


def filled(folder: OnlineFolder, names: str, *, segment_bytes: int = 1 << 20) -> None:
    with opened(folder, segment_bytes=segment_bytes) as log:
        for name in names:
            log.append(record(name))


def name_of(text: bytes) -> str:
    return text.split(b'"k":"')[1].split(b'"')[0].decode()


def names(texts: Any) -> str:
    return "".join(map(name_of, texts))


def there(folder: OnlineFolder, after: int = 0) -> list[bytes]:
    """Return what a reader gets until the end."""
    return [text for text in takewhile(lambda text: text is not None, tail(folder, after)) if text]


def test_records_are_numbered_one_after_the_other_over_segments_and_starts(folder: OnlineFolder) -> None:
    filled(folder, "abcde", segment_bytes=60)
    seen: list[bytes] = []
    with opened(folder, seen, segment_bytes=60) as log:
        assert (names(seen), log.sequence, log.number) == ("abcde", 5, 3)
        assert log.append(record("f")) == 6
    assert [sequence_of(text) for text in there(folder)] == [1, 2, 3, 4, 5, 6]
    assert there(folder)[-1] == b'{"s":6,"k":"f","x":""}'
    assert len(list(folder.log.glob("*.log"))) == 3
    assert newest(folder) == 6


def test_a_log_is_told_from_one_that_was_in_its_place_before(folder: OnlineFolder) -> None:
    assert identity(folder) == ""
    filled(folder, "abcd", segment_bytes=60)
    first = identity(folder)
    assert len(first) == 16
    with opened(folder, segment_bytes=60) as log:
        log.append(record("e"))
        assert log.remove_before(4) == [1]
    assert identity(folder) == first
    for path in folder.log.glob("*.log"):
        path.unlink()  # its identity stays, and is not that of what comes now
    filled(folder, "abc")
    second = identity(folder)
    shutil.rmtree(folder.log)
    filled(folder, "abc")
    assert len({"", first, second, identity(folder)}) == 4
    folder.log_identity.unlink()
    filled(folder, "d")  # of an older version, say
    assert identity(folder) == ""
    folder.log_identity.mkdir()
    with pytest.raises(SurroundingsError, match="identity cannot be read: Is a directory"):
        identity(folder)


def test_a_reader_begins_behind_any_record(folder: OnlineFolder) -> None:
    filled(folder, "abcdefghi", segment_bytes=60)
    assert [names(there(folder, after)) for after in range(10)] == ["abcdefghi"[after:] for after in range(10)]


def test_a_reader_says_that_it_is_at_the_end_and_goes_on_when_there_is_more(folder: OnlineFolder) -> None:
    reader = tail(folder, 0)
    assert next(reader) is None  # there is no log yet
    with opened(folder, segment_bytes=60) as log:
        assert next(reader) is None
        for name in "abcdef":
            log.append(record(name))
            text = next(reader)
            assert text is not None
            assert (name_of(text), next(reader), next(reader)) == (name, None, None)


def test_a_torn_end_is_cut_at_whichever_byte_and_kept_and_no_reader_stumbles(folder: OnlineFolder) -> None:
    filled(folder, "abc", segment_bytes=60)
    last = folder.segment(2)
    whole = last.read_bytes()
    filled(folder, "de", segment_bytes=1 << 20)
    full = last.read_bytes()
    for cut in range(len(whole), len(full) + 1):
        last.write_bytes(full[:cut])
        kept = [line for line in full[:cut].splitlines(keepends=True) if line.endswith(b"\n")]
        expected = "ab" + "".join(name_of(line) for line in kept)
        assert names(there(folder)) == expected
        assert newest(folder) == len(expected)
        seen: list[bytes] = []
        with opened(folder, seen) as log:
            assert (names(seen), log.sequence) == (expected, len(expected))
            assert last.read_bytes() == b"".join(kept)
            log.append(record("z"))
        assert names(there(folder)) == expected + "z"
        torn = list(folder.log.glob("*.torn-*"))
        rest = full[:cut][len(b"".join(kept)) :]
        assert [one.read_bytes() for one in torn] == ([rest] if rest else [])
        for one in torn:
            one.unlink()


def test_a_reader_goes_on_where_a_torn_record_was_cut_off(folder: OnlineFolder) -> None:
    filled(folder, "ab")
    with folder.segment(1).open("ab") as file:
        file.write(b'12345678 {"s":3,"k":"torn')
    reader = tail(folder, 0)
    assert [text and name_of(text) for text in (next(reader) for _ in range(4))] == ["a", "b", None, None]
    filled(folder, "cd")
    assert [text and name_of(text) for text in (next(reader) for _ in range(3))] == ["c", "d", None]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_is_refused_with_file_and_byte(data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = OnlineFolder(tmp_path_factory.mktemp("log") / "rain")
    filled(folder, "abcdef", segment_bytes=120)
    files = sorted(folder.log.glob("*.log"))
    path = data.draw(st.sampled_from(files))
    whole = path.read_bytes()
    parts = whole.splitlines(keepends=True)
    end = len(whole) if path != files[-1] else len(whole) - len(parts[-1])  # of the last record it is a torn end
    at, bit = data.draw(st.integers(0, end - 1)), data.draw(st.integers(0, 7))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
    starts = [sum(map(len, parts[:count])) for count in range(len(parts))]
    start = max(one for one in starts if one <= at)
    told = f"{path} is damaged at byte {start}: "
    with pytest.raises(SurroundingsError, match=r".+") as refused:
        there(folder)
    assert told in refused.value.message
    with pytest.raises(SurroundingsError, match=r".+") as refused, opened(folder):
        pass
    assert told in refused.value.message


def test_a_line_break_that_was_damaged_makes_no_torn_end_of_two_records(folder: OnlineFolder) -> None:
    filled(folder, "abc")
    first, rest = folder.segment(1).read_bytes().split(b"\n", 1)
    folder.segment(1).write_bytes(first + b"\n" + rest.replace(b"\n", b"\x0b", 1))
    for use in (lambda: there(folder), lambda: filled(folder, "d")):
        with pytest.raises(SurroundingsError, match=f"is damaged at byte {len(first) + 1}: a line that is no record"):
            use()


def test_a_record_or_a_segment_that_is_gone_is_missed(folder: OnlineFolder) -> None:
    filled(folder, "abcdef", segment_bytes=60)
    whole = folder.segment(2).read_bytes()
    folder.segment(2).write_bytes(b"".join(whole.splitlines(keepends=True)[1:]))
    for use in (lambda: there(folder), lambda: filled(folder, "g")):
        with pytest.raises(SurroundingsError, match=r"00000002\.log is damaged: record 4 follows record 2"):
            use()
    folder.segment(2).unlink()
    for use in (lambda: there(folder), lambda: filled(folder, "g")):
        with pytest.raises(SurroundingsError, match=r"00000002\.log is damaged at byte 0: the segment is missing"):
            use()


@pytest.mark.parametrize(("after", "told"), [(5, "ends at record 3, and 5 was"), (1, "begins at record 3, and 1 was")])
def test_a_log_that_does_not_go_with_what_was_learnt_is_refused(folder: OnlineFolder, after: int, told: str) -> None:
    filled(folder, "abc", segment_bytes=60)
    folder.segment(1).unlink()
    with pytest.raises(SurroundingsError, match=told):
        there(folder, after)
    assert names(there(folder, 2)) == "c"
    assert names(there(folder, 0)) == "c"


def test_nothing_is_learnt_of_an_empty_log_that_had_records(folder: OnlineFolder) -> None:
    with pytest.raises(SurroundingsError, match="ends at record 0, and 4 was learnt last"):
        next(tail(folder, 4))
    filled(folder, "")
    with pytest.raises(SurroundingsError, match="ends at record 0, and 4 was learnt last"):
        next(tail(folder, 4))


def test_closed_segments_go_when_all_their_records_are_old_and_the_numbers_go_on(folder: OnlineFolder) -> None:
    filled(folder, "abcdef", segment_bytes=60)
    with opened(folder, segment_bytes=60) as log:
        assert log.remove_before(4) == [1]
        reader = tail(folder, 2)
        assert (text := next(reader)) is not None
        assert name_of(text) == "c"
        assert log.remove_before(100) == [2]  # and never the one that is written
        assert log.remove_before(100) == []
        assert names(text for _ in range(3) if (text := next(reader))) == "def"
        log.append(record("g"))
    seen: list[bytes] = []
    with opened(folder, seen) as log:
        assert (names(seen), log.sequence) == ("efg", 7)
    assert names(there(folder)) == "efg"
    assert names(there(folder, 6)) == "g"


def test_a_second_writer_is_refused_and_told_who_the_first_is(folder: OnlineFolder) -> None:
    with opened(folder), pytest.raises(RefusedError, match=f"rain is being served online by pid {os.getpid()}"):
        EventLog.open(folder, seen=print)
    hold_learning(folder).release()
    log = EventLog.open(folder, seen=print, lock=hold(folder))
    log.close()
    hold(folder).release()


def test_all_who_wait_share_a_sync_and_none_is_answered_before_it(
    folder: OnlineFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, calls = threading.Event(), threading.Event(), []

    def slow(fd: int) -> None:
        calls.append(os.fstat(fd).st_size)
        begun.set()
        assert go.wait(10)

    with opened(folder) as log:
        monkeypatch.setattr(os, "fdatasync", slow)
        log.append(record("a"))
        first = log.sync()
        assert begun.wait(10)
        others = []
        for name in "bcd":
            log.append(record(name))
            others.append(log.sync())
        time.sleep(0.05)
        assert not any(future.done() for future in (first, *others))
        go.set()
        for future in (first, *others):
            future.result(10)
        size = folder.segment(1).stat().st_size
        assert len(calls) == 2
        assert calls[1] == size
        assert log.sync().done()  # there is nothing to do


def test_a_segment_is_on_the_disk_before_the_next_one_begins(
    folder: OnlineFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, synced = os.fdatasync, []

    def noted(fd: int) -> None:
        synced.append((os.fstat(fd).st_ino, os.fstat(fd).st_size, folder.segment(2).exists()))
        whole(fd)

    with opened(folder, segment_bytes=60) as log:
        monkeypatch.setattr(os, "fdatasync", noted)
        for name in "abc":
            log.append(record(name))
        first = folder.segment(1).stat()
        assert synced == [(first.st_ino, first.st_size, False)]


def test_a_segment_that_is_closed_while_it_is_read_is_read_to_its_end(
    folder: OnlineFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pread = os.pread
    with opened(folder, segment_bytes=60) as log:

        def slow(fd: int, size: int, at: int) -> bytes:
            found = pread(fd, size, at)
            while log.sequence < 4:
                log.append(record("abcd"[log.sequence]))
            return found

        monkeypatch.setattr(os, "pread", slow)
        reader = tail(folder, 0)
        assert [text and name_of(text) for text in (next(reader) for _ in range(6))] == [None, *"abcd", None]


def test_a_sync_that_failed_is_told_to_all_and_writes_again_what_the_kernel_may_have_lost(
    folder: OnlineFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, pwrite = os.fdatasync, os.pwrite
    written: list[tuple[int, bytes]] = []
    broken = OSError(errno.EIO, "Input/output error")

    def fails(fd: int) -> None:
        raise broken

    def noted(fd: int, data: bytes, at: int) -> int:
        written.append((at, data))
        return pwrite(fd, data, at)

    with opened(folder) as log:
        log.append(record("a"))
        log.sync().result(10)
        kept = folder.segment(1).stat().st_size
        monkeypatch.setattr(os, "fdatasync", fails)
        log.append(record("b"))
        with pytest.raises(SurroundingsError, match=r"00000001\.log cannot be written: Input/output error"):
            log.sync().result(10)
        assert "Input/output" in log.trouble
        log.append(record("c"))
        monkeypatch.setattr(os, "fdatasync", whole)
        monkeypatch.setattr(os, "pwrite", noted)
        log.sync().result(10)
        assert written == [(kept, folder.segment(1).read_bytes()[kept:])]
        assert log.trouble == ""
        log.append(record("d"))
        log.sync().result(10)
        assert len(written) == 2
    assert names(there(folder)) == "abcd"


def test_records_that_the_disk_has_lost_are_never_acknowledged(
    folder: OnlineFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.fdatasync

    def loses(fd: int) -> None:
        os.pwrite(fd, b"\0" * 8, 0)
        raise OSError(errno.EIO, "Input/output error")

    with opened(folder) as log:
        monkeypatch.setattr(os, "fdatasync", loses)
        log.append(record("a"))
        with pytest.raises(SurroundingsError, match="Input/output error"):
            log.sync().result(10)
        monkeypatch.setattr(os, "fdatasync", whole)
        for _ in range(2):
            with pytest.raises(SurroundingsError, match="at byte 0: the disk has lost records"):
                log.sync().result(10)


def test_what_could_not_be_written_is_undone_before_the_next(
    folder: OnlineFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite, ftruncate = os.pwrite, os.ftruncate
    full = OSError(errno.ENOSPC, "No space left on device")

    def half(fd: int, data: bytes, at: int) -> int:
        if len(data) > 20:
            return pwrite(fd, data[:20], at)
        raise full

    def fails(fd: int, size: int) -> None:
        raise full

    with opened(folder) as log:
        log.append(record("a"))
        monkeypatch.setattr(os, "pwrite", half)
        monkeypatch.setattr(os, "ftruncate", fails)
        for _ in range(2):
            with pytest.raises(NoSpace, match="no space left"):
                log.append(record("b"))
        assert names(there(folder)) == "a"
        assert "no space left" in log.trouble
        monkeypatch.setattr(os, "pwrite", pwrite)
        with pytest.raises(NoSpace, match="no space left"):
            log.append(record("b"))
        monkeypatch.setattr(os, "ftruncate", ftruncate)
        assert log.append(record("c")) == 2
        assert log.trouble == ""
    assert names(there(folder)) == "ac"


def test_where_the_next_segment_cannot_be_made_this_one_goes_on(
    folder: OnlineFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(folder, segment_bytes=60) as log:
        monkeypatch.setattr(lines, "create", fails)
        for name in "abcdef":
            log.append(record(name))
        log.sync().result(10)
        assert log.number == 1
    assert names(there(folder)) == "abcdef"


def test_a_snapshot_can_make_durable_what_it_has_learnt(folder: OnlineFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    make_durable(folder)
    filled(folder, "abcd", segment_bytes=60)
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(os.fstat(fd).st_ino))
    make_durable(folder)
    assert synced == [folder.segment(2).stat().st_ino]


def write_for_ever(place: str, known: str) -> None:
    """Append records of many sizes, now and then acknowledged in the file `known`, until killed."""
    random = Random(len(known) + os.getpid())
    with opened(OnlineFolder(Path(place)), segment_bytes=20_000) as log, Path(known).open("ab", buffering=0) as told:
        while True:
            for _ in range(random.randrange(1, 30)):
                log.append(record(str(log.sequence + 1), random.choice([0, 50, 400, 9_000])))
            upto = log.sequence
            log.sync().result()
            told.write(b"%d\n" % upto)


@contextmanager
def writing(folder: OnlineFolder, known: Path) -> Iterator[subprocess.Popen[bytes]]:
    code = f"from tests.online.test_log import *; write_for_ever({str(folder.root)!r}, {str(known)!r})"
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def test_a_reader_in_another_process_sees_all_once_in_order_whatever_kills_the_writer(
    folder: OnlineFolder, tmp_path: Path
) -> None:
    known, random = tmp_path / "known", Random(5)
    reader = tail(folder, 0)
    read = 0

    def read_on(until_s: float) -> int:
        """Read until a moment, and from then on to the end; return how many records there were so far."""
        count = read
        while (text := next(reader)) is not None or time.monotonic() < until_s:
            if text is None:
                time.sleep(0.001)
                continue
            count += 1
            assert (sequence_of(text), name_of(text)) == (count, str(count))
        return count

    for _ in range(3):
        before = known.stat().st_size if known.exists() else 0
        with writing(folder, known) as child:
            deadline_s = time.monotonic() + 60
            while not known.exists() or known.stat().st_size == before:
                assert time.monotonic() < deadline_s
                read = read_on(time.monotonic() + 0.005)
            read = read_on(time.monotonic() + random.uniform(0.0, 0.25))
            child.send_signal(signal.SIGKILL)
            child.wait()
        acknowledged = int(known.read_bytes().split(b"\n")[-2])
        read = read_on(0)
        assert acknowledged <= read <= newest(folder)
    assert len(list(folder.log.glob("*.log"))) > 3
    seen: list[bytes] = []
    with opened(folder, seen) as log:
        assert [sequence_of(text) for text in seen] == [*range(1, log.sequence + 1)]
        assert log.sequence >= acknowledged
