"""`sweep watch` of a model that keeps learning shows what its learner tells, and changes nothing.

Mutations that turn this red: the start of a study's name goes before a model's name; a model's name goes before a
study's; a line of JSON comes although only the time has changed, or does not come when the server falls silent; what
happened before the first look is told; a name steers the terminal; Ctrl-C is an error.
"""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search.cli import watch_online, words_online
from search.cli.main import main
from search.online.status import Status
from search.paths import OnlineFolder
from tests.cli.served import ROOT
from tests.online.statuses import EVIL, NOW_S, SITUATIONS, story, write
from tests.records import studies

Output = pytest.CaptureFixture[str]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def folder(results: Path) -> OnlineFolder:
    found = OnlineFolder.of(results, "rain")
    write(found, SITUATIONS["through a drift"]())
    return found


def shown(name: str, *, age_s: float = 1.0, columns: int = 120, rows: int = 60) -> list[str]:
    status = Status.from_json(SITUATIONS[name]())
    return words_online.live(status, now_s=status.at_s + age_s, columns=columns, rows=rows)


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize(("columns", "rows"), [(200, 60), (80, 24), (40, 10), (10, 2)])
def test_every_situation_fits_its_terminal_and_steers_nothing(name: str, columns: int, rows: int) -> None:
    lines = shown(name, columns=columns, rows=rows)
    assert 0 < len(lines) < max(rows, 2)
    assert all(len(line) <= columns for line in lines)
    assert all(line.isprintable() for line in lines)


def test_a_life_is_shown() -> None:
    lines = shown("re-sweep runs")
    assert lines[0] == "rain   rain:3 answers   for 27 s   29 events behind"
    assert lines[1] == "state    learning"
    assert lines[2] == "rows     15,600 shown   12,000 labelled   3,600 waiting"
    assert lines[3] == "labels   11,040 learnt   600 held out   120 trusted   240 aside   60 unknown"
    text = "\n".join(lines)
    assert "evidence ██████░░░░░░ re-sweep: 2.10 of 4.38 needed, over 220 of 220 rows" in text
    assert "columns  pressure 0.62 (moved far)   humidity 0.18 (shifted)   town 0.03" in text
    assert "re-sweep running rain-online-2   1 min 36 s used: the error has stayed above 0.3" in text
    events = [line for line in lines if line.startswith("  ")]
    assert "take-over rain:1 -> rain:3: better on 640 rows" in events[-7]
    assert "alarm of adwin: the champion's error rose" in events[-1]


@pytest.mark.parametrize(
    ("name", "age_s", "said"),
    [
        ("learning", 9.0, "state    learning"),
        ("learning", 12.0, "state    the server is not running, or nothing learns: its last word is 12 s old"),
        ("paused", 1.0, "state    learning is paused by an administrator"),
        ("held", 1.0, "state    learning is held, since labels have shifted suddenly"),
        ("held", 60.0, "state    the server is not running, or nothing learns: its last word is 1 min 00 s old"),
    ],
)
def test_it_is_said_why_nothing_is_learnt(name: str, age_s: float, said: str) -> None:
    assert shown(name, age_s=age_s)[1] == said


def test_plain_lines_tell_what_happens_at_once_and_rows_now_and_then(folder: OnlineFolder) -> None:
    written: list[str] = []
    clock = [0.0]
    lines = watch_online.Lines(folder, written.append, lambda: clock[0])
    lines.update(None, NOW_S)
    lines.update(None, NOW_S)
    assert written == ["rain has told nothing yet: has `sweep online rain` begun?"]
    for told in story():
        clock[0] += 1
        lines.update(Status.from_json(told), told["at_s"])
    happened = [line for line in written if " row " in line]
    assert [line.split("  ")[1].split()[0] for line in happened] == ["alarm"] * 4 + [
        "take-over",
        "rollback",
        "take-over",
    ]
    assert len(written) == 1 + 7 + 13  # in two minutes one each ten seconds; a new champion is told at once
    assert written[1].startswith("rain:1: 100 labelled rows; accuracy served ")
    lines.update(Status.from_json(told), told["at_s"] + 11)
    lines.update(Status.from_json(told), told["at_s"] + 12)
    assert [line for line in written if "not running" in line] == written[-1:]


def test_what_happened_before_the_first_look_is_not_told(folder: OnlineFolder) -> None:
    written: list[str] = []
    lines = watch_online.Lines(folder, written.append)
    told = SITUATIONS["through a drift"]()
    lines.update(Status.from_json(told), told["at_s"])
    assert len(written) == 1


