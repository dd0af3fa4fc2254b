"""`sweep serve` says where it listens and how to ask, or in one sentence why it does not."""

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
from tests.bundle.bundles import tiny
from tests.serve.servers import TOKEN, command, serving


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Return the exit code and the sentence of a command that does not serve."""
    code = run(["serve", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().err)["error"]["message"]


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    tiny(tmp_path / "toy")
    return tmp_path / "toy"


def test_an_unknown_model_is_the_users_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, message = refusal(capsys, "rain", "--results", str(tmp_path))
    assert (code, message) == (2, f"there is no model 'rain' in {tmp_path / 'models'}")


def test_a_damaged_model_is_refused(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = toy / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    code, message = refusal(capsys, str(toy))
    assert code == 4
    assert "model.onnx" in message


def test_a_port_that_is_taken_is_told(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert refusal(capsys, str(toy), "--port", str(port)) == (3, f"port {port} is in use (pid {os.getpid()})")


@pytest.mark.parametrize(
    ("flags", "token", "words"),
    [
        (("--host", "0.0.0.0"), None, "--host 0.0.0.0 lets other machines in, so requests need a token"),
        (("--host", "203.0.113.1", "--address", "10.0.0.1:6379", "--port", "8000"), None, "lets other machines in"),
        ((), "short", "SWEEP_TOKEN holds no token"),
        (("--token-file", "nowhere"), None, "token file nowhere cannot be read"),
        (("--max-body", "8"), None, "--max-body must be a size between 1k and 1000m, got '8'"),
        (("--timeout", "30"), None, "--timeout needs a unit"),
        (("--workers", "0"), None, "--workers"),
        (("--allow-host", "a.example", "--allow-host", "http://x y/"), None, "--allow-host takes a name such as"),
        (("--allow-host", "a.example:8000"), None, "got 'a.example:8000'"),
        (
            ("--port", "8000", "--address", "10.0.0.1:6379", "--rate", "5", "--max-replicas", "2"),
            None,
            "--rate is for one process",
        ),
    ],
)
def test_what_cannot_be_served_is_refused(
    flags: tuple[str, ...],
    token: str | None,
    words: str,
    toy: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SWEEP_TOKEN", raising=False)
    if token is not None:
        monkeypatch.setenv("SWEEP_TOKEN", token)
    code, message = refusal(capsys, str(toy), "--port", "0", *flags)
    assert code == 2
    assert words in message


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_line_that_it_prints_works_as_it_stands(toy: Path, workers: str) -> None:
    with command(str(toy), "--port", "0", "--workers", workers, token=TOKEN) as process:
        try:
            assert process.stderr is not None
            said = [process.stderr.readline() for _ in range(3)]
            assert "/predict" in said[0]
            assert TOKEN not in "".join(said)
            line = said[2].strip().replace("$SWEEP_TOKEN", TOKEN)
            done = subprocess.run(
                [*shlex.split(line), "-s", "--noproxy", "*"], capture_output=True, text=True, check=True, timeout=20
            )
            assert json.loads(done.stdout)["model"] == "toy"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 130
        finally:
            process.kill()


def test_a_host_that_others_reach_is_served_with_a_token(toy: Path) -> None:
    with serving(toy, "--host", "0.0.0.0", token=TOKEN) as server:
        assert server.told["token"] is True
        assert server.get("/model").status_code == 200
        assert server.get("/model", Authorization="").status_code == 401
