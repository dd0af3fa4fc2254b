"""`logs` prints what a trial printed, and follows it while the trial runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from optuna.trial import TrialState

from search.cli.main import main
from search.paths import StudyFolder
from search.study.lock import acquire
from search.study.storage import StudyStorage, open_for_writing
from tests.records import studies

Output = pytest.CaptureFixture[str]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder whose `results` is the default one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_RESULTS", raising=False)
    return tmp_path / "results"


@pytest.fixture
def mixed(results: Path) -> StudyFolder:
    """Return a study with one trial of every state; number 6 runs."""
    folder = studies.store(results, "mixed", studies.MIXED)
    write(folder, 3, "".join(f"line {n}\n" for n in range(1000)) + "last \x1b[31mline\r\nthe end")
    return folder


def write(folder: StudyFolder, number: int, text: str) -> None:
    log = folder.trial(number).log
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8", newline="") as file:
        file.write(text)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `sweep logs` in a process of its own."""
    with ExitStack() as stack:

        def begin(*arguments: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "search", "logs", *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield begin


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.usefixtures("mixed")
def test_a_log_is_printed_whole_and_cannot_steer_the_terminal(capsys: Output) -> None:
    assert main(["logs", "mix", "3"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [*(f"line {n}" for n in range(1000)), "last \\x1b[31mline", "the end"]
    assert told.err == ""


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(("count", "lines"), [(0, []), (1, ["the end"]), (2, ["last \\x1b[31mline", "the end"])])
def test_the_last_lines_alone(count: int, lines: list[str], capsys: Output) -> None:
    assert main(["logs", "mixed", "3", "-n", str(count)]) == 0
    assert capsys.readouterr().out.splitlines() == lines
    assert main(["logs", "mixed", "3", "--lines", str(count), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["study"], told["number"], len(told["log"])) == ("mixed", 3, count)


def test_best_and_last_mean_what_they_mean_in_show(mixed: StudyFolder, capsys: Output) -> None:
    write(mixed, 2, "I am the best\n")
    write(mixed, 7, "I began last\n")
    assert main(["logs", "mixed", "best"]) == 0
    assert main(["logs", "mixed", "last"]) == 0
    assert capsys.readouterr().out == "I am the best\nI began last\n"


@pytest.mark.usefixtures("mixed")
def test_a_trial_that_printed_nothing_is_said_so(capsys: Output) -> None:
    for arguments in ([], ["-f"]):
        assert main(["logs", "mixed", "0", *arguments]) == 0
        told = capsys.readouterr()
        assert (told.out, told.err) == ("", "trial 0 of mixed printed nothing\n")
    assert main(["logs", "mixed", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"study": "mixed", "number": 0, "log": []}


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["99"], "study 'mixed' has no trial 99; its trials are 0 to 8"),
        (["99", "-f"], "study 'mixed' has no trial 99; its trials are 0 to 8"),
        (["first"], "`sweep logs` takes a trial's number, best or last, got 'first'"),
        (["--", "-1"], "`sweep logs` takes a trial's number, best or last, got '-1'"),
        (["²"], "`sweep logs` takes a trial's number, best or last, got '²'"),
        (["9" * 400], f"`sweep logs` takes a trial's number, best or last, got '{'9' * 400}'"),
        (["3", "-f", "--json"], "--follow prints lines as they come, and --json one object"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(arguments: list[str], sentence: str, capsys: Output) -> None:
    assert main(["logs", "mixed", *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_a_log_is_printed_though_the_storage_is_damaged(mixed: StudyFolder, capsys: Output) -> None:
    mixed.journal.write_bytes(b"x" + mixed.journal.read_bytes())
    assert main(["logs", "mixed", "3", "-n", "1"]) == 0
    assert capsys.readouterr().out == "the end\n"
    assert main(["logs", "mixed", "4"]) == 3


def running(folder: StudyFolder) -> tuple[StudyStorage, int]:
    """Hold a study as its sweep does; return the storage and the id of trial 6, which runs."""
    storage = open_for_writing(folder.journal, study="mixed")
    study_id = storage.optuna.get_study_id_from_name("mixed")
    return storage, storage.optuna.get_trial_id_from_study_id_trial_number(study_id, 6)


def test_a_log_is_followed_from_before_it_exists_until_its_trial_has_ended(mixed: StudyFolder, start: Start) -> None:
    storage, trial_id = running(mixed)
    process = start("mixed", "6", "-f")
    write(mixed, 6, "Gr")
    with mixed.trial(6).log.open("ab") as file:
        for byte in "öße\n".encode():  # characters come in parts
            file.write(bytes([byte]))
            file.flush()
            time.sleep(0.1)
    assert next_line(process) == "Größe\n"
    write(mixed, 6, "half ")
    write(mixed, 6, "a line\nthe rest")
    assert next_line(process) == "half a line\n"
    storage.optuna.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    assert process.communicate(timeout=30) == ("the rest\n", "")
    assert process.returncode == 0
    storage.close()


def test_following_ends_when_nobody_holds_the_study(mixed: StudyFolder, start: Start) -> None:
    write(mixed, 6, "one\ntwo\n")
    with acquire(mixed.root, study="mixed"):
        process = start("mixed", "6", "-f", "-n", "1")
        assert next_line(process) == "two\n"
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


def test_a_trial_that_is_still_to_come_is_waited_for(mixed: StudyFolder, start: Start) -> None:
    with acquire(mixed.root, study="mixed"):
        process = start("mixed", "20", "-f")
        write(mixed, 20, "here\n")
        assert next_line(process) == "here\n"


def test_ctrl_c_ends_following_without_a_word(mixed: StudyFolder, start: Start) -> None:
    write(mixed, 6, "one\n")
    with acquire(mixed.root, study="mixed"):
        process = start("mixed", "6", "-f")
        assert next_line(process) == "one\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 130


def test_a_reader_that_goes_away_ends_following_though_nothing_more_is_printed(
    mixed: StudyFolder, start: Start
) -> None:
    write(mixed, 6, "one\n")
    with acquire(mixed.root, study="mixed"):
        process = start("mixed", "6", "-f")
        assert next_line(process) == "one\n"
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(timeout=30) == 141
        assert process.stderr.read() == ""
