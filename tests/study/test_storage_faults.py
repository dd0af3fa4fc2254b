"""A journal through torn ends, flipped bits, full disks and failing writes."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from search.errors import SurroundingsError
from search.study import checksum, journal_file
from search.study.checksum import Checkpoint
from search.study.storage import StudyStorage, open_for_reading, open_for_writing
from tests.study.studies import add_trials, content, flat_space, open_study


def write_journal(folder: Path, *, trials: int = 3, synced: bool = True) -> Path:
    """Make a journal; without `synced` it has no checksum, as one of plain Optuna."""
    journal = folder / "study.journal"
    storage = open_for_writing(journal, study="a")
    study = open_study(storage.optuna)
    for _ in range(trials):
        add_trials(study, 1, space=flat_space)
        if synced:
            storage.sync()
    storage.close()
    if not synced:
        checksum.path_of(journal).unlink()
    return journal


def plain(journal: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(journal)))


def last_line_starts(data: bytes, count: int) -> int:
    """Return where the last `count` lines begin."""
    at = len(data)
    for _ in range(count):
        at = data.rfind(b"\n", 0, at - 1) + 1
    return at


@pytest.fixture
def memory_folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder in memory where there is one: thousands of syncs to a disk take long."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.parametrize(("synced", "records"), [(True, 3), (False, 1)])
def test_a_journal_torn_at_any_byte_goes_on_and_stays_readable_by_plain_optuna(
    memory_folder: Path, synced: bool, records: int
) -> None:
    source = write_journal(memory_folder, synced=synced)
    whole = source.read_bytes()
    for size in range(last_line_starts(whole, records), len(whole)):
        folder = memory_folder / "torn"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        journal = folder / "study.journal"
        journal.write_bytes(whole[:size])
        if synced:
            shutil.copy(checksum.path_of(source), checksum.path_of(journal))
        kept = whole[: whole.rfind(b"\n", 0, size) + 1]

        storage = open_for_writing(journal, study="a")
        assert journal.read_bytes() == kept
        torn = list(folder.glob("*.torn-*"))
        assert [file.read_bytes() for file in torn] == ([whole[len(kept) : size]] if size > len(kept) else [])
        assert (len(storage.notes) > 0) == (size > len(kept) or synced)
        before = len(content(storage.optuna))
        add_trials(open_study(storage.optuna), 10, space=flat_space)
        storage.close()

        again = open_for_writing(journal, study="a")
        assert again.notes == ()
        assert [trial[0] for trial in content(again.optuna)] == list(range(before + 10))
        assert content(again.optuna) == content(plain(journal))
        again.close()


@pytest.mark.parametrize(
    "tail",
    [b"\0" * 4096, b"\n", b'{"op_code":\n', b"[1]\n", b"7\n\n\n", b'{"x":1}\n', b"\r\n", b"{" * 100_000, b"\xff\xfe\n"],
)
def test_rubbish_behind_the_last_record_is_cut_and_kept(tmp_path: Path, tail: bytes) -> None:
    journal = write_journal(tmp_path)
    whole = journal.read_bytes()
    journal.write_bytes(whole + tail)
    reader = content(open_for_reading(journal))
    assert journal.read_bytes() == whole + tail
    storage = open_for_writing(journal, study="a")
    assert content(storage.optuna) == reader
    storage.close()
    assert journal.read_bytes() == whole
    assert (tmp_path / "study.journal.torn-1").read_bytes() == tail


def test_torn_bytes_never_overwrite_those_kept_before(tmp_path: Path) -> None:
    journal = write_journal(tmp_path)
    for tail in (b"one", b"two"):
        with journal.open("ab") as file:
            file.write(tail)
        open_for_writing(journal, study="a").close()
    assert (tmp_path / "study.journal.torn-1").read_bytes() == b"one"
    assert (tmp_path / "study.journal.torn-2").read_bytes() == b"two"


@pytest.mark.parametrize("damage", [b"x", b"\n", b"}\n{", b"\0\0\0"])
def test_damage_before_the_last_record_is_refused_with_its_place(tmp_path: Path, damage: bytes) -> None:
    journal = write_journal(tmp_path, synced=False)
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3][:5] + damage + lines[3][5:]
    journal.write_bytes(b"".join(lines))
    before, offset = journal.read_bytes(), len(b"".join(lines[:3]))
    for opening in (open_for_reading, lambda path: open_for_writing(path, study="a")):
        with pytest.raises(SurroundingsError) as caught:
            opening(journal)
        assert f"{journal} is damaged in line 4 (byte {offset}): " in caught.value.message
    assert journal.read_bytes() == before
    assert not (tmp_path / "study.lock").exists()


@pytest.mark.parametrize(
    "record",
    [
        b'{"op_code":99}',
        b'{"op_code":4}',
        b'{"op_code":"4","worker_id":"w"}',
        b'{"op_code":6,"worker_id":"w","trial_id":0,"state":77}',
        b'{"op_code":4,"worker_id":"w","study_id":0,"datetime_start":"yesterday"}',
        b'{"op_code":4,"worker_id":"w","study_id":[],"datetime_start":null}',
    ],
)
def test_a_record_that_optuna_never_writes_is_refused_with_its_place(tmp_path: Path, record: bytes) -> None:
    journal = write_journal(tmp_path, synced=False)
    lines = journal.read_bytes().splitlines(keepends=True)
    lines.insert(2, record + b"\n")
    journal.write_bytes(b"".join(lines))
    for opening in (open_for_reading, lambda path: open_for_writing(path, study="a")):
        with pytest.raises(SurroundingsError, match=r"damaged in line 3 \(byte \d+\): no record of a study"):
            opening(journal)


def flips(data: bytes, count: int) -> Iterator[bytes]:
    """Yield `data` with one bit flipped, at seeded places."""
    chance = random.Random(7)
    for _ in range(count):
        changed = bytearray(data)
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        yield bytes(changed)


def test_every_flipped_bit_of_what_was_synced_is_refused(tmp_path: Path) -> None:
    journal = write_journal(tmp_path)
    for changed in flips(journal.read_bytes(), 300):
        journal.write_bytes(changed)
        for opening in (open_for_reading, lambda path: open_for_writing(path, study="a")):
            with pytest.raises(SurroundingsError, match=r"is damaged in line \d+ \(byte \d+\)"):
                opening(journal)


def test_the_hint_of_a_damaged_journal_names_the_command_that_mends_it(tmp_path: Path) -> None:
    folder = tmp_path / "my study"
    folder.mkdir()
    journal = write_journal(folder, trials=6)
    journal.write_bytes(next(flips(journal.read_bytes(), 1)))
    with pytest.raises(SurroundingsError) as caught:
        open_for_reading(journal)
    assert caught.value.hint == ("`sweep doctor 'my study' --repair` keeps what stands before and puts the rest aside")


def test_a_flipped_bit_without_a_checksum_opens_or_is_refused_and_never_raises_otherwise(tmp_path: Path) -> None:
    journal = write_journal(tmp_path, synced=False)
    for changed in flips(journal.read_bytes(), 300):
        journal.write_bytes(changed)
        with contextlib.suppress(SurroundingsError):
            open_for_reading(journal)
        with contextlib.suppress(SurroundingsError):
            open_for_writing(journal, study="a").close()
        checksum.path_of(journal).unlink(missing_ok=True)


@pytest.mark.parametrize(
    "content_of_sum", [b"", b"\0\0\0", b"{}\n", b'{"offset":10', b'{"offset":"1","crc32":2}\n', b"[]\n7\n"]
)
def test_an_unreadable_checksum_vouches_for_nothing(tmp_path: Path, content_of_sum: bytes) -> None:
    journal = write_journal(tmp_path)
    checksum.path_of(journal).write_bytes(content_of_sum)
    storage = open_for_writing(journal, study="a")
    assert len(content(storage.optuna)) == 3
    assert storage.notes == ()
    storage.close()


def test_the_checksum_file_stays_short(tmp_path: Path) -> None:
    journal = write_journal(tmp_path, trials=300, synced=False)
    whole = journal.read_bytes()
    for entry in journal_file.entries(journal):
        checksum.add(journal, Checkpoint(entry.end, zlib.crc32(whole[: entry.end])))
    assert len(checksum.load(journal)) == 1201
    open_for_writing(journal, study="a").close()
    kept = [one.offset for one in checksum.load(journal)]
    assert 400 < len(kept) <= 500
    assert max(after - before for before, after in pairwise([0, *kept])) < len(whole) / 100
    assert journal_file.examine(journal, checksum.load(journal)).end == len(whole)


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no write of this process go beyond `size` bytes of a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def begun_trial(folder: Path) -> tuple[StudyStorage, Path, int]:
    journal = folder / "study.journal"
    storage = open_for_writing(journal, study="a")
    study = open_study(storage.optuna)
    add_trials(study, 1, space=flat_space)
    return storage, journal, storage.optuna.create_new_trial(study._study_id)


def test_a_write_that_fails_half_way_leaves_no_trace_in_file_or_memory(tmp_path: Path) -> None:
    storage, journal, trial_id = begun_trial(tmp_path)
    before, known = journal.read_bytes(), content(storage.optuna)
    for written in range(0, 120, 7):
        with file_size_limit(len(before) + written), pytest.raises(SurroundingsError, match="cannot be written"):
            storage.optuna.set_trial_system_attr(trial_id, "sweep:end", {"text": "x" * 200})
        assert journal.read_bytes() == before
        assert content(storage.optuna) == known
    storage.optuna.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    storage.close()
    again = open_for_writing(journal, study="a")
    assert again.notes == ()
    assert content(again.optuna) == content(plain(journal)) == content(open_for_reading(journal))
    assert [trial[1] for trial in content(again.optuna)] == [TrialState.COMPLETE] * 2
    again.close()


def test_after_a_batch_that_could_not_be_written_nothing_is_answered_until_the_study_is_opened_again(
    tmp_path: Path,
) -> None:
    storage, journal, trial_id = begun_trial(tmp_path)
    before = journal.read_bytes()
    with file_size_limit(len(before) + 50), pytest.raises(SurroundingsError), storage.batch():
        storage.optuna.set_trial_intermediate_value(trial_id, 1, 0.5)
    for call in (
        lambda: storage.optuna.get_trial(trial_id),
        lambda: storage.optuna.set_trial_intermediate_value(trial_id, 2, 0.5),
        storage.sync,
    ):
        with pytest.raises(SurroundingsError, match="its last batch was not written"):
            call()
    storage.close()
    assert journal.read_bytes() == before
    again = open_for_writing(journal, study="a")
    assert again.optuna.get_trial(trial_id).intermediate_values == {}
    again.close()


def test_a_journal_cut_by_another_program_is_not_written_to(tmp_path: Path) -> None:
    storage, journal, trial_id = begun_trial(tmp_path)
    os.truncate(journal, 100)
    with pytest.raises(SurroundingsError, match=r"was changed by another program: expected \d+ bytes, found 100"):
        storage.optuna.set_trial_intermediate_value(trial_id, 1, 0.5)
    assert journal.stat().st_size == 100


def test_a_journal_that_was_removed_meanwhile_is_noticed_at_the_next_sync(tmp_path: Path) -> None:
    storage, journal, trial_id = begun_trial(tmp_path)
    journal.unlink()
    storage.optuna.set_trial_intermediate_value(trial_id, 1, 0.5)
    with pytest.raises(SurroundingsError, match="it was removed or replaced while the study ran"):
        storage.sync()
    storage.close()


TELL_FOREVER = textwrap.dedent("""
    import pathlib, sys
    from search.study.storage import open_for_writing
    from tests.study.studies import add_trials, open_study

    storage = open_for_writing(pathlib.Path(sys.argv[1]), study="a")
    study = open_study(storage.optuna)
    while True:
        add_trials(study, 1)
        print("told", flush=True)
""")


def test_a_killed_writer_loses_no_told_trial_and_leaves_no_lock_to_wait_for(tmp_path: Path) -> None:
    journal, told = tmp_path / "study.journal", 0
    for count in (1, 17, 60):
        with subprocess.Popen(
            [sys.executable, "-c", TELL_FOREVER, journal],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        ) as writer:
            assert writer.stdout is not None
            for _ in range(count):
                assert writer.stdout.readline() == "told\n"
            writer.kill()
            told += count + len(writer.stdout.readlines())
        storage = open_for_writing(journal, study="a")
        trials = content(storage.optuna)
        assert [trial[0] for trial in trials] == list(range(len(trials)))
        assert sum(trial[1] is TrialState.COMPLETE for trial in trials) >= told
        assert content(plain(journal)) == trials
        storage.close()


DISK_FULL = textwrap.dedent("""
    import pathlib, sys
    from search.errors import SurroundingsError
    from search.study.storage import open_for_writing
    from tests.study.studies import add_trials, content, open_study

    folder = pathlib.Path(sys.argv[1])
    for filler_kb in range(0, 60, 4):  # the disk fills up at another byte each time
        for file in folder.iterdir():
            file.unlink()
        (folder / "filler").write_bytes(b"x" * filler_kb * 1024)
        storage = open_for_writing(folder / "study.journal", study="a")
        study = open_study(storage.optuna)
        told = 0
        try:
            while True:
                add_trials(study, 1)
                told += 1
        except SurroundingsError as error:
            assert error.message.startswith(f"no space left on {folder}: 0.0 MB free"), error.message
        (folder / "filler").unlink()
        (folder / "study.journal.sum").unlink(missing_ok=True)
        known = content(storage.optuna)
        assert sum(trial[2] is not None for trial in known) == told
        storage.close()
        again = open_for_writing(folder / "study.journal", study="a")
        assert again.notes == () and content(again.optuna) == known
        again.close()
    print("told", told)
""")


def test_a_full_disk_is_one_sentence_and_costs_no_told_trial(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = f'mount -t tmpfs -o size=128k tmpfs "{disk}" && exec "$0" - "{disk}"'
    user = [] if os.geteuid() == 0 else ["-r"]
    if subprocess.run(["unshare", *user, "-m", "mount", "-t", "tmpfs", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a small disk")
    ended = subprocess.run(
        ["unshare", *user, "-m", "sh", "-c", command, sys.executable],
        input=DISK_FULL,
        text=True,
        capture_output=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("told ")
