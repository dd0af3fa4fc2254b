"""`doctor STUDY` says whether what is stored of a study is whole; `--repair` makes it whole, and says what it cost."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from search.cli.main import main
from search.errors import SurroundingsError
from search.paths import StudyFolder
from search.study import checksum
from search.study.lock import acquire
from search.study.storage import open_for_reading, open_for_writing
from tests.records import studies
from tests.study.studies import add_trials, flat_space, open_study

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder whose `results` is the default one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_RESULTS", raising=False)
    return tmp_path / "results"


@pytest.fixture
def stored(results: Path) -> StudyFolder:
    """Return a study of plain Optuna with 9 trials, without a checksum."""
    return studies.store(results, "mixed", studies.MIXED)


def damage(folder: StudyFolder) -> None:
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    lines[4] = b"}" + lines[4]
    folder.journal.write_bytes(b"".join(lines))


def told_json(capsys: Output) -> Any:
    told = capsys.readouterr()
    assert told.out.count("\n") == 1
    return json.loads(told.out)


def test_a_whole_study_is_said_to_be_so_and_left_alone(stored: StudyFolder, capsys: Output) -> None:
    before = {path.name: path.read_bytes() for path in stored.root.iterdir()}
    whole = stored.journal.read_bytes()
    assert main(["doctor", "mix"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "study    mixed   results/mixed",
        f"storage  journal, {len(whole):,} bytes, {len(whole.splitlines())} good records",
        "checksum vouches for 0 bytes",
        "trials   9",
        "held by  nobody",
        "",
        "nothing is damaged",
    ]
    assert main(["doctor", "mix", "--repair"]) == 0
    assert capsys.readouterr().out.endswith("\nnothing is damaged, and nothing was changed\n")
    assert {path.name: path.read_bytes() for path in stored.root.iterdir()} == before


def test_damage_is_named_with_its_place_and_the_command_that_mends_it(stored: StudyFolder, capsys: Output) -> None:
    damage(stored)
    at = len(b"".join(stored.journal.read_bytes().splitlines(keepends=True)[:4]))
    assert main(["doctor", "mixed"]) == 3
    assert (
        f"DAMAGED: results/mixed/study.journal is damaged in line 5 (byte {at}): not a JSON record; restore a copy, "
        "or `sweep doctor mixed --repair` keeps what stands before and puts the rest aside"
    ) in capsys.readouterr().out.splitlines()
    assert main(["doctor", "mixed", "--json"]) == 3
    found = told_json(capsys)
    assert found["damage"] == {
        "file": "results/mixed/study.journal",
        "line": 5,
        "byte": at,
        "why": "not a JSON record",
    }
    assert (found["records"], found["trials"], found["held_by"]) == (4, 3, None)


def test_the_command_that_an_error_names_mends_the_study(stored: StudyFolder, capsys: Output) -> None:
    damage(stored)
    with pytest.raises(SurroundingsError) as caught:
        open_for_reading(stored.journal)
    assert main(shlex.split(caught.value.hint.split("`")[1])[1:]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1].startswith("cut ")
    assert told[-1].endswith("kept in study.journal.cut-1; trials 3 to 8 are no longer in it")
    assert open_for_reading(stored.journal).get_n_trials(0) == 3
    assert main(["doctor", "mixed", "--repair"]) == 0
    assert capsys.readouterr().out.endswith("nothing was changed\n")


def test_a_repair_as_json(stored: StudyFolder, capsys: Output) -> None:
    damage(stored)
    assert main(["doctor", "mixed", "--repair", "--json"]) == 0
    found = told_json(capsys)
    assert found["problems"] == []
    assert found["repair"]["kept_in"] == "study.journal.cut-1"
    assert found["repair"]["loss"]["gone"] == [3, 4, 5, 6, 7, 8]
    assert len(found["repair"]["sentences"]) == 1
    assert main(["doctor", "mixed", "--repair", "--json"]) == 0
    assert told_json(capsys)["repair"] is None


def test_a_flipped_bit_is_put_back(results: Path, capsys: Output) -> None:
    folder = studies.store(results, "a")
    storage = open_for_writing(folder.journal, study="a")
    add_trials(open_study(storage.optuna), 5, space=flat_space)
    storage.close()
    whole = folder.journal.read_bytes()
    at = whole.rfind(b'"values":[4.0]') + 10
    folder.journal.write_bytes(whole[:at] + b"5" + whole[at + 1 :])  # 4.0 has become 5.0
    assert main(["doctor", "a"]) == 3
    assert f"a bit of byte {at} has flipped" in capsys.readouterr().out
    assert main(["doctor", "a", "--repair"]) == 0
    assert f"a bit of byte {at} has flipped: put back, nothing is lost" in capsys.readouterr().out
    assert folder.journal.read_bytes() == whole


def test_a_torn_end_is_no_damage_and_mended_all_the_same(stored: StudyFolder, capsys: Output) -> None:
    with stored.journal.open("ab") as file:
        file.write(b'{"op')
    assert main(["doctor", "mixed"]) == 0
    assert "note: its last record is torn: opening it cuts off 4 bytes" in capsys.readouterr().out
    assert main(["doctor", "mixed", "--repair"]) == 0
    assert "its 4 bytes are kept in study.journal.torn-1" in capsys.readouterr().out


def test_a_study_that_is_being_run_is_examined_and_not_mended(stored: StudyFolder, capsys: Output) -> None:
    damage(stored)
    with acquire(stored.root, study="mixed"):
        assert main(["doctor", "mixed"]) == 3
        assert "held by  pid " in capsys.readouterr().out
        assert main(["doctor", "mixed", "--repair"]) == 4
        assert "study 'mixed' is being run by pid" in capsys.readouterr().err


def test_a_damaged_plan_hides_nothing_of_the_storage(stored: StudyFolder, capsys: Output) -> None:
    stored.plan.write_text("{")
    assert main(["doctor", "mixed"]) == 3
    told = capsys.readouterr().out
    assert "DAMAGED: results/mixed/plan.json is no plan of a study" in told
    assert "trials   9" in told


def test_a_missing_journal_is_told_from_one_that_was_never_there(stored: StudyFolder, capsys: Output) -> None:
    storage = open_for_writing(stored.journal, study="mixed")
    storage.close()
    stored.journal.unlink()
    assert main(["doctor", "mixed"]) == 3
    assert "study.journal is missing, and had " in capsys.readouterr().out
    checksum.path_of(stored.journal).unlink()
    assert main(["doctor", "mixed"]) == 0
    assert "note: there is no study.journal yet" in capsys.readouterr().out
    assert main(["doctor", "mixed", "--repair"]) == 0
    assert "there is no study.journal to mend" in capsys.readouterr().out


def test_a_database_is_opened_and_never_mended(results: Path, tmp_path: Path, capsys: Output) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    folder = studies.store(results, "a", storage=url)
    folder.journal.unlink()
    assert main(["doctor", "a"]) == 3
    assert f"DAMAGED: {url} holds no study 'a'; restore a backup" in capsys.readouterr().out
    storage = open_for_writing(url, study="a", folder=folder.root)
    add_trials(open_study(storage.optuna), 3, space=flat_space)
    storage.close()
    assert main(["doctor", "a", "--json"]) == 0
    found = told_json(capsys)
    assert (found["storage"], found["trials"], found["problems"]) == (url, 3, [])
    assert main(["doctor", "a", "--repair"]) == 2
    assert f"is in a database ({url}), and --repair mends journals only" in capsys.readouterr().err
    (tmp_path / "study.db").write_bytes(b"not a database, and long enough to be looked at " * 30)
    assert main(["doctor", "a"]) == 3
    assert "file is not a database" in capsys.readouterr().out


def test_repair_needs_a_study(capsys: Output) -> None:
    assert main(["doctor", "--repair"]) == 2
    assert capsys.readouterr().err == "error: --repair needs a STUDY; `sweep list` shows all\n"
