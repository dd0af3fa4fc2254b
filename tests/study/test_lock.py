"""One living writer per study, with real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from search.errors import ExitCode, RefusedError, SurroundingsError
from search.study.holder import Holder
from search.study.lock import FILE_NAME, acquire, living_holder, read_holder

REPOSITORY = Path(__file__).parents[2]

HOLD = textwrap.dedent("""
    import pathlib, subprocess, sys, time
    from search.errors import RefusedError
    from search.study.lock import acquire
    try:
        lock = acquire(pathlib.Path(sys.argv[1]), study="a")
    except RefusedError as error:
        print("refused", error.sentence(), flush=True)
        sys.exit(error.code)
    print("held", flush=True)
    sys.stdin.readline()
    lock.release()
""")


@pytest.fixture
def start() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Start processes that take the lock and keep it until their input ends."""
    with ExitStack() as stack:

        def begin(folder: Path) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", HOLD, folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield begin


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_held_lock_is_refused_with_its_holder_and_exit_code_4(
    tmp_path: Path, start: Callable[[Path], subprocess.Popen[str]]
) -> None:
    holder = start(tmp_path)
    assert said(holder) == "held"
    with pytest.raises(RefusedError) as caught:
        acquire(tmp_path, study="a")
    since = datetime.now().strftime("%H:%M")
    minute_before = (datetime.now() - timedelta(minutes=1)).strftime("%H:%M")
    assert caught.value.code is ExitCode.REFUSED
    assert caught.value.sentence() in {
        f"study 'a' is being run by pid {holder.pid} on {socket.gethostname()} since {when}; `sweep watch a` shows it"
        for when in (since, minute_before)
    }
    assert living_holder(tmp_path) == read_holder(tmp_path)


def test_a_lock_of_a_killed_process_is_taken_at_once_and_its_holder_named(
    tmp_path: Path, start: Callable[[Path], subprocess.Popen[str]]
) -> None:
    holder = start(tmp_path)
    assert said(holder) == "held"
    holder.kill()
    holder.wait()
    assert living_holder(tmp_path) is None
    with acquire(tmp_path, study="a") as lock:
        assert lock.predecessor is not None
        assert lock.predecessor.pid == holder.pid
    assert not (tmp_path / FILE_NAME).exists()


def test_a_stopped_holder_keeps_its_lock(tmp_path: Path, start: Callable[[Path], subprocess.Popen[str]]) -> None:
    holder = start(tmp_path)
    assert said(holder) == "held"
    holder.send_signal(signal.SIGSTOP)
    old = time.time() - 86_400
    os.utime(tmp_path / FILE_NAME, (old, old))
    with pytest.raises(RefusedError):
        acquire(tmp_path, study="a")


def test_of_many_that_start_at_once_one_gets_it(tmp_path: Path, start: Callable[[Path], subprocess.Popen[str]]) -> None:
    processes = [start(tmp_path) for _ in range(6)]
    answers = [said(process) for process in processes]
    assert sorted(answer.split()[0] for answer in answers) == ["held"] + ["refused"] * 5
    winner = processes[answers.index("held")]
    assert all(f"pid {winner.pid} on" in answer for answer in answers if answer != "held")


def test_a_released_lock_leaves_no_file_and_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(3):
        lock = acquire(tmp_path, study="a")
        assert (tmp_path / FILE_NAME).exists()
        lock.release()
        lock.release()
        assert lock.predecessor is None
        assert list(tmp_path.iterdir()) == []


def test_the_same_process_cannot_take_it_twice(tmp_path: Path) -> None:
    with acquire(tmp_path, study="a"), pytest.raises(RefusedError, match=f"pid {os.getpid()} "):
        acquire(tmp_path, study="a")


def test_a_forked_child_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    lock = acquire(tmp_path, study="a")
    ready, go_on = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(ready, 1)  # outlives the parent's lock
        lock.release()
        os._exit(0)
    try:
        with pytest.raises(RefusedError):
            acquire(tmp_path, study="a")
        lock.release()
        with acquire(tmp_path, study="a"):
            os.write(go_on, b"x")
            os.waitpid(child, 0)
            with pytest.raises(RefusedError):  # the child's release takes nothing away
                acquire(tmp_path, study="a")
    finally:
        os.close(ready)
        os.close(go_on)


def test_a_program_started_by_the_holder_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock = acquire(tmp_path, study="a")
    with subprocess.Popen(["sleep", "30"], close_fds=False) as child:
        lock.release()
        acquire(tmp_path, study="a").release()
        child.kill()


@pytest.mark.parametrize("record", [b"", b"{", b"\0\0", b"[]", b'{"pid":1}', b"\xff" * 5000])
def test_an_unreadable_record_of_nobody_is_taken_over(tmp_path: Path, record: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(record)
    assert living_holder(tmp_path) is None
    with acquire(tmp_path, study="a") as lock:
        assert lock.predecessor is None
        assert json.loads((tmp_path / FILE_NAME).read_bytes())["pid"] == os.getpid()


def test_a_reused_pid_is_not_taken_for_the_holder(tmp_path: Path) -> None:
    stranger = Holder(socket.gethostname(), os.getpid(), started=1.0, since=1.0)
    assert stranger.is_alive() is False


def test_of_a_holder_on_another_machine_only_the_lock_can_tell(tmp_path: Path) -> None:
    record = {"host": "node-of-a-test", "pid": 1, "started": 1.0, "since": 1.0}
    (tmp_path / FILE_NAME).write_text(json.dumps(record))
    assert living_holder(tmp_path) is None
    with acquire(tmp_path, study="a"):
        (tmp_path / FILE_NAME).write_text(json.dumps(record))
        assert living_holder(tmp_path) == Holder(**record)  # type: ignore[arg-type]
        with pytest.raises(RefusedError, match="by pid 1 on node-of-a-test since 1970-01-01 "):
            acquire(tmp_path, study="a")


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SurroundingsError, match="cannot be written: Not a directory"):
        acquire(tmp_path / "file" / "study", study="a")
