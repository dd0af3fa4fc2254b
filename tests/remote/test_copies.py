"""What a store has of a study is always whole: parts by their content, and the manifest last.

Mutations that turn these red: write the manifest before the parts; remove parts that the manifest before names; leave
the digest of a part unchecked; leave `is_ahead` out of `bring`; leave `sending` out of `manifest.last`.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from search.errors import InputError, RefusedError, SurroundingsError
from search.paths import StudyFolder
from search.remote import manifest
from search.remote.copies import bring, send, send_rest, studies
from search.remote.manifest import PART_BYTES, Entry, Manifest
from search.remote.place import Place
from tests.remote import s3


@pytest.fixture
def memory(tmp_path: Path) -> Place:
    return Place.at(f"memory://{tmp_path.name}")


def study(root: Path, journal: bytes = b"one\n") -> StudyFolder:
    for name, content in {
        "plan.json": b"{}",
        "study.journal": journal,
        "study.lock": b"me",
        "trials/00000/log.txt": "ünï".encode(),
        "trials/00000/checkpoint/best.json": b"{}",
        "trials/00000/checkpoint/best-1.safetensors": b"x" * (PART_BYTES + 5),
        "trials/00000/checkpoint/.best-2.coming": b"half",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return StudyFolder(root)


def contents(folder: StudyFolder) -> dict[str, bytes]:
    return {
        path.relative_to(folder.root).as_posix(): path.read_bytes()
        for path in folder.root.rglob("*")
        if path.is_file() and path.name not in (manifest.OWN, "study.lock") and not path.name.startswith(".best")
    }


def test_a_study_comes_back_as_it_was_sent_without_what_is_of_this_machine(memory: Place, tmp_path: Path) -> None:
    here = study(tmp_path / "a/s")
    send(memory, here)
    there = bring(memory, "s", tmp_path / "b", whole=True)
    assert contents(there) == contents(here)
    assert not (there.root / "study.lock").exists()
    assert not list(there.root.rglob("*.coming"))
    assert studies(memory) == ["s"]


def test_of_a_journal_that_has_grown_only_the_end_travels(place: Place, server: s3.Server, tmp_path: Path) -> None:
    here = study(tmp_path / "a/s", b"x" * PART_BYTES)
    send(place, here)
    assert server.writes[-1].endswith(manifest.NAME), "what names the parts comes last"
    server.writes.clear()
    with here.journal.open("ab") as file:
        file.write(b"more")
    send(place, here)
    assert len(server.writes) == 2
    server.writes.clear()
    send(place, here)
    assert server.writes == [], "nothing has changed"


def test_a_reader_of_the_manifest_before_still_finds_its_parts(memory: Place, tmp_path: Path) -> None:
    here = study(tmp_path / "a/s")
    counts = list[int]()
    for text in (b"one", b"two", b"three", b"four"):
        before = manifest.read(memory, "s")
        here.journal.write_bytes(text)
        send(memory, here)
        parts = memory.names("s/parts")
        assert before is None or before.parts <= set(parts)
        counts.append(len(parts))
    assert counts[1:] == [counts[1]] * 3, "older parts go"


def test_without_checkpoints_a_study_can_be_looked_at_and_they_come_when_needed(memory: Place, tmp_path: Path) -> None:
    send(memory, study(tmp_path / "a/s"))
    there = bring(memory, "s", tmp_path / "b", whole=False)
    assert not (there.root / "trials/00000/checkpoint").exists()
    assert (there.root / "trials/00000/log.txt").exists()
    there.journal.write_bytes(b"granted\n")
    send(memory, there)
    assert "trials/00000/checkpoint/best.json" in (manifest.read(memory, "s") or Manifest()).files
    bring(memory, "s", tmp_path / "b", whole=True)
    assert (there.root / "trials/00000/checkpoint/best.json").exists()


def test_what_changed_there_comes_and_what_is_gone_there_goes(memory: Place, tmp_path: Path) -> None:
    here = study(tmp_path / "a/s")
    send(memory, here)
    there = bring(memory, "s", tmp_path / "b", whole=True)
    shutil.rmtree(here.root / "trials/00000/checkpoint")
    here.journal.write_bytes(b"one\ntwo\n")
    send(memory, here)
    bring(memory, "s", tmp_path / "b", whole=True)
    assert contents(there) == contents(here)


def test_what_a_store_out_of_reach_did_not_get_stays_here_and_is_sent(memory: Place, tmp_path: Path) -> None:
    here = study(tmp_path / "a/s")
    send(memory, here)
    here.journal.write_bytes(b"one\ntwo\n")
    bring(memory, "s", tmp_path / "a", whole=True)
    assert here.journal.read_bytes() == b"one\ntwo\n"
    send_rest(memory, here)
    assert bring(memory, "s", tmp_path / "b", whole=True).journal.read_bytes() == b"one\ntwo\n"


def test_a_study_that_went_on_on_two_machines_is_refused_on_the_second(memory: Place, tmp_path: Path) -> None:
    here = study(tmp_path / "a/s")
    send(memory, here)
    there = bring(memory, "s", tmp_path / "b", whole=True)
    there.journal.write_bytes(b"one\nthere\n")
    send(memory, there)
    here.journal.write_bytes(b"one\nhere\n")
    with pytest.raises(RefusedError, match="here and elsewhere"):
        send(memory, here)
    with pytest.raises(RefusedError, match="here and elsewhere"):
        bring(memory, "s", tmp_path / "a", whole=True)
    assert here.journal.read_bytes() == b"one\nhere\n"


def test_a_sending_whose_end_was_not_heard_of_is_ours(memory: Place, tmp_path: Path) -> None:
    here = study(tmp_path / "a/s")
    send(memory, here)
    noted = (here.root / manifest.OWN).read_text()
    here.journal.write_bytes(b"one\ntwo\n")
    sent = send(memory, here)
    # as after a kill between the two writes
    (here.root / manifest.OWN).write_text(json.dumps({**json.loads(noted), "sending": sent.id}))
    here.journal.write_bytes(b"one\ntwo\nthree\n")
    assert send(memory, here).version == sent.version + 1


def test_a_study_of_the_same_name_is_not_written_over(memory: Place, tmp_path: Path) -> None:
    send(memory, study(tmp_path / "a/s"))
    with pytest.raises(RefusedError):
        send(memory, study(tmp_path / "other/s"))
    with pytest.raises(RefusedError):
        bring(memory, "s", tmp_path / "other", whole=True)


def test_a_damaged_part_is_said_and_nothing_takes_its_place(memory: Place, tmp_path: Path) -> None:
    here = study(tmp_path / "a/s")
    (part,) = send(memory, here).files["study.journal"].parts
    memory.write(f"s/parts/{part}", b"other")
    with pytest.raises(SurroundingsError, match="damaged"):
        bring(memory, "s", tmp_path / "b", whole=True)
    assert not StudyFolder(tmp_path / "b/s").exists(), "half a study is none"
    memory.write(f"s/parts/{part}", b"one\n")
    assert contents(bring(memory, "s", tmp_path / "b", whole=True)) == contents(here)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema": 2}', b'{"schema":1,"version":1,"whole":true}'])
def test_a_damaged_manifest_is_one_sentence(memory: Place, tmp_path: Path, content: bytes) -> None:
    memory.write(f"s/{manifest.NAME}", content)
    with pytest.raises(SurroundingsError, match="damaged"):
        bring(memory, "s", tmp_path, whole=True)


def test_a_name_that_leads_out_of_the_folder_is_refused(memory: Place, tmp_path: Path) -> None:
    sent = send(memory, study(tmp_path / "a/s"))
    bad = replace(sent, files={**sent.files, "../../out": Entry(0, ())})
    manifest.write(memory, "s", bad)
    with pytest.raises(InputError, match="leads out"):
        bring(memory, "s", tmp_path / "b", whole=True)
    assert not (tmp_path / "out").exists()


def test_a_study_that_is_not_there_is_said(memory: Place, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no study 's'"):
        bring(memory, "s", tmp_path, whole=True)
