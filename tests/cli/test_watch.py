"""`sweep watch` shows a sweep that another process runs, as it happens, and leaves it alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from search.cli.main import main
from search.records import derived
from search.serving import ports
from tests.cli.served import ROOT, Owner, served
from tests.records import studies

Output = pytest.CaptureFixture[str]
Watch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def owner(results: Path) -> Iterator[Owner]:
    made = Owner(results)
    yield made
    made.close()


@pytest.fixture
def watch(results: Path) -> Iterator[Watch]:
    begun: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "search", "watch", "w", "--results", str(results), *arguments]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def following(process: subprocess.Popen[str], owner: Owner) -> list[dict[str, Any]]:
    """Wait until the watch tells of a trial that begins now; return what it told so far."""
    assert process.stdout is not None
    time.sleep(1.5)
    owner.do("ask")
    return [json.loads(process.stdout.readline())]


def rest(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    told, err = process.communicate(timeout=30)
    assert err == ""
    return [json.loads(line) for line in told.splitlines()]


def kinds(told: list[dict[str, Any]]) -> list[tuple[str, int | None]]:
    return [(one["event"], one.get("number")) for one in told]


def test_events_come_as_they_happen_and_the_past_is_left_out(owner: Owner, watch: Watch) -> None:
    owner.do("ask", "report 0.5", "complete")
    process = watch("--json")
    told = following(process, owner)
    assert (told[0]["event"], told[0]["number"], told[0]["attempt"]) == ("started", 1, 1)
    assert set(told[0]["params"]) == {"x", "n"}
    owner.do("report 0.5", "report 0.25", "complete", "ask", "report 0.75", "prune", "ask", "fail", "ask", "pause")
    owner.do("finish")
    told += rest(process)
    assert process.returncode == 0
    assert kinds(told) == [
        ("started", 1),
        ("epoch", 1),
        ("epoch", 1),
        ("completed", 1),
        ("best", 1),
        ("started", 2),
        ("epoch", 2),
        ("pruned", 2),
        ("started", 3),
        ("failed", 3),
        ("started", 4),
        ("paused", 4),
        ("ended", None),
    ]
    epoch, completed = told[2], told[3]
    assert (epoch["step"], epoch["value"], epoch["metrics"]) == (2, 0.25, {"val_loss": 0.25, "val_accuracy": 0.5})
    assert (completed["value"], completed["step"], completed["text"]) == (0.5, 2, "full budget")
    assert (told[9]["reason"], told[9]["text"]) == ("nan", "loss is nan")
    assert told[-1]["status"]["state"] == "finished"
    assert told[-1]["status"]["trials"]["paused"] == 1
    assert all(one["study"] == "w" for one in told)
    assert all(one["time"] is not None for one in told[:-1])


def test_from_the_start_everything_is_told(owner: Owner, watch: Watch, results: Path) -> None:
    from search.paths import StudyFolder

    owner.do("ask", "report 0.5", "complete", "ask", "report 0.5")
    derived.refresh(StudyFolder(results / "w"))
    owner.do("complete", "die")
    told = rest(watch("--json", "--from-start"))
    assert kinds(told) == [
        *[("started", 0), ("epoch", 0), ("completed", 0), ("best", 0)],
        *[("started", 1), ("epoch", 1), ("completed", 1), ("best", 1)],
        ("ended", None),
    ]
    assert told[1]["time"] is None
    assert told[2]["time"] is not None
    assert told[-1]["status"]["state"] == "interrupted"


def test_a_sweep_that_dies_is_told_with_the_command_that_goes_on(owner: Owner, watch: Watch) -> None:
    process = watch()
    time.sleep(1.5)
    owner.do("ask", "report 0.5", "complete", "ask")
    time.sleep(1.5)
    owner.do("die")
    told, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "study    w   interrupted" in told
    assert "trials   1 ended: 1 complete, 1 paused" in told
    assert "1/50 trials: 1 complete, 1 running; best val_loss 1 by trial 0" in err
    assert "next\n  sweep resume w --results " in err


def test_ctrl_c_leaves_quietly_and_the_sweep_alone(owner: Owner, watch: Watch) -> None:
    both = [watch(), watch("--json")]
    time.sleep(2)
    for process in both:
        process.send_signal(signal.SIGINT)
        told, err = process.communicate(timeout=10)
        assert (process.returncode, told, err) == (130, "", "")
    owner.do("ask", "finish")


def test_a_reader_that_has_gone_ends_it_quietly(owner: Owner, watch: Watch) -> None:
    process = watch("--json")
    assert process.stdout is not None
    following(process, owner)
    process.stdout.close()
    owner.do("report 0.5")
    assert process.wait(timeout=10) == 141
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_a_study_that_nobody_runs_is_shown_as_it_stands(results: Path, capsys: Output) -> None:
    studies.store(results, "w", studies.MIXED[:6])
    assert main(["watch", "w", "--results", str(results)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("study    w   finished")
    assert told.err.startswith("\nnext\n  sweep show w --trial best")
    assert main(["watch", "w", "--json", "--results", str(results)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["status"]["state"] == "finished"


def test_a_study_with_paused_trials_is_to_be_resumed(results: Path, capsys: Output) -> None:
    studies.store(results, "w", studies.MIXED)
    assert main(["watch", "w", "--results", str(results)]) == 0
    assert "next\n  sweep resume w" in capsys.readouterr().err


def test_a_study_that_is_not_there_is_refused(results: Path, capsys: Output) -> None:
    assert main(["watch", "w", "--results", str(results)]) == 2
    assert "no study 'w'" in capsys.readouterr().err


def test_the_page_is_served_until_ctrl_c_which_leaves_the_sweep_alone(owner: Owner, results: Path) -> None:
    with served("watch", "w", "--web", "--results", str(results)) as server:
        assert server.told == {"study": "w", "state": "running", "url": f"http://127.0.0.1:{server.port}"}
        with httpx.stream("GET", f"{server.url}/events", trust_env=False, verify=False) as stream:
            assert next(stream.iter_lines()).startswith("retry:")
            owner.do("ask", "report 0.5", "complete", "ask", "finish")
            assert server.process.stderr is not None
            said = server.process.stderr.readline()
            begun = time.monotonic()
            assert server.end() == 130
            assert time.monotonic() - begun < 3
        assert said == "nobody runs w (finished): the page shows it as it stands, and goes on when it does\n"
        assert server.process.stderr.read() == ""


def test_the_page_of_a_study_that_nobody_runs_ends_by_sigterm_too(results: Path) -> None:
    studies.store(results, "w", studies.MIXED)
    with served("watch", "w", "--web", "--results", str(results)) as server:
        assert server.told["state"] == "finished"
        assert server.end(signal.SIGTERM) == 143


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--port", "8076"], "--port is for the page of --web; add --web"),
        (["--open"], "--open is for the page of --web; add --web"),
        (["--web", "--from-start"], "--from-start is for the events of --json, and --web has none"),
    ],
)
def test_flags_of_the_page_stand_beside_web(results: Path, capsys: Output, flags: list[str], sentence: str) -> None:
    studies.store(results, "w", studies.MIXED)
    assert main(["watch", "w", "--results", str(results), *flags]) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_a_port_that_is_taken_is_named_and_the_usual_one_is_given_up(results: Path, capsys: Output) -> None:
    studies.store(results, "w", studies.MIXED)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["watch", "w", "--web", "--port", str(port), "--results", str(results)]) == 3
        with ports.bind_local(None, port) as other:
            assert other.getsockname()[1] not in (0, port)
    assert capsys.readouterr().err == f"error: port {port} is in use (pid {os.getpid()}); try --port {port + 1}\n"


def test_without_its_libraries_the_page_names_the_extra(results: Path, tmp_path: Path) -> None:
    studies.store(results, "w", studies.MIXED)
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('No module named uvicorn', name='uvicorn')\n")
    command = [sys.executable, "-m", "search", "watch", "w", "--web", "--results", str(results)]
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    told = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert told.returncode == 3
    assert told.stderr == (
        "error: the live page needs uvicorn, which is not installed; pip install 'sweep-search[web]'\n"
    )
