"""`sweep online` says where it listens and how to ask, or in one sentence why it does not.

Mutations that turn this file red: take a version or a folder; let two servers have one model; let other machines label
without a token; let two tokens be the same; leave the learner behind a killed server.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from search.cli.commands import run
from search.online import lock
from search.paths import OnlineFolder
from tests.online.servers import NAME, TOKENS, command, promoted

PREDICT, LABEL, ADMIN = TOKENS.values()


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in TOKENS:
        monkeypatch.delenv(name, raising=False)
    promoted(tmp_path / "results")
    return tmp_path / "results"


def refusal(results: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Return the exit code and the sentence of a command that does not serve."""
    code = run(["online", *arguments, "--results", str(results), "--frozen", "--json"])
    return code, json.loads(capsys.readouterr().err)["error"]["message"]


@pytest.mark.parametrize("model", ["toy:1", "toy@production", "{results}/models/toy/1"])
def test_only_a_name_is_learnt(model: str, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, message = refusal(results, capsys, model.format(results=results))
    assert code == 2
    assert message.startswith("`sweep online` takes the name of a promoted model, whose production it moves, got ")


def test_an_unknown_model_is_the_users_fault(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(results, capsys, "rain") == (2, f"there is no model 'rain' in {results / 'models'}")


@pytest.mark.parametrize(
    ("flags", "tokens", "words"),
    [
        (("--host", "0.0.0.0"), "", "so requests need a token"),
        (("--host", "0.0.0.0"), "p", "so labels need a token"),
        (("--host", "0.0.0.0"), "l", "so requests need a token"),
        ((), "pp", "--token-file and --label-token-file hold the same token"),
        (("--label-token-file", "{file}"), "", "two lines of --label-token-file hold the same token"),
        (("--label-token-file", "{wrong}"), "", "line 2 is no NAME TOKEN"),
        (("--label-token-file", "nowhere"), "", "label token file nowhere cannot be read"),
        (("--wait", "7"), "", "--wait needs a unit"),
        (("--max-waiting", "0"), "", "--max-waiting"),
    ],
)
def test_what_cannot_be_served_is_refused(
    flags: tuple[str, ...],
    tokens: str,
    words: str,
    results: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "same").write_text(f"ann {LABEL}\n\nbob {LABEL}\n")
    (tmp_path / "wrong").write_text(f"ann {LABEL}\nadmin {ADMIN}\n")
    for variable, letters in (("SWEEP_TOKEN", "p"), ("SWEEP_LABEL_TOKEN", "l")):
        if letters in tokens:
            monkeypatch.setenv(variable, TOKENS[variable])
    if tokens == "pp":
        monkeypatch.setenv("SWEEP_LABEL_TOKEN", PREDICT)
    filled = [one.format(file=tmp_path / "same", wrong=tmp_path / "wrong") for one in flags]
    code, message = refusal(results, capsys, NAME, "--port", "0", *filled)
    assert code == 2
    assert words in message
    assert not OnlineFolder.of(results, NAME).root.exists()  # nothing is written before all is checked


def test_a_model_has_one_server(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = lock.hold(OnlineFolder.of(results, NAME))
    try:
        said = f"toy is being served online by pid {os.getpid()}"
        assert refusal(results, capsys, NAME, "--port", "0") == (4, said)
    finally:
        held.release()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert refusal(results, capsys, NAME, "--port", str(port))[0] == 3
    lock.hold(OnlineFolder.of(results, NAME)).release()  # nobody has it any more


def test_the_lines_that_it_prints_work_as_they_stand(results: Path) -> None:
    with command(results, "--port", "0", "--frozen", tokens=TOKENS) as process:
        try:
            assert process.stderr is not None
            said = [process.stderr.readline() for _ in range(4)]
            assert "/online shows it" in said[0]
            assert not any(token in "".join(said) for token in TOKENS.values())
            line, feedback = (ready(one) for one in said[2:])
            told = json.loads(asked(line))
            assert told["model"] == "toy:1"
            assert json.loads(asked(feedback.replace("ID", told["id"])))["accepted"] == 1
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 130
        finally:
            process.kill()


def ready(line: str) -> str:
    for variable, token in TOKENS.items():
        line = line.replace(f"${variable}", token)
    return line.strip()


def asked(line: str) -> str:
    done = subprocess.run(
        [*shlex.split(line), "-s", "--noproxy", "*"], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout
