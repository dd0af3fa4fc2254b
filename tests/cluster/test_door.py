"""A cluster of ours lets in nobody without its token: every port beyond loopback refuses, and what is refused is told.

Mutations that turn these red: start the head without RAY_AUTH_MODE (`search.tuner.heads`); without `--no-monitor`;
take a missing token for none asked (`search.tuner.door.pass_door`); leave an agent out of `search.tuner.known`.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from search.cli.main import main
from search.errors import RefusedError, SurroundingsError
from search.tuner import door, tokens
from search.tuner.door import OF_CLIENTS, OF_GCS, OF_OBJECTS, OF_RAYLET, Answer, check_head, knock, pass_door
from search.tuner.heads import Machine, join, start, way_to
from search.tuner.inventory import check_is_node, check_versions, take_inventory
from search.tuner.known import LOOPBACK, StartedNode, all_known, folder_of_user, known_at, of_session
from search.tuner.ports import State, look, try_http
from search.tuner.takedown import end, stop
from tests.cluster.nodes import missing

OF_WORKER = "/ray.rpc.CoreWorkerService/GetCoreWorkerStats"
METHODS = (OF_GCS, OF_CLIENTS, OF_RAYLET, OF_OBJECTS, OF_WORKER)
PATHS = ("/", "/metrics", "/api/version", "/api/jobs/", "/nodes", "/get_runtime_envs_info")

STUDY = "study-rain-0123456789ab"
BUSY = f"""
import ray, sys, time
for left in reversed(range(3)):  # a port that Ray chooses for a client may be taken by another cluster's meanwhile
    try:
        ray.init(sys.argv[1], namespace="sweep", logging_level="CRITICAL", log_to_driver=False)
        break
    except ConnectionError:
        ray.shutdown()
        time.sleep(1)
        if not left:
            raise
@ray.remote(num_cpus=0)
class Study:
    def answer(self): return 42
actor = Study.options(name={STUDY!r}).remote()
assert ray.get(actor.answer.remote()) == 42
print("there", flush=True)
time.sleep(600)
"""


def free_port() -> int:
    """Return a port below those that Ray gives to its workers."""
    for port in range(7000 + os.getpid() % 1000, 9999):
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("", port))
            return port
    raise AssertionError


def own_host() -> str:
    """Return an address of this machine that others could know, if it has one."""
    try:
        return way_to("192.0.2.1:1")
    except SurroundingsError:
        return LOOPBACK


@dataclass(frozen=True)
class Busy:
    """A head, and what runs on it: a client from outside, and an actor that is named as a study's are."""

    head: StartedNode
    token: str


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Busy]:
    home = os.environ.get("HOME")
    os.environ["HOME"] = str(tmp_path_factory.mktemp("home"))
    head = start(Machine(own_host(), cpus=1, gpus=0), free_port(), free_port() + 1)
    environment = {**os.environ, tokens.MODE: "token", tokens.FILE: str(head.token)}
    environment.pop(tokens.VALUE, None)
    client = subprocess.Popen(
        [sys.executable, "-c", BUSY, f"ray://{head.host}:{head.client_port}"],
        stdout=subprocess.PIPE,
        env=environment,
    )
    try:
        assert client.stdout is not None
        assert client.stdout.readline() == b"there\n"
        yield Busy(head, tokens.read_token(head.token))
    finally:
        client.kill()
        client.communicate()
        stop(head)
        if home is not None:
            os.environ["HOME"] = home


def listening(processes: set[psutil.Process]) -> dict[tuple[str, int], str]:
    """Return where processes listen beyond loopback, and the name of each."""
    found = {}
    for process in processes:
        with suppress(psutil.Error):
            for one in process.net_connections("tcp"):
                host = one.laddr.ip.removeprefix("::ffff:")
                if one.status == psutil.CONN_LISTEN and host not in ("127.0.0.1", "::1"):
                    found[host, one.laddr.port] = " ".join(process.cmdline())
    return found


def test_every_port_beyond_loopback_refuses_who_has_no_token(busy: Busy) -> None:
    found = listening(busy.head.members())
    assert len(found) >= 5, found  # GCS, raylet twice, the server for clients, the agent, workers
    for (_, port), name in found.items():
        place = f"{busy.head.host}:{port}"
        for token in (None, "0" * 64):
            answers = {knock(place, method, token) for method in METHODS}
            assert Answer.IN not in answers, (place, name)
            pages = {try_http(busy.head.host, port, path) for path in PATHS}
            assert State.OPEN not in pages, (place, name)
            assert Answer.TOKEN in answers or State.SHUT in pages, (place, name)


@pytest.mark.usefixtures("ray_session")
def test_a_ray_of_a_local_sweep_listens_on_loopback_only() -> None:
    here = psutil.Process()
    family = {here, *here.children(recursive=True)}
    assert "raylet" in {one.name() for one in family}
    assert not listening(family)


def test_the_ports_that_ray_would_open_to_all_are_not_there(busy: Busy) -> None:
    ports = {port for _, port in listening(busy.head.members())}
    assert not ports & {8265, 44217, 52365}  # dashboard, figures of the autoscaler, agent of the dashboard


def test_the_token_opens_both_doors(busy: Busy) -> None:
    pass_door(busy.head.address, busy.token)
    pass_door(f"ray://{busy.head.host}:{busy.head.client_port}", busy.token)


@pytest.mark.parametrize(
    ("token", "said"), [(None, "asks for a token, and none was given"), ("x" * 64, "does not take our token")]
)
def test_a_missing_and_a_wrong_token_are_told_as_such_at_once(busy: Busy, token: str | None, said: str) -> None:
    for address in (busy.head.address, f"ray://{busy.head.host}:{busy.head.client_port}"):
        begun = time.monotonic()
        with pytest.raises(SurroundingsError, match=said) as caught:
            pass_door(address, token)
        assert time.monotonic() - begun < 5
        assert len(caught.value.sentence()) <= 200
        assert token is None or token not in caught.value.sentence()


def test_the_doors_are_not_mistaken_for_each_other(busy: Busy) -> None:
    with pytest.raises(SurroundingsError, match="is not the Ray that was expected"):
        pass_door(f"ray://{busy.head.address}", busy.token)
    with pytest.raises(SurroundingsError, match="is not the Ray that was expected"):
        pass_door(f"{busy.head.host}:{busy.head.client_port}", busy.token)


def test_who_is_let_in_is_told_what_the_cluster_has(busy: Busy) -> None:
    inventory = take_inventory(busy.head.address, busy.token)
    (node,) = inventory.nodes
    assert (node.head, node.alive, node.cpus) == (True, True, 1)
    assert inventory.studies == ("rain",)
    check_versions(busy.head.address, busy.token)
    check_is_node(busy.head.address, busy.token)
    check_head(f"ray://{busy.head.host}:{busy.head.client_port}", busy.token)
    seen = look(inventory.nodes, busy.head.address, busy.head.client_port)
    assert {port.what for port in seen if port.state is State.SHUT} >= {"cluster (GCS)", "clients", "raylet", "objects"}
    assert not [port for port in seen if port.state is State.OPEN]
    with pytest.raises(SurroundingsError, match="does not say"):
        take_inventory(busy.head.address, None)


def test_the_token_is_in_a_file_of_the_users_own_and_nowhere_else(busy: Busy) -> None:
    assert stat.S_IMODE(busy.head.token.stat().st_mode) == 0o600
    assert stat.S_IMODE(busy.head.token.parent.stat().st_mode) == 0o700
    for path in busy.head.token.parent.iterdir():
        assert path == busy.head.token or busy.token not in path.read_text()
    for process in busy.head.members():
        with suppress(psutil.Error):
            assert busy.token not in " ".join(process.cmdline())
    assert stat.S_IMODE(busy.head.temp.parent.stat().st_mode) == 0o700  # Ray's own folders are open to all


def test_a_second_start_is_refused_and_the_record_finds_the_token(busy: Busy) -> None:
    port = int(busy.head.address.rpartition(":")[2])
    with pytest.raises(RefusedError, match="runs here already"):
        start(Machine(busy.head.host), port, busy.head.client_port)
    for address in (busy.head.address, f"ray://{busy.head.host}:{busy.head.client_port}"):
        known = known_at(address)
        assert known is not None
        assert known.token == busy.head.token


