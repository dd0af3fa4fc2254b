"""`sweep cluster` tells what is wrong with what it is given before anything starts; the rest is in tests/cluster."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from search.cli.main import main
from search.errors import InputError, RefusedError, SurroundingsError
from search.study.holder import start_of
from search.tuner import tls, tokens
from search.tuner.heads import Machine, join, own_address, start
from search.tuner.known import LOOPBACK, StartedNode, all_known, folder_of_user, known_at, of_session, record_of
from search.tuner.takedown import end


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["start", "--interface", "nosuch0"],
            2,
            "--interface names one with an IPv4 address, got 'nosuch0'; known: lo",
        ),
        (["start", "--host", "192.0.2.77"], 2, "--host takes an address of this machine, got '192.0.2.77'"),
        (["start", "--host", "0.0.0.0"], 2, "--host takes one address, by which the others know this machine"),
        (["start", "--host", "127.0.0.1", "--interface", "lo"], 2, "give --host or --interface, not both"),
        (["start", "--tls-for", "10.0.0.2"], 2, "--tls-for is for the certificate that --tls makes; add --tls"),
        (
            ["join", "127.0.0.1:1"],
            2,
            "needs the cluster's token; copy its file from the head, and name it by --token-file",
        ),
        (["join", "10.0.0.1", "--token-file", "token"], 2, "of the cluster's head, got '10.0.0.1'; try 10.0.0.1:6379"),
        (["join", "ray://10.0.0.1:10001", "--token-file", "token"], 2, "got 'ray://10.0.0.1:10001'; try 10.0.0.1:6379"),
        (["join", "no..such:6379", "--token-file", "token"], 3, "no machine is known here by the name 'no..such'"),
        (["join", "127.0.0.1:1", "--token-file", "token"], 3, "no Ray cluster answers at 127.0.0.1:1"),
        (["join", "127.0.0.1:1", "--token-file", "wide"], 2, "can be read by others (mode 0644); chmod 600 wide"),
        (["join", "127.0.0.1:1", "--token-file", "empty"], 2, "empty holds no token: one word is expected"),
        (["join", "127.0.0.1:1", "--token-file", "nosuch"], 2, "--token-file names no token that can be read: nosuch"),
        (
            ["start", "--port", "17379"],
            2,
            "--port 17379 is of those that Ray gives its workers; choose one below 10002, or above 19999",
        ),
        (
            ["start", "--port", "7379", "--client-port", "10002"],
            2,
            "--client-port 10002 is of those that Ray gives its workers; choose one below 10002, or above 19999",
        ),
        (["start", "--port", "7379", "--client-port", "7379"], 2, "--port and --client-port are both 7379"),
        (["stop", "--address", "10.0.0.1:6379"], 2, "nothing of a cluster at 10.0.0.1:6379 was started here"),
    ],
)
def test_wrong_input_is_told_before_anything_starts(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content, mode in (("token", "0" * 64, 0o600), ("wide", "0" * 64, 0o644), ("empty", "", 0o600)):
        Path(name).write_text(content)
        Path(name).chmod(mode)
    assert main(["cluster", *arguments]) == code
    err = capsys.readouterr().err
    assert said in err
    assert "0" * 64 not in err
    assert not list(all_known())


def test_without_a_cluster_there_is_nothing_to_show_or_stop(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"clusters": [], "here": [], "silent": []}
    assert main(["cluster", "stop", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"stopped": []}


def test_a_cluster_is_on_loopback_unless_it_is_told_otherwise() -> None:
    assert own_address(None, None) == LOOPBACK
    assert own_address(None, "lo") == LOOPBACK
    assert own_address("localhost", None) == LOOPBACK


def test_a_token_is_long_new_each_time_and_its_owners_alone(tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        tokens.make_token(tmp_path / "there" / "token")
        made.append(tokens.read_token(tmp_path / "there" / "token"))
    assert len(set(made)) == 2
    assert {len(one) for one in made} == {64}
    assert stat.S_IMODE((tmp_path / "there" / "token").stat().st_mode) == 0o600


def record(tmp_path: Path, **changes: object) -> StartedNode:
    """Return a record of a head whose processes are gone."""
    kept = {"role": "head", "address": "10.0.0.1:6379", "host": "10.0.0.1", "client_port": 10001, "dashboard_port": 0}
    kept |= {"token": tmp_path / "token", "tls": None, "temp": tmp_path, "session": 1, "processes": ((1, 0.0),)}
    return StartedNode(**{**kept, **changes})  # type: ignore[arg-type]


def test_a_record_comes_back_as_it_was_and_is_found_by_each_address(tmp_path: Path) -> None:
    known = record(tmp_path, tls=tmp_path / "tls")
    known.save()
    assert list(all_known()) == [known]
    assert known_at("10.0.0.1:6379") == known_at("ray://10.0.0.1:10001") == known_at("auto") == known
    assert known_at("10.0.0.2:6379") is None
    record(tmp_path, address="10.0.0.2:6379").save()
    assert known_at("auto") is None  # which of them


def test_processes_are_known_by_when_they_started_since_boot_and_not_by_a_clock_that_is_set(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        started = start_of(process.pid)
        assert started is not None
        found = record(tmp_path, session=process.pid, processes=((process.pid, started),)).members()
        given_again = record(tmp_path, session=process.pid, processes=((process.pid, started - 1),)).members()
        process.kill()
    assert {one.pid for one in found} == {process.pid}
    assert given_again == set()


@contextmanager
def asleep(tmp_path: Path, *programs: str, **changes: object) -> Iterator[StartedNode]:
    """Have a head or a node on record of which programs of these names run; all they do is sleep."""
    for name in programs:
        shutil.copy(shutil.which("sleep") or "sleep", tmp_path / name)
    together = " & ".join(f"'{tmp_path}/{name}' 60" for name in programs)
    with subprocess.Popen(["sh", "-c", f"{together} & wait"], start_new_session=True) as shell:
        while not {*programs} <= {one.name() for one in of_session(shell.pid)}:
            time.sleep(0.01)
        known = record(tmp_path, session=shell.pid, processes=((shell.pid, start_of(shell.pid)),), **changes)
        known.save()
        try:
            yield known
        finally:
            end(one for one in known.members() if one.pid != shell.pid)  # which sees to them, and ends then


@pytest.mark.parametrize(
    ("role", "programs", "runs"),
    [
        ("head", ("gcs_server", "raylet", "log_monitor"), True),
        ("head", ("raylet", "log_monitor"), False),
        ("head", ("gcs_server", "log_monitor"), False),
        ("node", ("raylet", "log_monitor"), True),
        ("node", ("log_monitor",), False),
    ],
)
def test_a_machine_whose_ray_has_died_is_no_head_and_no_node_whatever_outlives_it(
    tmp_path: Path, role: str, programs: tuple[str, ...], runs: bool
) -> None:
    with asleep(tmp_path, *programs, role=role) as known:
        assert known.runs() is runs
        assert known.members()


def test_a_head_that_crashed_is_told_and_to_start_it_again_ends_the_rest_and_keeps_its_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port, other = free_port(), free_port()
    address = f"{LOOPBACK}:{port}"
    file = record_of("head", LOOPBACK, address).with_suffix(".token")
    tokens.make_token(file)
    token = tokens.read_token(file)
    changes = {"address": address, "host": LOOPBACK, "client_port": other, "token": file}
    with asleep(tmp_path, "log_monitor", **changes) as known:
        assert main(["cluster", "status"]) == 3
        command = f"sweep cluster start --host {LOOPBACK} --port {port} --client-port {other}"
        assert f"its head has crashed; `{command}` begins again" in capsys.readouterr().err
        with pytest.raises(InputError, match="--tls-folder holds"):  # it fails: the next one may not
            start(Machine(LOOPBACK), port, other, encrypted=tls.Files(tmp_path / "no"))
        assert not known.members()
    assert list(all_known()) == [known]
    assert tokens.read_token(file) == token


@pytest.mark.parametrize(("role", "programs"), [("head", ("gcs_server", "raylet")), ("node", ("raylet",))])
def test_a_machine_joins_no_cluster_that_it_is_a_part_of(tmp_path: Path, role: str, programs: tuple[str, ...]) -> None:
    tokens.make_token(tmp_path / "token")
    with asleep(tmp_path, *programs, role=role, address="127.0.0.1:7379", host="127.0.0.1"):
        with pytest.raises(RefusedError, match=f"this machine is (the|a) {role} of 127.0.0.1:7379"):
            join(Machine("127.0.0.2", token=tmp_path / "token"), "localhost:7379")
        with pytest.raises(SurroundingsError, match="no Ray cluster answers"):
            join(Machine("127.0.0.1", token=tmp_path / "token"), "127.0.0.1:1")


def test_a_ctrl_c_while_a_head_comes_up_leaves_nothing_of_it(tmp_path: Path) -> None:
    before, begun = signal.signal(signal.SIGINT, signal.default_int_handler), list[psutil.Process]()

    def interrupt() -> None:
        me, deadline = psutil.Process(), time.monotonic() + 20
        while not begun and time.monotonic() < deadline:
            begun.extend(one for one in me.children() if "ray.scripts.scripts" in one.cmdline())
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            start(Machine(LOOPBACK), free_port(), free_port())
    finally:
        signal.signal(signal.SIGINT, before)
    assert begun
    assert not [one for one in begun if one.is_running()]
    assert {path.suffix for path in folder_of_user().iterdir()} == {".log"}


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind((LOOPBACK, 0))
        return int(tried.getsockname()[1])


def test_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    record(tmp_path).save()
    record_of("node", "a", "b").write_text("{")
    record_of("node", "a", "c").write_text("{}")
    assert len(list(all_known())) == 1


def test_certificates_are_for_the_hosts_that_were_named_and_keys_for_their_owner(tmp_path: Path) -> None:
    folder = tls.Files(hosts=("node-2", "10.0.0.3")).settle(tmp_path / "tls", "10.0.0.1")
    command = ["openssl", "x509", "-in", str(folder / "node.crt"), "-noout", "-ext", "subjectAltName"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in ("10.0.0.1", "10.0.0.3", "DNS:node-2", "DNS:localhost", "127.0.0.1"):
        assert name in shown
    subprocess.run(["openssl", "verify", "-CAfile", folder / "ca.crt", folder / "node.crt"], check=True)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert tls.Files(folder).settle(tmp_path / "none", "10.0.0.1") == folder
    before = (folder / "ca.crt").read_bytes()
    tls.Files(hosts=("10.0.0.3",)).settle(folder, "10.0.0.1", kept=True)
    assert (folder / "ca.crt").read_bytes() == before
    tls.Files(hosts=("10.0.0.4",)).settle(folder, "10.0.0.1", kept=True)  # who is not named has to be
    assert (folder / "ca.crt").read_bytes() != before
    (folder / "node.key").chmod(0o640)
    with pytest.raises(InputError, match="others can read"):
        tls.Files(folder).settle(tmp_path / "none", "10.0.0.1")


def test_a_host_cannot_add_lines_to_a_certificates_request(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--tls-for takes names or addresses"):
        tls.Files(hosts=("a\nbasicConstraints=CA:TRUE",)).settle(tmp_path / "tls", "10.0.0.1")