def test_a_study_of_just_the_name_is_meant_first_and_then_the_model(results: Path, folder: OnlineFolder) -> None:
    studies.store(results, "rain-2", studies.MIXED[:6])
    assert watch_online.meant(results, "rain") == folder
    for other in ("rai", "rain-2", "", "../rain", "rain/", str(folder.root), "snow"):
        assert watch_online.meant(results, other) is None, other
    studies.store(results, "rain", studies.MIXED[:6])
    assert watch_online.meant(results, "rain") is None


def test_the_start_of_a_studys_name_means_the_study_still(results: Path, folder: OnlineFolder, capsys: Output) -> None:
    studies.store(results, "rainy", studies.MIXED[:6])
    assert main(["watch", "rainy", "--results", str(results)]) == 0
    assert main(["watch", "ra", "--results", str(results)]) == 0
    assert capsys.readouterr().out.count("study    rainy   finished") == 2


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            ["--web"],
            "rain is a model that keeps learning, and its server has its page: /online; open http://HOST:PORT/online",
        ),
        (["--web", "--port", "0", "--open"], "rain is a model that keeps learning, and its server has its page"),
        (["--from-start"], "--from-start is for the events of a study, and rain is a model that keeps learning"),
    ],
)
def test_what_a_model_has_not_is_refused(
    results: Path, folder: OnlineFolder, capsys: Output, flags: list[str], sentence: str
) -> None:
    assert main(["watch", "rain", "--results", str(results), *flags]) == 2
    assert capsys.readouterr().err.startswith(f"error: {sentence}")


def test_a_model_of_this_folder_is_not_asked_for_at_a_cluster(
    results: Path, folder: OnlineFolder, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://192.0.2.1:10001")
    assert main(["watch", "rain", "--from-start", "--results", str(results)]) == 2
    assert "rain is a model that keeps learning" in capsys.readouterr().err


def test_a_damaged_status_is_told_when_it_stays_damaged(
    results: Path, folder: OnlineFolder, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_online, "_PATIENCE_S", 0.0)
    folder.status.write_text("{}")
    assert main(["watch", "rain", "--results", str(results)]) == 3
    assert "status.json is no status of a model: metrics is missing" in capsys.readouterr().err


def begun(results: Path, *flags: str, **streams: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "search", "watch", "rain", "--results", str(results), *flags]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen(command, cwd=ROOT, text=True, **streams)


@pytest.fixture
def watching(results: Path, folder: OnlineFolder) -> Iterator[subprocess.Popen[str]]:
    process = begun(results, "--json")
    yield process
    process.kill()
    process.communicate()


def test_with_json_there_is_a_line_when_something_changes(
    watching: subprocess.Popen[str], folder: OnlineFolder
) -> None:
    def line() -> dict[str, Any]:
        assert watching.stdout is not None
        assert select.select([watching.stdout], [], [], 20)[0], "there is no line"
        found: dict[str, Any] = json.loads(watching.stdout.readline())
        assert (found["event"], found["model"]) == ("status", "rain")
        return found

    first = line()
    assert first["running"]
    assert first["status"]["champion"]["label"] == "rain:3"
    told = first["status"]
    for _ in range(3):  # nothing but the time changes
        folder.status.write_text(json.dumps({**told, "at_s": time.time()}))
        time.sleep(0.6)
    folder.status.write_text(json.dumps({**told, "at_s": time.time(), "behind": 7}))
    assert line()["status"] == {**told, "at_s": json.loads(folder.status.read_text())["at_s"], "behind": 7}
    folder.status.write_text(json.dumps({**told, "at_s": time.time() - 11, "behind": 7}))
    assert line()["running"] is False
    folder.status.unlink()
    assert line()["status"] is None
    watching.send_signal(signal.SIGINT)
    out, err = watching.communicate(timeout=10)
    assert (watching.returncode, out, err) == (130, "", "")


def test_a_terminal_is_redrawn_until_ctrl_c(results: Path, folder: OnlineFolder) -> None:
    told = SITUATIONS["hostile"]()
    write(folder, told)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    process = begun(results, stderr=theirs, env=environment)
    os.close(theirs)
    seen = ""

    def until(word: str) -> None:
        nonlocal seen
        end = time.monotonic() + 20
        while word not in seen and time.monotonic() < end:
            if not select.select([ours], [], [], 1)[0]:
                continue
            seen += os.read(ours, 65_536).decode()
        assert word in seen

    try:
        until("rain:3 answers")
        until("alarm of adwin")
        write(folder, {**told, "learning": "paused"})
        until("learning is paused")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
    assert EVIL not in seen
    assert "\x1b[31m" not in seen