def test_the_head_has_the_patience_with_its_machines_that_is_documented(busy: Busy) -> None:
    (gcs,) = [one for one in busy.head.members() if one.name() == "gcs_server"]
    (config,) = [option.partition("=")[2] for option in gcs.cmdline() if option.startswith("--config_list=")]
    assert json.loads(base64.b64decode(config))["health_check_period_ms"] == 1000


def test_a_machine_that_is_no_node_is_told_the_other_door_at_once(busy: Busy) -> None:
    if lacks := missing():
        pytest.skip(lacks)
    alone = ("unshare", "-pf", "--mount-proc", sys.executable, "-m", "search")  # where no raylet is to be seen
    asked = subprocess.run(
        [*alone, "list", "--address", busy.head.address],
        env={**os.environ, tokens.FILE: str(busy.head.token)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert asked.returncode == 3
    assert (
        f"this machine is no node of the cluster at {busy.head.address}; from outside: --address ray://" in asked.stderr
    )


def test_a_node_joins_by_the_token_and_all_of_it_goes_again(
    busy: Busy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = {one.pid for one in busy.head.members()}
    monkeypatch.setenv("HOME", str(tmp_path))  # that of another machine, as far as records go
    node = join(Machine(busy.head.host, cpus=1, gpus=0, token=busy.head.token), busy.head.address)
    try:
        until = time.monotonic() + 30
        while len(take_inventory(busy.head.address, busy.token).nodes) < 2:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert node.members()
    finally:
        stop(node)
    assert not of_session(node.session)
    assert begun <= {one.pid for one in busy.head.members()}
    assert not list(all_known())
    assert not list(folder_of_user().iterdir())


def test_a_head_that_was_killed_is_told_from_outside_and_on_its_machine(
    busy: Busy, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = f"ray://{busy.head.host}:{busy.head.client_port}"
    for one in busy.head.members():
        if one.name() == "gcs_server":
            one.kill()
    with pytest.raises(SurroundingsError, match=r"the head of the Ray cluster at .* does not answer"):
        check_head(outside, busy.token, wait_s=2)
    assert main(["cluster", "status"]) == 3
    assert "its head has crashed" in capsys.readouterr().err


def test_a_cluster_without_a_token_is_refused_and_told_by_the_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    place = f"{own_host()}:{free_port()}"
    host, _, port = place.partition(":")
    flags = ("--head", f"--node-ip-address={host}", f"--port={port}", "--num-cpus=1", "--no-monitor")
    clients = free_port() + 2
    temp = f"--temp-dir=/tmp/sweep-open-{os.getpid()}"
    more = (f"--ray-client-server-port={clients}", "--include-dashboard=false", "--disable-usage-stats", temp)
    starting = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", "start", *flags, *more],
        env={**os.environ, tokens.MODE: "disabled"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert starting.wait(90) == 0
        for address in (place, f"ray://{host}:{clients}"):
            until = time.monotonic() + 30
            while True:
                try:
                    with pytest.raises(RefusedError, match="asks for no token") as caught:
                        pass_door(address, "not asked for")
                    break
                except SurroundingsError:
                    assert time.monotonic() < until
                    time.sleep(0.1)
            assert len(caught.value.sentence()) <= 200
        seen = look(take_inventory(place, None).nodes, place, clients)
        assert main(["cluster", "status", "--address", place]) == 0
        assert "OPEN     it asks for no token" in capsys.readouterr().out
        assert main(["doctor", "--address", f"ray://{host}:{clients}"]) == 3
        assert "what it has was not asked: it is open" in capsys.readouterr().out
        open_ones = {one.what for one in seen if one.state is State.OPEN}
        assert open_ones >= {"cluster (GCS)", "clients", "raylet", "objects"}
        assert all(one.remedy for one in seen if one.state is State.OPEN)
        door.accept_open()
        pass_door(place, None)
    finally:
        door._accepted.clear()
        end(of_session(starting.pid))
        shutil.rmtree(f"/tmp/sweep-open-{os.getpid()}", ignore_errors=True)


def test_what_speaks_another_language_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(SurroundingsError, match="does not speak Ray's protocol"):
            pass_door(address, None)
