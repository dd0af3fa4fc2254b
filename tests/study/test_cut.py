"""A damaged journal is mended: what stands before the damage stays, what comes behind is kept aside."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.errors import RefusedError, SurroundingsError
from search.study import bitflip, checksum, damage, journal_file
from search.study.cut import Mended, mend
from search.study.lock import acquire
from search.study.loss import numbers
from search.study.storage import open_for_reading, open_for_writing
from tests.study.studies import add_trials, content, flat_space, open_study

TRIALS = 8


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder in memory where there is one: thousands of syncs to a disk take long."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as name:
        yield Path(name)


def write_journal(folder: Path, *, synced: bool = True) -> Path:
    """Make a journal of some trials; without `synced` it has no checksum, as one of plain Optuna."""
    journal = folder / "study.journal"
    storage = open_for_writing(journal, study="a")
    study = open_study(storage.optuna)
    for _ in range(TRIALS):
        add_trials(study, 1, space=flat_space)
        storage.sync()
    storage.close()
    if not synced:
        checksum.path_of(journal).unlink()
    return journal


def fresh(source: Path, name: str, data: bytes) -> Path:
    """Return a journal of these bytes, in a folder of its own, with the checksum of `source`."""
    folder = source.parent / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    journal = folder / source.name
    journal.write_bytes(data)
    if checksum.path_of(source).exists():
        shutil.copy(checksum.path_of(source), checksum.path_of(journal))
    return journal


def is_refused(journal: Path) -> bool:
    try:
        open_for_reading(journal)
    except SurroundingsError:
        return True
    return False


def mended(journal: Path) -> Mended:
    done = mend(journal, study="a")
    assert done is not None
    return done


def trials_of(journal: Path) -> list[tuple[Any, ...]]:
    """Return the content of a journal, [] of one that has lost the study itself."""
    try:
        return content(open_for_reading(journal))
    except KeyError:
        return []


def goes_on(journal: Path) -> None:
    """Assert that a journal opens, takes ten trials, and opens again, here and in plain Optuna."""
    before = len(trials_of(journal))
    storage = open_for_writing(journal, study="a")
    assert storage.notes == ()
    add_trials(open_study(storage.optuna), 10, space=flat_space)
    storage.close()
    again = open_for_writing(journal, study="a")
    assert again.notes == ()
    found = content(again.optuna)
    again.close()
    assert [trial[0] for trial in found] == list(range(before + 10))
    assert found == content(JournalStorage(JournalFileBackend(str(journal))))
    assert damage.examine(journal).damage is None


def test_each_of_300_flipped_bits_is_put_back_and_costs_nothing(folder: Path) -> None:
    source = write_journal(folder)
    whole, chance = source.read_bytes(), random.Random(11)
    for _ in range(300):
        changed = bytearray(whole)
        at, mask = chance.randrange(len(whole)), 1 << chance.randrange(8)
        changed[at] ^= mask
        journal = fresh(source, "flipped", bytes(changed))
        assert is_refused(journal)
        done = mended(journal)
        assert [one.flip for one in done.damage] == [bitflip.Flip(at, mask)]
        assert journal.read_bytes() == whole
        assert (journal.parent / done.kept_in).read_bytes() in bytes(changed)
        goes_on(journal)


@pytest.mark.parametrize("synced", [True, False])
def test_bytes_overwritten_anywhere_are_cut_and_nothing_before_them_is_lost(folder: Path, synced: bool) -> None:
    source = write_journal(folder, synced=synced)
    whole, chance = source.read_bytes(), random.Random(5)
    known = content(open_for_reading(source))
    ends = [0, *(one.offset for one in checksum.load(source))]
    for _ in range(100):
        at, length = chance.randrange(len(whole)), chance.choice([2, 3, 40, 4096])
        changed = whole[:at] + chance.randbytes(length)[: len(whole) - at] + whole[at + length :]
        journal = fresh(source, "overwritten", changed)
        refused, done = is_refused(journal), mend(journal, study="a")
        assert refused == bool(done and done.damage)
        kept = journal.read_bytes()
        assert whole.startswith(kept) or not synced
        if done and done.damage:
            assert (journal.parent / done.kept_in).read_bytes() == changed[len(kept) :]
            assert done.bytes == len(changed) - len(kept)
            assert done.loss is not None
            count = len(trials_of(journal))
            assert done.loss.gone == tuple(range(count, count + len(done.loss.gone)))
            if synced:  # no more is lost than what was synced together with what has changed
                assert max(one for one in ends if one <= at) <= len(kept) <= at
                assert [trial for trial in trials_of(journal) if trial[2]] == [
                    trial for trial in known[:count] if trial in trials_of(journal)
                ]
        goes_on(journal)
        assert mend(journal, study="a") is None


def broken_line(lines: list[bytes]) -> None:
    lines[13] = lines[13][:9] + b"\n" + lines[13][9:]


def zeros(lines: list[bytes]) -> None:
    lines[13] = b"\0" * len(lines[13])


def strange_record(lines: list[bytes]) -> None:
    lines.insert(13, b'{"op_code":99,"worker_id":"w"}\n')


def fields_missing(lines: list[bytes]) -> None:
    lines.insert(13, b'{"op_code":4,"worker_id":"w"}\n')


def line_gone(lines: list[bytes]) -> None:
    del lines[13]


def line_twice(lines: list[bytes]) -> None:
    lines.insert(13, lines[13])


def lines_swapped(lines: list[bytes]) -> None:
    lines[13], lines[17] = lines[17], lines[13]


def value_changed(lines: list[bytes]) -> None:
    lines[15] = lines[15].replace(b'"intermediate_value":', b'"intermediate_value":7')


KINDS = [broken_line, zeros, strange_record, fields_missing, line_gone, line_twice, lines_swapped, value_changed]
VISIBLE = {broken_line, zeros, strange_record, fields_missing}


@pytest.mark.parametrize("synced", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_damage_that_opening_refuses_is_mended(
    folder: Path, kind: Callable[[list[bytes]], None], synced: bool
) -> None:
    journal = write_journal(folder, synced=synced)
    lines = journal.read_bytes().splitlines(keepends=True)
    kind(lines)
    found = b"".join(lines)
    journal.write_bytes(found)
    assert is_refused(journal) == (synced or kind in VISIBLE)
    done = mend(journal, study="a")
    if not synced and kind not in VISIBLE:
        assert done is None
        return
    assert done is not None
    kept = journal.read_bytes()
    assert kept == b"".join(lines[:13])  # the study is a line, and each of the 3 trials before has four
    assert kept + (folder / "study.journal.cut-1").read_bytes() == found
    assert done.loss is not None
    assert {*done.loss.gone} >= {*range(3, TRIALS)}
    assert done.loss.gone[0] == len(trials_of(journal)) == 3
    goes_on(journal)


def test_what_is_lost_is_told_by_trials(folder: Path) -> None:
    journal = write_journal(folder, synced=False)
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[15] = b"}\n"  # of trial 3: the study is line 1, a trial has four lines
    journal.write_bytes(b"".join(lines))
    done, size = mended(journal), len(b"".join(lines[15:]))
    (told,) = done.sentences()
    assert told == (
        f"cut {size:,} bytes (17 readable records), kept in study.journal.cut-1; "
        "trials 4 to 7 are no longer in it, trial 3 lost what was stored last"
    )


def test_a_record_that_made_a_trial_and_cannot_be_read_hides_no_loss(folder: Path) -> None:
    journal = write_journal(folder, synced=False)
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[-4] = b"}\n"
    journal.write_bytes(b"".join(lines))
    assert mended(journal).sentences()[0].endswith("; trial 7 is no longer in it")


def test_a_study_whose_first_record_is_damaged_is_lost_as_a_whole_and_kept_aside(folder: Path) -> None:
    journal = write_journal(folder, synced=False)
    found = b"x" + journal.read_bytes()
    journal.write_bytes(found)
    told = mended(journal).sentences()[0]
    assert told.endswith("; the study itself is no longer in it, trials 0 to 7 are no longer in it")
    assert journal.read_bytes() == b""
    assert (folder / "study.journal.cut-1").read_bytes() == found
    goes_on(journal)


def test_what_was_kept_before_is_never_overwritten(folder: Path) -> None:
    journal = write_journal(folder, synced=False)
    for number in (1, 2, 3):
        lines = journal.read_bytes().splitlines(keepends=True)
        checksum.path_of(journal).unlink(missing_ok=True)
        journal.write_bytes(b"".join([*lines[:-1], b"x", lines[-1], lines[-1]]))
        assert mended(journal).kept_in == f"study.journal.cut-{number}"
    assert len({file.read_bytes() for file in folder.glob("*.cut-*")}) == 3


def test_folders_of_lost_trials_are_put_aside_so_that_no_later_trial_goes_on_from_them(folder: Path) -> None:
    journal = write_journal(folder, synced=False)
    for name in ("00000", "00003", "00004", "00007", "00011", "notes"):
        (folder / "trials" / name).mkdir(parents=True)
        (folder / "trials" / name / "log.txt").write_text(name)
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[15] = b"}\n"
    journal.write_bytes(b"".join(lines))
    done = mended(journal)
    assert sorted(path.name for path in (folder / "trials").iterdir()) == ["00000", "00003", "notes"]
    assert {path.parent.name: path.read_text() for path in (folder / "trials.cut-1").rglob("log.txt")} == {
        name: name for name in ("00004", "00007", "00011")
    }
    assert done.loss is not None
    assert done.loss.gone == (4, 5, 6, 7, 11)
    assert done.sentences()[1] == "the folders of trials that are no longer in it are kept in trials.cut-1"


def test_a_torn_end_is_cut_as_opening_would_do_it(folder: Path) -> None:
    journal = write_journal(folder)
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":')
    assert damage.examine(journal).torn == 11
    done = mended(journal)
    assert done.sentences() == ["study.journal ended in a torn record; its 11 bytes are kept in study.journal.torn-1"]
    assert journal.read_bytes() == whole
    goes_on(journal)


def test_a_whole_journal_is_left_alone(folder: Path) -> None:
    journal = write_journal(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert mend(journal, study="a") is None
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_each_flipped_bit_of_the_checksum_costs_no_trial(folder: Path) -> None:
    source = write_journal(folder)
    whole, sums, chance = source.read_bytes(), checksum.path_of(source).read_bytes(), random.Random(3)
    last = sums.rfind(b"\n", 0, -1) + 1
    for place in [*(chance.randrange(len(sums)) for _ in range(100)), *range(last, len(sums))]:
        changed = bytearray(sums)
        changed[place] ^= 1 << chance.randrange(8)
        journal = fresh(source, "sums", whole)
        checksum.path_of(journal).write_bytes(changed)
        mend(journal, study="a")
        assert journal.read_bytes() == whole
        assert not [*journal.parent.glob("*.cut-*")]
        goes_on(journal)


def test_two_faults_in_the_checksum_and_the_journal_are_told_apart(folder: Path) -> None:
    journal = write_journal(folder)
    sums = checksum.path_of(journal).read_bytes().splitlines(keepends=True)
    ends = [one.offset for one in checksum.load(journal)]
    sums[-3] = sums[-3].replace(b"32", b"22")
    changed = bytearray(journal.read_bytes())
    changed[ends[-2] + 50] ^= 4
    changed[ends[-2] + 90] ^= 4
    journal.write_bytes(changed)
    checksum.path_of(journal).write_bytes(b"".join(sums))
    mended(journal)
    assert journal.read_bytes() == bytes(changed[: ends[-2]])
    goes_on(journal)


def test_a_study_that_is_being_run_is_not_touched(folder: Path) -> None:
    journal = write_journal(folder)
    journal.write_bytes(b"x" + journal.read_bytes())
    before = journal.read_bytes()
    with acquire(folder, study="a"), pytest.raises(RefusedError, match="is being run by pid"):
        mend(journal, study="a")
    assert journal.read_bytes() == before


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


@pytest.mark.parametrize("size", [300, 500, 1000])  # the lock, which is written first, is shorter
def test_a_full_disk_leaves_the_journal_as_it_was(folder: Path, size: int) -> None:
    journal = write_journal(folder, synced=False)
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[15] = b"}\n"
    found = b"".join(lines)
    journal.write_bytes(found)
    (folder / "trials" / "00004").mkdir(parents=True)
    with file_size_limit(size), pytest.raises(SurroundingsError, match="cannot be written"):
        mend(journal, study="a")
    assert journal.read_bytes() == found
    assert sorted(path.name for path in folder.iterdir()) == ["study.journal", "trials"]
    assert mended(journal).bytes > 0
    goes_on(journal)


def test_a_kill_at_any_moment_leaves_it_to_be_mended(folder: Path) -> None:
    """Every state that a kill can leave: a half copy, a whole one, folders moved, cut but with the old checksum."""
    source = write_journal(folder)
    lines = source.read_bytes().splitlines(keepends=True)
    lines[15] = b"}" * len(lines[15])
    found, start = b"".join(lines), len(b"".join(lines[:15]))

    def half_copied(journal: Path) -> None:
        journal.with_name(".study.journal.cut.tmp").write_bytes(found[start : start + 50])

    def copied(journal: Path) -> None:
        journal.with_name("study.journal.cut-1").write_bytes(found[start:])

    def moved(journal: Path) -> None:
        copied(journal)
        journal.with_name("trials.cut-1").mkdir()
        (journal.parent / "trials" / "00004").rename(journal.parent / "trials.cut-1" / "00004")

    def cut(journal: Path) -> None:
        moved(journal)
        os.truncate(journal, start)

    for kill in (half_copied, copied, moved, cut):
        journal = fresh(source, kill.__name__, found)
        for name in ("00004", "00005"):
            (journal.parent / "trials" / name).mkdir(parents=True)
        kill(journal)
        mend(journal, study="a")
        assert journal.read_bytes() == found[:start]
        assert journal.with_name("study.journal.cut-1").read_bytes() == found[start:]
        assert len([*journal.parent.glob("*.cut-*")]) == 2, "no second copy"
        assert not [*journal.parent.glob(".*")]
        goes_on(journal)


def test_numbers_of_trials_read_as_people_say_them() -> None:
    assert numbers((3,)) == "trial 3"
    assert numbers((3, 4)) == "trials 3 to 4"
    assert numbers((3, 5, 6, 7, 12)) == "trials 3, 5 to 7 and 12"


def test_a_tail_too_long_to_be_a_torn_record_is_damage(folder: Path) -> None:
    journal = write_journal(folder, synced=False)
    whole = journal.read_bytes()
    with journal.open("ab") as file:
        file.truncate(len(whole) + (17 << 20))
    assert is_refused(journal)
    assert mended(journal).bytes == 17 << 20
    assert journal.read_bytes() == whole
    assert journal_file.examine(journal, checksum.load(journal)).end == len(whole)
    goes_on(journal)


@pytest.mark.parametrize("left", [0, 0.3])
def test_a_journal_that_lost_more_than_a_torn_end_is_refused_until_it_is_mended(tmp_path: Path, left: float) -> None:
    journal = tmp_path / "study.journal"
    storage = open_for_writing(journal, study="a")
    study = open_study(storage.optuna)
    for _ in range(8):
        add_trials(study, 1)
        storage.sync()
    storage.close()
    whole = journal.stat().st_size
    os.truncate(journal, round(left * whole))
    for opening in (open_for_reading, lambda path: open_for_writing(path, study="a")):
        with pytest.raises(
            SurroundingsError, match=rf"lost its end: \d+ of the {whole} bytes that were synced are gone"
        ):
            opening(journal)
